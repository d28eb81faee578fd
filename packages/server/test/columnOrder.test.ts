/** Partitions hold their columns in an order of their own; those of earlier versions in that of inference_logs. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { dayOf, type InferenceEvent } from '@nowcast/protocol';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readBackup } from '../src/history/backup/read.ts';
import { writeBackup } from '../src/history/backup/write.ts';
import { coldPlace } from '../src/history/cold/place.ts';
import { restoreDay } from '../src/history/cold/restore.ts';
import { closePeriods } from '../src/history/etl.ts';
import { runRetention } from '../src/history/retention.ts';
import { migrate } from '../src/store/migrate.ts';
import { arbitraryEvent } from './support/events.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { createEmptyDatabase } from './support/postgres.ts';

let pipeline: Pipeline;
let directory: string;
beforeAll(async () => {
  pipeline = await startPipeline();
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
});
afterAll(async () => {
  await pipeline.close();
  await rm(directory, { recursive: true, force: true });
});

/** A day's partition as versions made it that kept the order of inference_logs. */
async function createEarlierPartition(day: string): Promise<void> {
  const table = `nowcast.inference_logs_${day}`;
  await pipeline.query(`drop table if exists ${table}`);
  await pipeline.query(
    `create table ${table} (like public.inference_logs including defaults including constraints including indexes)`,
  );
  await pipeline.query(`select nowcast.create_partition(to_date($1, 'YYYYMMDD'))`, [day]);
}

