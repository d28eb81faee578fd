/**
 * Reads PostgREST's little languages (select, order, filters) from a string. Each method takes what it names at
 * the current position or leaves the position alone; `fail` throws the one error that parsing can throw.
 */
import type { Field, JsonStep } from './ast.ts';
import { RestError } from './errors.ts';

export class Scanner {
  readonly #text: string;
  readonly #label: string;
  #at = 0;

  /** `label` starts the error message, as in `failed to parse filter (foo.1)`. */
  constructor(text: string, label: string) {
    this.#text = text;
    this.#label = label;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Takes `literal` if it comes next. */
  take(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  startsWith(literal: string): boolean {
    return this.#text.startsWith(literal, this.#at);
  }

  expect(literal: string): void {
    if (!this.take(literal)) this.fail(`"${literal}"`);
  }

  /** Takes what a sticky expression (flag y) matches here. */
  match(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text) ?? undefined;
    if (found) this.#at += found[0].length;
    return found;
  }

  /** What a sticky expression matches here, without taking it. */
  peek(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    return sticky.exec(this.#text)?.[0];
  }

  skipBlanks(): void {
    this.match(BLANKS);
  }

  rest(): string {
    const rest = this.#text.slice(this.#at);
    this.#at = this.#text.length;
    return rest;
  }

  /** A column name: `a`, `a-b`, `"any characters"`. */
  name(): string {
    const quoted = this.quoted();
    if (quoted !== undefined) return quoted;
    const found = this.match(NAME);
    if (!found) this.fail('field name (* or [a..z0..9_$])');
    return found[0].trim();
  }

  /** Text in double quotes with backslash escapes. */
  quoted(): string | undefined {
    return unescaped(this.match(QUOTED)?.[1]);
  }

  /** The same as an element of a list or tree: only if the element ends with the closing quote. */
  quotedElement(): string | undefined {
    return unescaped(this.match(QUOTED_ELEMENT)?.[1]);
  }

  /** A column, possibly with a path into its JSON: `metadata->a->0->>b`. */
  field(): Field {
    const column = this.name();
    const path: JsonStep[] = [];
    while (this.startsWith('->')) {
      const asText = this.take('->>');
      if (!asText) this.expect('->');
      const index = this.match(JSON_INDEX);
      path.push({ asText, key: index ? Number(index[0]) : this.name() });
      if (path.length > MAX_JSON_PATH_STEPS) this.fail(`at most ${MAX_JSON_PATH_STEPS} steps into JSON`);
    }
    return { column, path };
  }

  end(expecting = 'end of input'): void {
    if (!this.atEnd) this.fail(expecting);
  }

  fail(expecting: string): never {
    const next = this.#text.slice(this.#at).match(/^./su)?.[0];
    throw new RestError(400, 'PGRST100', `"${this.#label}" (line 1, column ${this.#at + 1})`, {
      details: `unexpected ${next === undefined ? 'end of input' : JSON.stringify(next)} expecting ${expecting}`,
    });
  }
}

function unescaped(inner: string | undefined): string | undefined {
  return inner?.replace(/\\(.)/gs, '$1');
}

/** Each step is one more operator around the column; nobody's metadata is this deep. */
const MAX_JSON_PATH_STEPS = 32;

const BLANKS = /[ \t]*/y;
const NAME = /[\p{L}\p{N}_ $]+(?:-(?!>)[\p{L}\p{N}_ $]+)*/uy;
const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"/sy;
const QUOTED_ELEMENT = /"([^"\\]*(?:\\.[^"\\]*)*)"(?=[,)]|$)/sy;
/** Nine digits fit PostgreSQL's int4; anything longer is a key. */
const JSON_INDEX = /-?\d{1,9}(?=->|::|[.,)]|$)/y;
