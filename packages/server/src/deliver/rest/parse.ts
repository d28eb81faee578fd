/**
 * Parses a query string into a RestQuery. Pure; throws only RestError (PGRST100 and its like).
 * Grammar: https://docs.postgrest.org/en/stable/references/api/tables_views.html
 */
import type { Condition, OrderTerm, RestQuery, SelectItem } from './ast.ts';
import { RestError } from './errors.ts';
import { isLogicKey, parseFilter, parseLogic } from './filter.ts';
import { Scanner } from './scanner.ts';

/** `relationName` appears in the errors about what cannot be selected. */
export function parseQuery(parameters: Iterable<[string, string]>, relationName: string): RestQuery {
  let select: readonly SelectItem[] = [{ kind: 'all' }];
  let order: readonly OrderTerm[] = [];
  let limit: number | undefined;
  let offset = 0;
  let columns: readonly string[] | undefined;
  let onConflict: readonly string[] | undefined;
  const where: Condition[] = [];

  for (const [key, value] of parameters) {
    switch (key) {
      case 'select':
        select = parseSelect(value, relationName);
        break;
      case 'order':
        if (value !== '') order = parseOrder(value);
        break;
      case 'limit':
        limit = parseCount(value) ?? limit;
        break;
      case 'offset':
        offset = parseCount(value) ?? offset;
        break;
      case 'columns':
        columns = parseNames(value, key);
        break;
      case 'on_conflict':
        onConflict = parseNames(value, key);
        break;
      case 'apikey':
        break; // the key may travel in the URL; whoever checked it has read it there
      default:
        where.push(isLogicKey(key) ? parseLogic(key, value) : parseFilter(key, value));
    }
  }
  if (countFilters(where) > MAX_FILTERS) {
    throw new RestError(400, 'PGRST100', `more than ${MAX_FILTERS} filters in one request`, {
      hint: 'Use in.(…) for a list of values.',
    });
  }
  if (limit !== undefined && limit < 0) {
    throw new RestError(416, 'PGRST103', 'Requested range not satisfiable', {
      details: 'Limit should be greater than or equal to zero.',
    });
  }
  return { select, where, order, limit, offset: Math.max(0, offset), columns, onConflict };
}

/** Bounds what PostgreSQL has to plan; a list of values counts as one filter. */
const MAX_FILTERS = 100;
/** PostgreSQL itself stops at 1,664 output columns. */
const MAX_SELECT_ITEMS = 200;
const MAX_ORDER_TERMS = 32;

function parseSelect(text: string, relationName: string): SelectItem[] {
  const items: SelectItem[] = [];
  const scanner = new Scanner(text, `failed to parse select parameter (${text})`);
  scanner.skipBlanks();
  if (scanner.atEnd) return items;
  do {
    scanner.skipBlanks();
    items.push(parseSelectItem(scanner, relationName));
    scanner.skipBlanks();
    if (items.length > MAX_SELECT_ITEMS) scanner.fail(`at most ${MAX_SELECT_ITEMS} items`);
  } while (scanner.take(','));
  scanner.end('"," or end of input');
  return items;
}

function parseSelectItem(scanner: Scanner, relationName: string): SelectItem {
  if (scanner.match(/\*(?=[ \t]*(?:,|$))/y)) return { kind: 'all' };
  if (scanner.take('...')) throw noRelationship(relationName, scanner.name());
  let alias: string | undefined;
  if (scanner.peek(/(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^":,()]+):(?!:)/y) !== undefined) {
    alias = scanner.name();
    scanner.expect(':');
  }
  const field = scanner.field();
  if (scanner.match(/(?:\.(?:avg|count|max|min|sum))?\(\)/y) || scanner.startsWith('.')) {
    throw new RestError(400, 'PGRST123', 'Use of aggregate functions is not allowed', {
      hint: 'The metrics views and functions answer aggregates from summaries: see /rest/v1/rpc/metrics.',
    });
  }
  if (scanner.startsWith('(') || scanner.startsWith('!')) throw noRelationship(relationName, field.column);
  let cast: string | undefined;
  if (scanner.take('::')) {
    cast = scanner.match(/[\p{L}\p{N}_ $]+/uy)?.[0].trim();
    if (cast === undefined) scanner.fail('letter or digit');
  }
  return { kind: 'field', field, cast, alias };
}

const noRelationship = (parent: string, child: string) =>
  new RestError(
    400,
    'PGRST200',
    `Could not find a relationship between '${parent}' and '${child}' in the schema cache`,
    {
      details: `Searched for a foreign key relationship between '${parent}' and '${child}' in the schema 'public', but no matches were found.`,
    },
  );

function parseOrder(text: string): OrderTerm[] {
  const scanner = new Scanner(text, `failed to parse order (${text})`);
  const terms: OrderTerm[] = [];
  do {
    scanner.skipBlanks();
    const field = scanner.field();
    const direction = scanner.match(/\.(asc|desc)(?![\p{L}\p{N}_])/uy)?.[1];
    const nulls = scanner.match(/\.nulls(first|last)(?![\p{L}\p{N}_])/uy)?.[1];
    scanner.skipBlanks();
    if (!scanner.atEnd && !scanner.startsWith(',')) {
      scanner.fail(direction ? '"nullsfirst" or "nullslast"' : '"asc", "desc", "nullsfirst" or "nullslast"');
    }
    terms.push({
      field,
      descending: direction === 'desc',
      nulls: nulls === 'first' || nulls === 'last' ? nulls : undefined,
    });
    if (terms.length > MAX_ORDER_TERMS) scanner.fail(`at most ${MAX_ORDER_TERMS} terms`);
  } while (scanner.take(','));
  return terms;
}

function parseNames(text: string, parameter: string): string[] {
  const scanner = new Scanner(text, `failed to parse ${parameter} parameter (${text})`);
  const names: string[] = [];
  do {
    scanner.skipBlanks();
    names.push(scanner.name());
    scanner.skipBlanks();
  } while (scanner.take(','));
  scanner.end('"," or end of input');
  return [...new Set(names)];
}

/** What is not a whole number is ignored, as PostgREST does. */
function parseCount(text: string): number | undefined {
  if (!/^\s*-?\d+\s*$/.test(text)) return undefined;
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(text)));
}

function countFilters(conditions: readonly Condition[]): number {
  let count = 0;
  for (const condition of conditions) {
    count += condition.kind === 'filter' ? 1 : countFilters(condition.conditions);
  }
  return count;
}
