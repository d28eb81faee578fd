/**
 * The SQL of a read: one statement whose only row holds the encoded body and the counts. PostgreSQL builds the
 * JSON, so that every type looks as it does from PostgREST and from realtime; the text is sent on unread.
 */
import type { RestQuery, SelectItem } from './ast.ts';
import { RestError } from './errors.ts';
import {
  castSql,
  columnOf,
  fieldSql,
  orderSql,
  Parameters,
  quoteIdentifier,
  type Source,
  type Statement,
  whereSql,
} from './expression.ts';
import type { Format, Preferences } from './prefer.ts';

/** As on hosted Supabase: more rows are cut silently; `Content-Range` and paging tell. */
export const MAX_ROWS = 1_000;
/** Functions answer sums: an hour of 30 models by the minute has 1,800 rows, and half of it would mislead. */
export const MAX_FUNCTION_ROWS = 10_000;

export interface ReadRequest {
  source: Source;
  /** SQL of what is read, made from the catalog: `"public"."x"` or a function call with its arguments. */
  from: (parameters: Parameters) => string;
  query: RestQuery;
  count: Preferences['count'];
  format: Format;
  /** HEAD: rows are counted, not encoded. */
  headersOnly: boolean;
  /** Rows of the answer at most; MAX_ROWS when absent. */
  maxRows?: number;
}

export interface ReadPlan {
  statement: Statement;
  /** `explain` whose estimate is the count, for `count=planned` and `estimated`. */
  estimate: Statement | undefined;
  /** The header line of a CSV body. */
  prefix: string;
}

/** The columns of the one row that the statement returns. */
export interface ReadRow {
  rows: number;
  body: string | null;
  total: string | null;
}

export function planRead(request: ReadRequest): ReadPlan {
  const { count } = request;
  const parameters = new Parameters();
  const from = request.from(parameters);
  const page = pageSql(request, from, parameters);
  // The page's own placeholders once more: a second set would need its values bound twice.
  const matching = `${from} as t${page.where}`;
  let total = 'null::text';
  if (count === 'exact') total = `(select count(*) from ${matching})::text`;
  if (count === 'estimated') {
    // Exact while small: the estimate of a small table is often far off.
    total = `(select count(*) from (select from ${matching} limit ${MAX_ROWS + 1}) as c)::text`;
  }
  return {
    statement: {
      text: `with page as (${page.rowsSql}) select count(*)::int4 as rows, ${page.bodySql} as body, ${total} as total from page as p`,
      values: parameters.values,
    },
    estimate: count === 'planned' || count === 'estimated' ? planEstimate(request) : undefined,
    prefix: page.prefix,
  };
}

interface PageSql {
  rowsSql: string;
  where: string;
  /** An aggregate over the rows of `p`. */
  bodySql: string;
  prefix: string;
}

/** The page itself and its encoding, apart from counts: reads and representations of writes share it. */
export function pageSql(
  request: Pick<ReadRequest, 'source' | 'query' | 'format' | 'headersOnly' | 'maxRows'>,
  from: string,
  parameters: Parameters,
): PageSql {
  const { source, query, format, headersOnly, maxRows = MAX_ROWS } = request;
  const output = outputColumns(query.select, source, parameters);
  const limit = Math.min(query.limit ?? maxRows, maxRows);
  const where = whereSql(query.where, source, parameters);
  const rowsSql =
    `select ${output.columns.map((column) => column.sql).join(', ')} from ${from} as t${where}` +
    orderSql(query.order, source, parameters) +
    ` limit ${parameters.bind(limit, 'int8')} offset ${parameters.bind(query.offset, 'int8')}`;
  if (headersOnly) return { rowsSql, where, bodySql: 'null::text', prefix: '' };
  if (format.kind === 'csv') {
    return {
      rowsSql,
      where,
      bodySql: `coalesce(string_agg(${csvRowSql(output)}, chr(10)), '')`,
      prefix: `${output.columns.map((column) => csvField(column.key)).join(',')}\n`,
    };
  }
  const row = jsonRowSql(output, parameters);
  const rows = `json_agg(${format.nullsStripped ? `json_strip_nulls(${row.asJson})` : row.asValue})`;
  return {
    rowsSql,
    where,
    bodySql: format.kind === 'object' ? `(${rows} -> 0)::text` : `coalesce(${rows}::text, '[]')`,
    prefix: '',
  };
}

interface Output {
  columns: readonly OutputColumn[];
  /** Every column has its catalog name: the row itself can be turned into JSON. */
  plain: boolean;
}

interface OutputColumn {
  /** The name that the client sees; from the client when it is an alias. */
  key: string;
  sql: string;
  /** The column's name within `page`. */
  reference: string;
}

function outputColumns(select: readonly SelectItem[], source: Source, parameters: Parameters): Output {
  const items = select.flatMap((item): Exclude<SelectItem, { kind: 'all' }>[] =>
    item.kind === 'field'
      ? [item]
      : source.columns.map((column) => ({
          kind: 'field',
          field: { column: column.name, path: [] },
          cast: undefined,
          alias: undefined,
        })),
  );
  const plain = items.every((item) => item.field.path.length === 0 && !item.cast && item.alias === undefined);
  if (plain) {
    const names = new Set(items.map((item) => columnOf(source, item.field.column).name));
    const columns = [...names].map((name) => {
      const reference = quoteIdentifier(name);
      return { key: name, sql: `t.${reference}`, reference };
    });
    return { columns, plain };
  }
  const columns = items.map((item, index) => {
    const expression = fieldSql(item.field, source, parameters);
    const reference = `c${index}`;
    return {
      key: item.alias ?? lastName(item.field.path) ?? item.field.column,
      sql: `${item.cast === undefined ? expression : castSql(expression, item.cast)} as ${reference}`,
      reference,
    };
  });
  return { columns, plain };
}

/** `a->b->0` is called `b`: the last name of the path, as PostgREST does. */
function lastName(path: readonly { key: string | number }[]): string | undefined {
  return path.findLast((step) => typeof step.key === 'string')?.key.toString();
}

/** A PostgreSQL function takes at most 100 arguments, which are keys and values here. */
const MAX_BUILT_PAIRS = 50;

function jsonRowSql(output: Output, parameters: Parameters): { asValue: string; asJson: string } {
  // An alias is the client's text and therefore a bound value, which a column name cannot be.
  if (output.plain) return { asValue: 'p', asJson: 'row_to_json(p)' };
  if (output.columns.length > MAX_BUILT_PAIRS) {
    throw new RestError(
      400,
      'PGRST100',
      `more than ${MAX_BUILT_PAIRS} columns in a select that renames or casts`,
    );
  }
  const pairs = output.columns.map(
    (column) => `${parameters.bind(column.key, 'text')}, p.${column.reference}`,
  );
  const built = `json_build_object(${pairs.join(', ')})`;
  return { asValue: built, asJson: built };
}

/** RFC 4180 in SQL; an empty field is null, `""` is the empty string. */
function csvRowSql(output: Output): string {
  if (output.columns.length === 0) return `''`;
  return output.columns
    .map(({ reference }) => {
      const text = `p.${reference}::text`;
      return `case when p.${reference} is null then '' when ${text} = '' or ${text} ~ '[",\\r\\n]' then '"' || replace(${text}, '"', '""') || '"' else ${text} end`;
    })
    .join(` || ',' || `);
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function planEstimate({ from, query, source }: ReadRequest): Statement {
  const parameters = new Parameters();
  const relation = from(parameters);
  const where = whereSql(query.where, source, parameters);
  return { text: `explain (format json) select from ${relation} as t${where}`, values: parameters.values };
}
