/**
 * The SQL of insert, upsert, update and delete. The body goes to PostgreSQL as one JSON value and is taken apart
 * there, so that every type is read by the database's own rules; the answer is built as that of a read.
 */
import type { Column, Relation } from '../catalog.ts';
import type { WriteAction } from '../published.ts';
import type { RestQuery } from './ast.ts';
import { notAllowed, RestError, unknownBodyColumn } from './errors.ts';
import { Parameters, quoteIdentifier, type Source, type Statement, whereSql } from './expression.ts';
import type { Format, Preferences } from './prefer.ts';
import { pageSql } from './read.ts';

export interface WriteRequest {
  action: WriteAction;
  relation: Relation;
  /** The relation as this scope reads it: for filters and for the representation. */
  source: Source;
  /** What this scope may set. */
  writable: readonly Column[];
  /** What it may set when an upsert meets an existing row; undefined: nothing. */
  updatable: readonly Column[] | undefined;
  query: RestQuery;
  preferences: Preferences;
  format: Format;
  body: string;
}

interface WritePlan {
  statement: Statement;
  prefix: string;
}

/** The statement's one row: how many rows were written and, if asked for, their representation. */
export interface WriteRow {
  affected: number;
  rows: number;
  body: string | null;
}

export function planWrite(request: WriteRequest): WritePlan {
  const { query, action, preferences } = request;
  const parameters = new Parameters();
  if (action !== 'insert') {
    if (query.where.length === 0) {
      // What hosted Supabase's safeupdate does: a forgotten filter must not touch every row.
      throw new RestError(400, '21000', `${action.toUpperCase()} requires a WHERE clause`);
    }
    if (query.limit !== undefined || query.offset > 0) {
      throw new RestError(400, 'PGRST127', 'Feature not implemented', {
        details: `limit and offset do not bound what ${action} changes; use a filter.`,
      });
    }
  }
  const written = writtenSql(request, parameters);
  if (preferences.return !== 'representation') {
    return {
      statement: {
        text: `with written as (${written} returning 1) select count(*)::int4 as affected, 0 as rows, null::text as body from written`,
        values: parameters.values,
      },
      prefix: '',
    };
  }
  const returned = request.source.columns.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ');
  const page = pageSql(
    { source: request.source, query: { ...query, where: [] }, format: request.format, headersOnly: false },
    'written',
    parameters,
  );
  return {
    statement: {
      text:
        `with written as (${written} returning ${returned}), page as (${page.rowsSql}) ` +
        `select (select count(*)::int4 from written) as affected, count(*)::int4 as rows, ${page.bodySql} as body from page as p`,
      values: parameters.values,
    },
    prefix: page.prefix,
  };
}

function writtenSql(request: WriteRequest, parameters: Parameters): string {
  const target = `"public".${quoteIdentifier(request.relation.name)} as t`;
  switch (request.action) {
    case 'insert':
      return insertSql(target, request, parameters);
    case 'update':
      return updateSql(target, request, parameters);
    case 'delete':
      return `delete from ${target}${whereSql(request.query.where, request.source, parameters)}`;
  }
}

function insertSql(target: string, request: WriteRequest, parameters: Parameters): string {
  const { query, preferences, body } = request;
  const payload = parseBody(body);
  const rows = Array.isArray(payload) ? payload : [payload];
  const names = query.columns ?? commonKeys(rows);
  const columns = bodyColumns(names, request.writable, request);
  const conflict = conflictSql(request, columns);
  if (columns.length === 0) {
    // `{}` is a row of defaults; several of them have no common SQL form and no use.
    if (rows.length > 1) throw new RestError(400, 'PGRST102', 'A bulk insert needs at least one column');
    return rows.length === 0
      ? `insert into ${target} select where false`
      : `insert into ${target} default values${conflict}`;
  }
  const list = columns.map((column) => quoteIdentifier(column.name)).join(', ');
  const record = recordType(columns);
  // The client's own text, not re-encoded: a number keeps all its digits.
  const json = parameters.bind(Array.isArray(payload) ? body : `[${body}]`, 'json');
  if (!preferences.missingAsDefault) {
    return `insert into ${target} (${list}) select ${list} from json_to_recordset(${json}) as r(${record})${conflict}`;
  }
  const values = columns.map((column) => {
    const reference = `r.${quoteIdentifier(column.name)}`;
    return `case when e.j -> ${quoteLiteral(column.name)} is null then ${column.defaultExpression ?? 'null'} else ${reference} end`;
  });
  return `insert into ${target} (${list}) select ${values.join(', ')} from json_array_elements(${json}) as e(j), json_to_record(e.j) as r(${record})${conflict}`;
}

