/**
 * SQL LIKE: `%` any run, `_` any one character, `\` takes the next literally.
 *
 * Matched by hand in O(pattern × text) worst case and without recursion: translated into a JavaScript
 * regular expression, a subscriber's `%a%a%a%a%` could hold the event loop for seconds.
 *
 * @throws RangeError when the pattern ends with its escape character, as PostgreSQL does
 */
export function likeMatcher(pattern: string, ignoreCase: boolean): (text: string) => boolean {
  const tokens = tokenize(ignoreCase ? pattern.toLowerCase() : pattern);
  return (text) => matches(tokens, Array.from(ignoreCase ? text.toLowerCase() : text));
}

const ANY_RUN = Symbol('%');
const ANY_ONE = Symbol('_');
type Token = string | typeof ANY_RUN | typeof ANY_ONE;

function tokenize(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  const chars = Array.from(pattern);
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    if (char === '\\') {
      const next = chars[++at];
      if (next === undefined) throw new RangeError('the LIKE pattern must not end with its escape character');
      tokens.push(next);
    } else if (char === '%') {
      if (tokens.at(-1) !== ANY_RUN) tokens.push(ANY_RUN);
    } else {
      tokens.push(char === '_' ? ANY_ONE : char);
    }
  }
  return tokens;
}

/** Greedy with one remembered `%`: an earlier one never needs to be reconsidered. */
function matches(tokens: readonly Token[], text: readonly string[]): boolean {
  let token = 0;
  let at = 0;
  let runToken = -1;
  let runAt = 0;
  while (at < text.length) {
    const current = tokens[token];
    if (current === ANY_RUN) {
      runToken = token++;
      runAt = at;
    } else if (current === ANY_ONE || (current !== undefined && current === text[at])) {
      token++;
      at++;
    } else if (runToken >= 0) {
      token = runToken + 1;
      at = ++runAt;
    } else {
      return false;
    }
  }
  while (tokens[token] === ANY_RUN) token++;
  return token === tokens.length;
}
