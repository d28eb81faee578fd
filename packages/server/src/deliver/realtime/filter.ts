/**
 * The filter language of postgres_changes: `col=op.value` conditions, comma-separated, all of which
 * must hold. `parseFilter` and `printFilter` are inverses; meaning (column types, SQL semantics) is
 * given by filter-match.ts.
 */
export function parseFilter(text: string): readonly Condition[] {
  const conditions: Condition[] = [];
  let at = 0;
  while (at < text.length) {
    const [condition, next] = parseCondition(text, at);
    conditions.push(condition);
    if (conditions.length > MAX_CONDITIONS) throw new FilterError(`more than ${MAX_CONDITIONS} conditions`);
    if (next === text.length) break;
    if (text[next] !== ',') throw new FilterError(`expected "," at ${quoted(text.slice(next))}`);
    at = next + 1;
    if (at === text.length) throw new FilterError('a condition is missing after the last ","');
  }
  return conditions;
}

export function printFilter(conditions: readonly Condition[]): string {
  return conditions
    .map((condition) => {
      const value =
        condition.operator === 'in'
          ? `(${condition.values.map(printValue).join(',')})`
          : printValue(condition.value);
      return `${condition.column}=${condition.negated ? 'not.' : ''}${condition.operator}.${value}`;
    })
    .join(',');
}

export const SCALAR_OPERATORS = [
  'eq',
  'neq',
  'lt',
  'lte',
  'gt',
  'gte',
  'like',
  'ilike',
  'is',
  'match',
  'imatch',
  'isdistinct',
] as const;
type ScalarOperator = (typeof SCALAR_OPERATORS)[number];

export type Condition =
  | {
      readonly column: string;
      readonly negated: boolean;
      readonly operator: ScalarOperator;
      readonly value: string;
    }
  | {
      readonly column: string;
      readonly negated: boolean;
      readonly operator: 'in';
      readonly values: readonly string[];
    };

/** The filter cannot be served; the message goes to the user who wrote it. */
export class FilterError extends Error {
  override name = 'FilterError';
}

/** As Supabase Realtime limits `in`. */
const MAX_IN_VALUES = 100;
/** Evaluated for every row and subscriber, so bounded. */
const MAX_CONDITIONS = 32;

const RESERVED = /[,()"\\]/;

function parseCondition(text: string, start: number): [Condition, number] {
  const equals = text.indexOf('=', start);
  if (equals === -1)
    throw new FilterError(`${quoted(text.slice(start))} is not of the form column=operator.value`);
  const column = text.slice(start, equals);
  if (column === '' || column.includes(',')) {
    throw new FilterError(`${quoted(text.slice(start, equals + 1))} does not start with a column name`);
  }
  const negated = text.startsWith('not.', equals + 1);
  const operatorStart = equals + 1 + (negated ? 4 : 0);
  const dot = text.indexOf('.', operatorStart);
  const operator = dot === -1 ? text.slice(operatorStart) : text.slice(operatorStart, dot);
  if (dot === -1 || !isOperator(operator)) {
    throw new FilterError(
      `${quoted(operator)} is not an operator (${[...SCALAR_OPERATORS, 'in'].join(', ')}, each also with "not.")`,
    );
  }
  if (operator === 'in') {
    const [values, next] = parseList(text, dot + 1);
    return [{ column, negated, operator, values }, next];
  }
  const [value, next] = parseValue(text, dot + 1, ',');
  return [{ column, negated, operator, value }, next];
}

function parseList(text: string, start: number): [readonly string[], number] {
  if (text[start] !== '(')
    throw new FilterError(`in needs a list in parentheses, not ${quoted(text.slice(start))}`);
  const values: string[] = [];
  let at = start + 1;
  for (;;) {
    const [value, next] = parseValue(text, at, ',)');
    values.push(value);
    if (values.length > MAX_IN_VALUES) throw new FilterError(`in takes at most ${MAX_IN_VALUES} values`);
    if (text[next] === ')') {
      if (text.slice(start, next + 1) === '()') throw new FilterError('in needs at least one value');
      return [values, next + 1];
    }
    if (text[next] !== ',')
      throw new FilterError(`the list ${quoted(text.slice(start))} is not closed by ")"`);
    at = next + 1;
  }
}

/** A double-quoted value with backslash escapes, or everything up to one of `terminators`. */
function parseValue(text: string, start: number, terminators: string): [string, number] {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && !terminators.includes(text[end]!)) end++;
    return [text.slice(start, end), end];
  }
  let value = '';
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') return [value, at + 1];
    if (char === '\\') {
      at++;
      if (at === text.length) break;
      value += text[at];
    } else {
      value += char;
    }
  }
  throw new FilterError(`the quoted value ${quoted(text.slice(start))} is not closed`);
}

function printValue(value: string): string {
  if (value !== '' && !RESERVED.test(value) && value === value.trim()) return value;
  return `"${value.replace(/[\\"]/g, '\\$&')}"`;
}

function isOperator(word: string): word is ScalarOperator | 'in' {
  return word === 'in' || (SCALAR_OPERATORS as readonly string[]).includes(word);
}

/** User text inside an error message: cut, so that an error is never larger than its cause. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
