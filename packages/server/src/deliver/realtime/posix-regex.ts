/**
 * POSIX regular expressions (PostgreSQL's `~`), matched in O(pattern × text) by simulating all states
 * at once (Thompson 1968; https://swtch.com/~rsc/regexp/regexp2.html).
 *
 * JavaScript's RegExp backtracks: one subscriber's `(a+)+$` would hold the event loop for minutes.
 * Served: literals, `.`, `[…]` with ranges and classes, `\d \w \s`, `* + ? {m,n}`, groups, `|`, `^`,
 * `$`. Back references and look-around have no such matcher and are refused by name.
 *
 * @throws RangeError saying what is wrong with the pattern
 */
export function regexMatcher(pattern: string, ignoreCase: boolean): (text: string) => boolean {
  const chars = Array.from(pattern);
  if (chars.length > MAX_PATTERN) throw new RangeError(`a pattern has at most ${MAX_PATTERN} characters`);
  const program: Instruction[] = [];
  emit(parse(chars, ignoreCase), program);
  program.push({ op: 'match' });
  return (text) => run(program, text);
}

/** Bounds what one row may cost a subscriber's filter. */
const MAX_PATTERN = 500;
const MAX_INSTRUCTIONS = 1000;
/** As PostgreSQL's DUPMAX. */
const MAX_REPEAT = 255;

type Test = (char: string) => boolean;

type Node =
  | { readonly kind: 'char'; readonly test: Test }
  | { readonly kind: 'begin' | 'end' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number };

type Instruction =
  | { readonly op: 'char'; readonly test: Test }
  | { readonly op: 'begin' | 'end' | 'match' }
  | { readonly op: 'split'; first: number; second: number };

function run(program: readonly Instruction[], text: string): boolean {
  // Generation stamps make "already in this set" one comparison, with nothing to clear per character.
  const seen = new Uint32Array(program.length);
  let generation = 0;
  let current: number[] = [];
  let next: number[] = [];
  const pending: number[] = [];
  /** Follows the empty transitions from `start`; true when a match was reached. */
  const add = (start: number, list: number[], atBegin: boolean, atEnd: boolean): boolean => {
    pending.push(start);
    while (pending.length > 0) {
      const pc = pending.pop()!;
      if (seen[pc] === generation) continue;
      seen[pc] = generation;
      const instruction = program[pc]!;
      if (instruction.op === 'match') {
        pending.length = 0;
        return true;
      }
      if (instruction.op === 'char') list.push(pc);
      else if (instruction.op === 'split') pending.push(instruction.second, instruction.first);
      else if (instruction.op === 'begin' ? atBegin : atEnd) pending.push(pc + 1);
    }
    return false;
  };
  generation++;
  if (add(0, current, true, text === '')) return true;
  let consumed = 0;
  for (const char of text) {
    consumed += char.length;
    const atEnd = consumed === text.length;
    generation++;
    next = [];
    for (const pc of current) {
      const instruction = program[pc]!;
      if (instruction.op === 'char' && instruction.test(char) && add(pc + 1, next, false, atEnd)) return true;
    }
    // The search is unanchored: a match may begin after any character.
    if (add(0, next, false, atEnd)) return true;
    current = next;
  }
  return false;
}

function emit(node: Node, program: Instruction[]): void {
  if (program.length > MAX_INSTRUCTIONS) throw new RangeError('the regular expression is too large');
  switch (node.kind) {
    case 'char':
      program.push({ op: 'char', test: node.test });
      return;
    case 'begin':
    case 'end':
      program.push({ op: node.kind });
      return;
    case 'sequence':
      for (const part of node.parts) emit(part, program);
      return;
    case 'choice': {
      const jumps: { second: number; first: number }[] = [];
      node.parts.forEach((part, index) => {
        const last = index === node.parts.length - 1;
        const split = { op: 'split' as const, first: program.length + 1, second: 0 };
        if (!last) program.push(split);
        emit(part, program);
        if (!last) {
          const jump = { op: 'split' as const, first: 0, second: 0 };
          program.push(jump);
          jumps.push(jump);
          split.second = program.length;
        }
      });
      for (const jump of jumps) jump.first = jump.second = program.length;
      return;
    }
    case 'repeat': {
      for (let count = 0; count < node.min; count++) emit(node.part, program);
      if (node.max === Number.POSITIVE_INFINITY) {
        const start = program.length;
        const split = { op: 'split' as const, first: start + 1, second: 0 };
        program.push(split);
        emit(node.part, program);
        program.push({ op: 'split', first: start, second: start });
        split.second = program.length;
        return;
      }
      const splits: { second: number }[] = [];
      for (let count = node.min; count < node.max; count++) {
        const split = { op: 'split' as const, first: program.length + 1, second: 0 };
        program.push(split);
        splits.push(split);
        emit(node.part, program);
      }
      for (const split of splits) split.second = program.length;
    }
  }
}

