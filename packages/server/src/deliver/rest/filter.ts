/**
 * Parses filters: `?col=not.eq.value`, and the trees of `?or=(a.eq.1,and(b.gt.2,c.is.null))`.
 */
import {
  COMPARE_OPERATORS,
  type Condition,
  IS_VALUES,
  type Operation,
  QUANTIFIABLE_OPERATORS,
  SEARCH_OPERATORS,
} from './ast.ts';
import { RestError } from './errors.ts';
import { Scanner } from './scanner.ts';

/** One query parameter that is a filter on a column. */
export function parseFilter(key: string, value: string): Condition {
  const keyScanner = new Scanner(key, `failed to parse tree path (${key})`);
  const field = keyScanner.field();
  if (keyScanner.startsWith('.')) {
    throw new RestError(400, 'PGRST108', `'${field.column}' is not an embedded resource in this request`, {
      hint: `Verify that '${field.column}' is included in the 'select' query parameter.`,
    });
  }
  keyScanner.end();
  const scanner = new Scanner(value, `failed to parse filter (${value})`);
  const negated = scanner.take('not.');
  const operation = parseOperation(scanner, 'whole', negated);
  scanner.end();
  return { kind: 'filter', negated, field, operation };
}

/** A parameter named `and`, `or`, `not.and` or `not.or`. */
export function parseLogic(key: string, value: string): Condition {
  const scanner = new Scanner(`${key}${value}`, `failed to parse logic tree (${value})`);
  const condition = parseTree(scanner, 1);
  scanner.end();
  return condition;
}

export function isLogicKey(key: string): boolean {
  return /^(not\.)?(and|or)$/.test(key);
}

/** Whether a value reads as `operator.…`: tells filters from arguments in a function call by GET. */
export function looksLikeFilter(value: string): boolean {
  const operator = /^(?:not\.)?([a-z]+)(?:\([^)]*\))?\./.exec(value)?.[1];
  return operator !== undefined && OPERATORS.has(operator);
}

const OPERATORS: ReadonlySet<string> = new Set([...COMPARE_OPERATORS, ...SEARCH_OPERATORS, 'in', 'is']);

/** Deeper trees than this nobody writes by hand; each level is a stack frame here and in PostgreSQL. */
const MAX_TREE_DEPTH = 16;

function parseTree(scanner: Scanner, depth: number): Condition {
  if (depth > MAX_TREE_DEPTH) scanner.fail(`at most ${MAX_TREE_DEPTH} levels of and/or`);
  scanner.skipBlanks();
  const head = scanner.match(/(not\.)?(and|or)(?=[ \t]*\()/y);
  if (!head) return parseTreeFilter(scanner);
  scanner.skipBlanks();
  scanner.expect('(');
  const conditions: Condition[] = [];
  do conditions.push(parseTree(scanner, depth + 1));
  while (scanner.take(','));
  scanner.expect(')');
  scanner.skipBlanks();
  return { kind: head[2] === 'or' ? 'or' : 'and', negated: head[1] !== undefined, conditions };
}

function parseTreeFilter(scanner: Scanner): Condition {
  // `not.a.eq.1` is what supabase-js users write, `a.not.eq.1` is PostgREST's own form.
  const negatedBefore = scanner.take('not.');
  const field = scanner.field();
  scanner.expect('.');
  const negatedAfter = scanner.take('not.');
  const operation = parseOperation(scanner, 'tree', negatedAfter);
  scanner.skipBlanks();
  return { kind: 'filter', negated: negatedBefore !== negatedAfter, field, operation };
}

type Place = 'whole' | 'tree';

function parseOperation(scanner: Scanner, place: Place, negated: boolean): Operation {
  const word = scanner.peek(/[a-z]+(?=[.(])/y);
  if (word === undefined || !OPERATORS.has(word)) {
    scanner.fail(negated ? 'operator (eq, gt, ...)' : '"not" or operator (eq, gt, ...)');
  }
  scanner.take(word);

  if (word === 'in') {
    scanner.expect('.');
    return { kind: 'in', values: parseList(scanner) };
  }
  if (word === 'is') {
    scanner.expect('.');
    return { kind: 'is', value: parseIs(scanner) };
  }
  const search = SEARCH_OPERATORS.find((operator) => operator === word);
  if (search) {
    const config = scanner.match(/\(([\p{L}\p{N}_ $]+)\)/uy)?.[1]?.trim();
    scanner.expect('.');
    return { kind: 'search', operator: search, config, value: parseValue(scanner, place) };
  }
  const quantifiable = QUANTIFIABLE_OPERATORS.find((operator) => operator === word);
  const quantifier = quantifiable && scanner.match(/\((any|all)\)/y)?.[1];
  scanner.expect('.');
  const value = parseValue(scanner, place);
  if (quantifiable && (quantifier === 'any' || quantifier === 'all')) {
    return { kind: 'quantified', operator: quantifiable, quantifier, value };
  }
  return { kind: 'compare', operator: COMPARE_OPERATORS.find((operator) => operator === word)!, value };
}

function parseIs(scanner: Scanner) {
  const word = scanner.peek(/[a-z_]+/iy);
  const value = IS_VALUES.find((candidate) => candidate === word?.toLowerCase());
  if (word === undefined || !value) scanner.fail('isVal: (null, not_null, true, false, unknown)');
  scanner.take(word);
  return value;
}

function parseValue(scanner: Scanner, place: Place): string {
  if (place === 'whole') return scanner.rest();
  // In a tree a value ends at `,` or `)` unless it is quoted or an array literal.
  return scanner.quotedElement() ?? scanner.match(/\{[^{}]*\}|[^,)]*/y)?.[0] ?? '';
}

function parseList(scanner: Scanner): string[] {
  scanner.skipBlanks();
  scanner.expect('(');
  if (scanner.take(')')) return [];
  const values: string[] = [];
  do values.push(scanner.quotedElement() ?? scanner.match(/[^,)]*/y)?.[0] ?? '');
  while (scanner.take(','));
  scanner.expect(')');
  scanner.skipBlanks();
  return values;
}
