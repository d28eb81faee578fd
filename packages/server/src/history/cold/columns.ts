import type pg from 'pg';

/** A column of inference_logs: what it is in DuckDB and Parquet, and how it comes out of PostgreSQL. */
export interface ColdColumn {
  readonly name: string;
  readonly duckType: string;
  readonly form: WireForm;
  /** What PostgreSQL is asked for; its type is the form's. */
  readonly fromTable: string;
  /** DuckDB's expressions for the value out of the form, and for the form out of the value. */
  readonly toValue: string;
  readonly toForm: string;
}

/** How values cross: eight or four bytes whose order is turned around, or text. */
export type WireForm = 'int8' | 'float8' | 'int4' | 'float4' | 'text';

interface Crossing {
  readonly duckType: string;
  readonly form: WireForm;
  readonly fromTable?: (column: string) => string;
  readonly toValue?: (column: string) => string;
  readonly toForm?: (column: string) => string;
}

const same = (column: string) => column;

/** PostgreSQL counts microseconds and days from 2000 on, and its infinities are the largest and the smallest number. */
const epochMicros = 946_684_800_000_000;
const epochDay = `date '2000-01-01'`;

/** By PostgreSQL's names of types; whatever else a column may be, JSON too, is kept as its text. */
const crossings: Readonly<Record<string, Crossing>> = {
  bigint: { duckType: 'BIGINT', form: 'int8' },
  integer: { duckType: 'INTEGER', form: 'int4' },
  smallint: {
    duckType: 'SMALLINT',
    form: 'int4',
    fromTable: (column) => `${column}::integer`,
    toValue: (column) => `${column}::smallint`,
    toForm: (column) => `${column}::integer`,
  },
  'double precision': { duckType: 'DOUBLE', form: 'float8' },
  real: { duckType: 'REAL', form: 'float4' },
  boolean: {
    duckType: 'BOOLEAN',
    form: 'int4',
    fromTable: (column) => `${column}::integer`,
    toValue: (column) => `${column}::boolean`,
    toForm: (column) => `${column}::integer`,
  },
  'timestamp with time zone': {
    duckType: 'TIMESTAMPTZ',
    form: 'int8',
    toValue: (column) => finiteOr(column, 63, 'timestamptz', `make_timestamptz(${column} + ${epochMicros})`),
    toForm: (column) => formOfFinite(column, 63, 'bigint', `epoch_us(${column}) - ${epochMicros}`),
  },
  date: {
    duckType: 'DATE',
    form: 'int4',
    toValue: (column) => finiteOr(column, 31, 'date', `${epochDay} + ${column}`),
    toForm: (column) => formOfFinite(column, 31, 'integer', `(${column} - ${epochDay})::integer`),
  },
};
const asText: Crossing = { duckType: 'VARCHAR', form: 'text', fromTable: (column) => `${column}::text` };

function finiteOr(column: string, bits: 31 | 63, type: string, finite: string): string {
  const [least, largest] = extremes(bits);
  return `case ${column} when ${largest} then 'infinity'::${type} when ${least} then '-infinity'::${type} else ${finite} end`;
}

function formOfFinite(column: string, bits: 31 | 63, type: string, finite: string): string {
  const [least, largest] = extremes(bits);
  return `case when isfinite(${column}) then ${finite} when ${column} = 'infinity' then ${largest}::${type} when ${column} = '-infinity' then ${least}::${type} end`;
}

function extremes(bits: 31 | 63): [string, string] {
  const half = 2n ** BigInt(bits);
  return [`(${-half})`, `${half - 1n}`];
}

/** The columns of inference_logs as they are now. */
export async function rowColumns(client: pg.ClientBase | pg.Pool): Promise<ColdColumn[]> {
  const { rows } = await client.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = 'public.inference_logs'::regclass and attnum > 0 and not attisdropped order by attnum`,
  );
  return rows.map(({ name, type }) => coldColumn(name, type));
}

/** @param type as format_type() names it */
export function coldColumn(name: string, type: string): ColdColumn {
  const { duckType, form, fromTable = same, toValue = same, toForm = same } = crossings[type] ?? asText;
  const column = identifier(name);
  return {
    name,
    duckType,
    form,
    fromTable: fromTable(column),
    toValue: toValue(column),
    toForm: toForm(column),
  };
}

/**
 * Count and fingerprint of a table's rows in PostgreSQL, or of those that a WHERE behind its name leaves. Its hash functions keep their values from version to version,
 * because hash partitions rest on them.
 */
export function fingerprintQuery(relation: string, columnNames: readonly string[]): string {
  return `select count(*) as rows, coalesce(sum(hash_record_extended(row(${columnNames.map(identifier).join(', ')}), 0)::numeric), 0)::text as fingerprint
    from ${relation}`;
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