function parse(chars: readonly string[], ignoreCase: boolean): Node {
  let at = 0;
  const fold = (test: Test): Test =>
    ignoreCase ? (char) => test(char) || test(char.toLowerCase()) || test(char.toUpperCase()) : test;
  const node = choice();
  if (at < chars.length) throw new RangeError('unmatched ")" in the regular expression');
  return node;

  function choice(): Node {
    const parts = [sequence()];
    while (chars[at] === '|') {
      at++;
      parts.push(sequence());
    }
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
  }

  function sequence(): Node {
    const parts: Node[] = [];
    while (at < chars.length && chars[at] !== '|' && chars[at] !== ')') parts.push(quantified());
    return { kind: 'sequence', parts };
  }

  function quantified(): Node {
    let part = atom();
    for (;;) {
      const bounds = quantifier();
      if (bounds === undefined) return part;
      // A second `?` asks for the shortest match: whether there is a match does not depend on it.
      if (chars[at] === '?') at++;
      part = { kind: 'repeat', part, min: bounds[0], max: bounds[1] };
    }
  }

  function quantifier(): readonly [number, number] | undefined {
    const char = chars[at];
    if (char === '*' || char === '+' || char === '?') {
      at++;
      return [char === '+' ? 1 : 0, char === '?' ? 1 : Number.POSITIVE_INFINITY];
    }
    if (char !== '{') return undefined;
    const close = chars.indexOf('}', at);
    const body = close === -1 ? '' : chars.slice(at + 1, close).join('');
    const bounds = /^(\d{1,3})(?:(,)(\d{1,3})?)?$/.exec(body);
    if (bounds === null) throw new RangeError('invalid repetition count in the regular expression');
    const min = Number(bounds[1]);
    const max =
      bounds[2] === undefined ? min : bounds[3] === undefined ? Number.POSITIVE_INFINITY : Number(bounds[3]);
    if (min > MAX_REPEAT || (max > MAX_REPEAT && max !== Number.POSITIVE_INFINITY) || max < min) {
      throw new RangeError(`invalid repetition {${body}} (at most ${MAX_REPEAT})`);
    }
    at = close + 1;
    return [min, max];
  }

  function atom(): Node {
    const char = chars[at++]!;
    if (char === '.') return { kind: 'char', test: () => true };
    if (char === '^') return { kind: 'begin' };
    if (char === '$') return { kind: 'end' };
    if (char === '[') return { kind: 'char', test: bracket() };
    if (char === '\\') return { kind: 'char', test: escaped() };
    if (char === '*' || char === '+' || char === '?' || char === '{') {
      throw new RangeError(`the quantifier "${char}" follows nothing`);
    }
    if (char !== '(') return { kind: 'char', test: fold((candidate) => candidate === char) };
    if (chars[at] === '?') {
      if (chars[at + 1] !== ':') throw new RangeError('look-around and embedded options are not supported');
      at += 2;
    }
    const inner = choice();
    if (chars[at++] !== ')') throw new RangeError('unmatched "(" in the regular expression');
    return inner;
  }

  function escaped(): Test {
    const char = chars[at++];
    if (char === undefined) throw new RangeError('the regular expression ends with "\\"');
    const known = ESCAPES[char];
    if (known !== undefined) return known;
    if (/[A-Za-z0-9]/.test(char)) throw new RangeError(`the escape "\\${char}" is not supported`);
    return fold((candidate) => candidate === char);
  }

  function bracket(): Test {
    const negated = chars[at] === '^';
    if (negated) at++;
    const tests: Test[] = [];
    for (let first = true; first || chars[at] !== ']'; first = false) {
      if (at >= chars.length) throw new RangeError('unmatched "[" in the regular expression');
      // Case is folded before the negation: [^a] excludes both letters.
      tests.push(fold(bracketItem()));
    }
    at++;
    return (char) => tests.some((test) => test(char)) !== negated;
  }

  function bracketItem(): Test {
    const low = chars[at++]!;
    if (low === '[' && chars[at] === ':') {
      const close = chars.indexOf(']', at);
      const name = chars.slice(at + 1, close - 1).join('');
      const known = CLASSES[name];
      if (close === -1 || chars[close - 1] !== ':' || known === undefined) {
        throw new RangeError(`unknown character class in the regular expression`);
      }
      at = close + 1;
      return known;
    }
    if (low === '\\') return escaped();
    if (chars[at] !== '-' || chars[at + 1] === ']' || chars[at + 1] === undefined)
      return (char) => char === low;
    const high = chars[at + 1]!;
    at += 2;
    const [from, to] = [low.codePointAt(0)!, high.codePointAt(0)!];
    if (from > to) throw new RangeError(`invalid range "${low}-${high}" in the regular expression`);
    return (char) => {
      const code = char.codePointAt(0)!;
      return code >= from && code <= to;
    };
  }
}

const CLASSES: Readonly<Record<string, Test>> = {
  alpha: (char) => /\p{L}/u.test(char),
  digit: (char) => char >= '0' && char <= '9',
  alnum: (char) => /[\p{L}\p{Nd}]/u.test(char),
  upper: (char) => /\p{Lu}/u.test(char),
  lower: (char) => /\p{Ll}/u.test(char),
  space: (char) => /\s/.test(char),
  punct: (char) => /[!-/:-@[-`{-~]/.test(char),
  xdigit: (char) => /[0-9A-Fa-f]/.test(char),
};
const isWord: Test = (char) => char === '_' || CLASSES.alnum!(char);
const ESCAPES: Readonly<Record<string, Test>> = {
  d: CLASSES.digit!,
  D: (char) => !CLASSES.digit!(char),
  s: CLASSES.space!,
  S: (char) => !CLASSES.space!(char),
  w: isWord,
  W: (char) => !isWord(char),
  n: (char) => char === '\n',
  r: (char) => char === '\r',
  t: (char) => char === '\t',
};