function updateSql(target: string, request: WriteRequest, parameters: Parameters): string {
  const payload = parseBody(request.body);
  if (Array.isArray(payload)) {
    throw new RestError(400, 'PGRST102', 'An update takes one JSON object');
  }
  const columns = bodyColumns(request.query.columns ?? Object.keys(payload), request.writable, request);
  const where = whereSql(request.query.where, request.source, parameters);
  if (columns.length === 0) {
    // Nothing to set: no row changes, and the filters are still checked.
    const column = quoteIdentifier(request.writable[0]!.name);
    return `update ${target} set ${column} = t.${column}${where} and false`;
  }
  const assignments = columns.map((column) => {
    const name = quoteIdentifier(column.name);
    return `${name} = r.${name}`;
  });
  return `update ${target} set ${assignments.join(', ')} from json_to_record(${parameters.bind(request.body, 'json')}) as r(${recordType(columns)})${where}`;
}

function conflictSql(request: WriteRequest, columns: readonly Column[]): string {
  const { preferences, query, relation, source } = request;
  if (preferences.resolution === undefined) return '';
  const names =
    query.onConflict ?? relation.columns.filter((column) => column.isPrimaryKey).map((column) => column.name);
  const known = names.map((name) => {
    const column = relation.columns.find((candidate) => candidate.name === name);
    if (!column) throw unknownBodyColumn(relation.name, name);
    return column;
  });
  if (known.length === 0) return '';
  const target = ` on conflict (${known.map((column) => quoteIdentifier(column.name)).join(', ')})`;
  if (preferences.resolution === 'ignore-duplicates' || columns.length === 0) return `${target} do nothing`;
  const { updatable } = request;
  if (!updatable) throw notAllowed(source.scope, `table ${relation.name}`);
  for (const column of columns) {
    if (!updatable.includes(column)) {
      throw notAllowed(source.scope, `column ${column.name} of table ${relation.name}`);
    }
  }
  const assignments = columns.map((column) => {
    const name = quoteIdentifier(column.name);
    return `${name} = excluded.${name}`;
  });
  return `${target} do update set ${assignments.join(', ')}`;
}

type JsonObject = Record<string, unknown>;

function parseBody(body: string): JsonObject | JsonObject[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new RestError(400, 'PGRST102', 'Empty or invalid json');
  }
  if (isObject(parsed)) return parsed;
  if (Array.isArray(parsed) && parsed.every(isObject)) return parsed;
  throw new RestError(400, 'PGRST102', 'The body must be a JSON object or an array of objects');
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function commonKeys(rows: readonly JsonObject[]): string[] {
  const first = Object.keys(rows[0] ?? {});
  const keys = new Set(first);
  for (const row of rows) {
    const own = Object.keys(row);
    if (own.length !== keys.size || !own.every((key) => keys.has(key))) {
      throw new RestError(400, 'PGRST102', 'All object keys must match', {
        hint: 'Name the columns in the columns parameter, as supabase-js does.',
      });
    }
  }
  return first;
}

function bodyColumns(names: readonly string[], writable: readonly Column[], request: WriteRequest): Column[] {
  return names.map((name) => {
    const column = writable.find((candidate) => candidate.name === name);
    if (column) return column;
    const { relation, source } = request;
    if (relation.columns.some((candidate) => candidate.name === name)) {
      throw notAllowed(source.scope, `column ${name} of table ${relation.name}`);
    }
    throw unknownBodyColumn(relation.name, name);
  });
}

function recordType(columns: readonly Column[]): string {
  return columns.map(({ name, type }) => `${quoteIdentifier(name)} ${quoteIdentifier(type)}`).join(', ');
}

function quoteLiteral(fromCatalog: string): string {
  const quoted = `'${fromCatalog.replaceAll("'", "''")}'`;
  return quoted.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
