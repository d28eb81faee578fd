import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { StartupError } from '../startupError.ts';

const sqlRoot = fileURLToPath(new URL('../../sql/', import.meta.url));

/** Any number, the same in every server: several starts at once migrate one after the other. */
const migrationLock = 7_021_850_139_400n;

/**
 * Brings a database to this version: the numbered files of `sql/schema` once each, in order; the functions and
 * views of `sql/internal` and `sql/api` whenever one of their files has changed. All in one transaction.
 *
 * @throws StartupError when the database holds the article's own tables, which are never touched by accident.
 */
export async function migrate(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'nowcast migrate' });
  await client.connect();
  try {
    await migrateWith(client);
  } finally {
    await client.end();
  }
}

async function migrateWith(client: pg.Client): Promise<void> {
  const schemaFiles = await sqlFiles('schema');
  const interfaceFiles = [...(await sqlFiles('internal')), ...(await sqlFiles('api'))];
  const interfaceHash = hash(interfaceFiles.map((file) => file.text).join('\n'));

  await client.query('begin');
  try {
    await client.query(`select pg_advisory_xact_lock(${migrationLock})`);
    const { rows } = await client.query<{ ours: boolean; theirs: string | null }>(
      `select to_regclass('nowcast.migrations') is not null as ours,
        (select string_agg(c.relname, ', ' order by c.relname) from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relname in (
           'inference_logs', 'system_alerts', 'inference_metrics_hourly', 'daily_metrics_summary')) as theirs`,
    );
    if (!rows[0]!.ours) {
      if (rows[0]!.theirs !== null) {
        throw new StartupError(
          `This database already holds ${rows[0]!.theirs}, which Nowcast did not make: nothing was changed; point DATABASE_URL at an empty database, or rename those tables first.`,
          1,
        );
      }
      await client.query(`create schema nowcast`);
      await client.query(
        `create table nowcast.migrations (name text primary key, hash text not null, applied_at timestamptz not null default now())`,
      );
    }
    const applied = new Map(
      (
        await client.query<{ name: string; hash: string }>('select name, hash from nowcast.migrations')
      ).rows.map((row) => [row.name, row.hash]),
    );
    for (const file of schemaFiles) {
      if (applied.has(file.name)) continue;
      await run(client, file);
      await client.query('insert into nowcast.migrations (name, hash) values ($1, $2)', [
        file.name,
        hash(file.text),
      ]);
    }
    if (applied.get('interface') !== interfaceHash) {
      for (const file of interfaceFiles) await run(client, file);
      await client.query(
        `insert into nowcast.migrations (name, hash) values ('interface', $1)
         on conflict (name) do update set hash = excluded.hash, applied_at = now()`,
        [interfaceHash],
      );
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

interface SqlFile {
  readonly name: string;
  readonly text: string;
}

async function sqlFiles(folder: string): Promise<SqlFile[]> {
  const names = (await readdir(`${sqlRoot}${folder}`)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => ({
      name: `${folder}/${name}`,
      text: await readFile(`${sqlRoot}${folder}/${name}`, 'utf8'),
    })),
  );
}

async function run(client: pg.Client, file: SqlFile): Promise<void> {
  try {
    await client.query(file.text);
  } catch (error) {
    throw new Error(`${file.name}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
