import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';

const schemaFolder = fileURLToPath(new URL('../../../sql/schema/', import.meta.url));

/**
 * What nobody misses: the feed is forgotten after an hour, the pulse and the figures of buckets are made anew,
 * and who judges the rules is settled within seconds. Days of rows are listed apart.
 */
const leftOut = [
  'nowcast.feed',
  'nowcast.engine_lease',
  'nowcast.bucket_figures',
  'public.metrics_pulse',
  'public.inference_logs',
];

export interface BackupTable {
  readonly name: string;
  readonly columns: readonly string[];
}

/**
 * The tables that Nowcast's migrations made and their columns, each after those that it refers to. Whatever else is in
 * the database is not Nowcast's.
 */
export async function ownTables(client: pg.ClientBase): Promise<BackupTable[]> {
  const made = await madeByMigrations('table');
  const { rows } = await client.query<{ name: string; columns: string[]; refers_to: string[] }>(
    `select n.nspname || '.' || c.relname as name,
       (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
       coalesce((select array_agg(distinct rn.nspname || '.' || r.relname)
        from pg_constraint k join pg_class r on r.oid = k.confrelid join pg_namespace rn on rn.oid = r.relnamespace
        where k.conrelid = c.oid and k.contype = 'f' and r.oid <> c.oid), '{}') as refers_to
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname || '.' || c.relname = any ($1) order by 1`,
    [made.filter((name) => !leftOut.includes(name))],
  );
  const ordered: BackupTable[] = [];
  const waiting = [...rows];
  while (waiting.length > 0) {
    const placed = ordered.map(({ name }) => name);
    const next = waiting.findIndex(({ refers_to }) =>
      refers_to.every((name) => placed.includes(name) || !waiting.some((one) => one.name === name)),
    );
    if (next === -1)
      throw new Error(`tables refer to each other in a circle: ${waiting.map(({ name }) => name)}`);
    const { name, columns } = waiting.splice(next, 1)[0]!;
    ordered.push({ name, columns });
  }
  return ordered;
}

/** Names of what the migrations create: tables with their schema, indexes without. */
export async function madeByMigrations(kind: 'table' | 'index'): Promise<string[]> {
  const files = (await readdir(schemaFolder)).filter((name) => name.endsWith('.sql'));
  const texts = await Promise.all(files.map((name) => readFile(`${schemaFolder}${name}`, 'utf8')));
  const pattern =
    kind === 'table'
      ? /^create (?:unlogged )?table (?:if not exists )?((?:public|nowcast)\.\w+)/gm
      : /^create (?:unique )?index (?:if not exists )?(\w+)/gm;
  return texts.flatMap((text) => [...text.matchAll(pattern)].map((match) => match[1]!));
}
