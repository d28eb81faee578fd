import type pg from 'pg';

/** A column of inference_logs and what it is in DuckDB and Parquet. */
export interface ColdColumn {
  readonly name: string;
  readonly duckType: string;
}

/** Types by PostgreSQL's names; whatever else a column may be, JSON too, is kept as its text. */
const duckTypes: Readonly<Record<string, string>> = {
  bigint: 'BIGINT',
  integer: 'INTEGER',
  smallint: 'SMALLINT',
  'double precision': 'DOUBLE',
  real: 'REAL',
  boolean: 'BOOLEAN',
  'timestamp with time zone': 'TIMESTAMPTZ',
  date: 'DATE',
};

/** The columns of inference_logs as they are now. */
export async function rowColumns(client: pg.ClientBase | pg.Pool): Promise<ColdColumn[]> {
  const { rows } = await client.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = 'public.inference_logs'::regclass and attnum > 0 and not attisdropped order by attnum`,
  );
  return rows.map(({ name, type }) => ({ name, duckType: duckTypes[type] ?? 'VARCHAR' }));
}

/**
 * Count and fingerprint of a table's rows in PostgreSQL. Its hash functions keep their values from version to version,
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