async function columnsOf(relation: string, pool: pg.Pool = pipeline.pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attnum`,
    [relation],
  );
  return rows.map(({ name }) => name);
}

/** All rows, each as text in the order of inference_logs. */
async function rowsOf(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ row: string }>(
    'select l::text as row from inference_logs l order by l.id',
  );
  return rows.map(({ row }) => row);
}

async function withClient<Result>(
  pool: pg.Pool,
  use: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  await client.query(`set timezone = 'UTC'`);
  try {
    return await use(client);
  } finally {
    client.release(true);
  }
}

async function insertBySql(events: readonly InferenceEvent[]): Promise<void> {
  const columns = Object.keys(events[0]!);
  await pipeline.query(
    `insert into inference_logs (${columns.join(',')})
     select ${columns.join(',')} from json_populate_recordset(null::inference_logs, $1)`,
    [JSON.stringify(events)],
  );
}

const dayMs = 86_400_000;
const nowMs = Date.now();
const yesterday = dayOf((nowMs - dayMs) * 1000);
const today = dayOf(nowMs * 1000);

describe("a day's partition", () => {
  test('has its columns of fixed width first, and every default, check and index of inference_logs', async () => {
    const database = await createEmptyDatabase();
    onTestFinished(database.drop);
    await migrate(database.url);
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    onTestFinished(() => pool.end());
    // What people add.
    await pool.query(
      `alter table inference_logs add column "Team" varchar(20) collate "C" default 'it''s' not null`,
    );
    await pool.query(`alter table inference_logs add column passes smallint default 1`);
    await pool.query(`alter table inference_logs add constraint "few passes" check (passes < 9)`);
    await pool.query(`create index on inference_logs (lower("Team"), passes desc) where passes > 1`);
    await pool.query(`select nowcast.create_partition('2025-01-01')`);
    await pool.query(
      `create table expected (like inference_logs including defaults including constraints including indexes)`,
    );
    const described = async (relation: string) => {
      const { rows } = await pool.query(
        `select (select json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation,
             a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) order by a.attname)
           from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
           where a.attrelid = r and a.attnum > 0) as columns,
         (select json_agg(pg_get_constraintdef(c.oid) order by 1) from (
           select oid from pg_constraint where conrelid = r and contype in ('c', 'p') order by pg_get_constraintdef(oid)
         ) c) as constraints,
         (select json_agg(i.using) from (
           select substring(pg_get_indexdef(indexrelid) from 'USING .*') as using
           from pg_index where indrelid = r order by 1
         ) i) as indexes
         from (select $1::regclass as r) t`,
        [relation],
      );
      return rows[0];
    };
    expect(await described('nowcast.inference_logs_20250101')).toEqual(await described('expected'));
    const columns = await columnsOf('nowcast.inference_logs_20250101', pool);
    expect(columns.slice(0, 4)).toEqual(['id', 'timestamp', 'inference_time_ms', 'confidence_score']);
    expect(columns.slice(columns.indexOf('feedback'), columns.indexOf('feedback') + 4)).toEqual([
      'feedback',
      'passes',
      'is_error',
      'model_version',
    ]);
    await pool.query(
      `insert into inference_logs (timestamp, model_version, inference_time_ms) values ('2025-01-01', 'v1', 1)`,
    );
    const { rows } = await pool.query('select "Team", passes, is_error, id from inference_logs');
    expect(rows).toEqual([{ Team: "it's", passes: 1, is_error: false, id: '1' }]);
  });

  test('of an earlier version works beside new ones through both doors, and columns are read in one order', async () => {
    await createEarlierPartition(yesterday);
    const parent = await columnsOf('public.inference_logs');
    expect(await columnsOf(`nowcast.inference_logs_${yesterday}`)).toEqual(parent);
    expect(await columnsOf(`nowcast.inference_logs_${today}`)).not.toEqual(parent);
    const events = fc.sample(arbitraryEvent, { numRuns: 200, seed: 7 }).map((event, index) => ({
      ...event,
      timestamp: new Date(nowMs - (index % 2) * dayMs).toISOString(),
      trace_id: `trace-${index}`,
      metadata: { index },
    }));
    await pipeline.take(events.slice(0, 100));
    await insertBySql(events.slice(100));
    const { fields, rows } = await pipeline.pool.query('select * from inference_logs order by id');
    expect(fields.map(({ name }) => name)).toEqual(parent);
    const byTrace = new Map(rows.map((row) => [row.trace_id, row]));
    for (const event of events) {
      expect(byTrace.get(event.trace_id)).toMatchObject({ ...event, timestamp: new Date(event.timestamp) });
    }
    const [named] = await pipeline.query<{ json: string }>(
      `select row_to_json(l)::text as json from inference_logs l where trace_id = 'trace-0'`,
    );
    expect(Object.keys(JSON.parse(named!.json) as object)).toEqual(parent);
    // A row that is corrected into another day moves into the other order.
    await pipeline.query(
      `update inference_logs set timestamp = timestamp + interval '1 day', is_error = true where trace_id = 'trace-1'`,
    );
    await pipeline.query(`delete from inference_logs where trace_id in ('trace-2', 'trace-3')`);
    while ((await pipeline.query<{ n: number }>('select nowcast.recompute_stale() as n'))[0]!.n > 0);
    await pipeline.query('select nowcast.compact()');
    expect(
      await pipeline.query(`select is_error, metadata from inference_logs where trace_id = 'trace-1'`),
    ).toEqual([{ is_error: true, metadata: { index: 1 } }]);
    expect(await pipeline.query(`select * from nowcast_recompute_check(now() - interval '5 days')`)).toEqual(
      [],
    );
  });

  test('of an earlier version is archived, brought back and backed up as new ones are', async () => {
    await createEarlierPartition('20250101');
    await pipeline.query(`select nowcast.create_partition('2025-01-02')`);
    for (const day of ['2025-01-01', '2025-01-02']) {
      await insertBySql(
        fc.sample(arbitraryEvent, { numRuns: 50, seed: 8 }).map((event) => ({
          ...event,
          timestamp: `${day}T10:00:00Z`,
        })),
      );
    }
    await pipeline.query('select nowcast.compact()');
    const rows = await rowsOf(pipeline.pool);
    const file = path.join(directory, 'backup');
    await withClient(pipeline.pool, (client) => writeBackup(client, file));

    const place = coldPlace(pathToFileURL(path.join(directory, 'cold')).href);
    await closePeriods(pipeline.pool, { zone: 'UTC', to: '2025-01-02' });
    await runRetention(pipeline.pool, { hotDays: 30, minuteDays: 3_650, coldDays: undefined, place });
    expect((await rowsOf(pipeline.pool)).length).toBe(rows.length - 100);
    for (const day of ['2025-01-01', '2025-01-02']) {
      expect(await withClient(pipeline.pool, (client) => restoreDay(client, place, day, 7))).toBe(50);
    }
    expect(await rowsOf(pipeline.pool)).toEqual(rows);

    const database = await createEmptyDatabase();
    onTestFinished(database.drop);
    await migrate(database.url);
    const target = new pg.Pool({ connectionString: database.url, max: 2 });
    onTestFinished(() => target.end());
    await withClient(target, (client) => readBackup(client, file));
    expect(await rowsOf(target)).toEqual(rows);
    expect((await target.query(`select * from nowcast_recompute_check('2024-01-01')`)).rows).toEqual([]);
  });
});
