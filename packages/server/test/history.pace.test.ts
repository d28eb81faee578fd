import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { archiveDay, isArchived, rowsState } from '../src/history/cold/archive.ts';
import { ranges } from '../src/history/cold/pace.ts';
import { type ColdPlace, coldPlace } from '../src/history/cold/place.ts';
import { giveWay } from '../src/history/giveWay.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

const day = '2025-02-03';
const relation = 'nowcast.inference_logs_20250203';
const rows = 7_001;
let pipeline: Pipeline;
let client: pg.PoolClient;
let directory: string;
let place: ColdPlace;
beforeAll(async () => {
  pipeline = await startPipeline();
  client = await pipeline.pool.connect();
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
  place = coldPlace(pathToFileURL(directory).href);
  await pipeline.query('select nowcast.create_partition($1)', [day]);
  // Many rows of one moment: a range may end between two of them.
  await pipeline.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms)
     select $1::timestamptz + n / 500 * interval '1 second', 'v' || n % 3, n from generate_series(1, $2::int) n`,
    [`${day}T10:00:00Z`, rows],
  );
});
afterAll(async () => {
  client.release(true);
  await pipeline.close();
  await rm(directory, { recursive: true, force: true });
});

describe('a gentle archive', () => {
  test('reads a day in several ranges, each row once and in order', async () => {
    const found: number[] = [];
    let count = 0;
    for await (const range of ranges(client, relation, 'gentle')) {
      const { rows: part } = await client.query<{ id: string }>(
        `select id from ${relation} ${range} order by timestamp, id`,
      );
      found.push(...part.map(({ id }) => Number(id)));
      count += 1;
    }
    const { rows: all } = await client.query<{ id: string }>(
      `select id from ${relation} order by timestamp, id`,
    );
    expect(count).toBeGreaterThan(1);
    expect(found).toEqual(all.map(({ id }) => Number(id)));
  });

  test('rests three times as long as it read while others write, and reads on once nobody does', async () => {
    let nowMs = 1_000_000;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    onTestFinished(() => void vi.restoreAllMocks());
    const rests: number[] = [];
    const pause = async (ms: number) => {
      rests.push(ms);
      nowMs += 1_000;
      // What other tests write at the same time is little beside the one, and nothing in a thousand years.
      if (rests.length === 1)
        await pipeline.query(`select pg_logical_emit_message(false, '', repeat('x', 1000000))`);
      else nowMs += 1_000 * 365 * 86_400_000;
    };
    const fresh = await pipeline.pool.connect();
    onTestFinished(() => fresh.release());
    let count = 0;
    for await (const _range of ranges(fresh, relation, 'gentle', pause)) {
      count += 1;
      nowMs += 100;
    }
    expect(rests).toEqual([300, 300]);
    expect(count).toBe(3);
  });

  test('holds the same rows as one at full pace, and knows it later', async () => {
    const names = ['id', 'timestamp', 'model_version', 'inference_time_ms', 'metadata'];
    expect(await rowsState(client, relation, names, 'gentle')).toEqual(
      await rowsState(client, relation, names, 'full'),
    );
    const gentle = await archiveDay(client, place, day, relation, { pace: 'gentle' });
    expect(gentle.rows).toBe(rows);
    expect(await isArchived(client, place, day, relation, 'full')).toBe(true);
    expect(await archiveDay(client, place, day, relation)).toEqual(gentle);
    expect(await isArchived(client, place, day, relation, 'gentle')).toBe(true);
    await client.query(
      `update ${relation} set inference_time_ms = 0 where id = (select max(id) from ${relation})`,
    );
    expect(await isArchived(client, place, day, relation, 'gentle')).toBe(false);
  });
});

describe('a day of large rows', () => {
  test('is archived in the memory that DuckDB may take', async () => {
    const large = '2025-02-04';
    await pipeline.query('select nowcast.create_partition($1)', [large]);
    await pipeline.query(
      `insert into nowcast.inference_logs_20250204 (timestamp, model_version, inference_time_ms, metadata)
       select $1::timestamptz + n * interval '1 second', 'v1', n, jsonb_build_object('text', n || repeat('x', 65000))
       from generate_series(1, 5000) n`,
      [`${large}T10:00:00Z`],
    );
    expect((await archiveDay(client, place, large, 'nowcast.inference_logs_20250204')).rows).toBe(5_000);
  });
});

describe('a process that gives way', () => {
  test('has the lowest priority, and so has its session', async () => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    try {
      // Linux refuses the second within 100 ms to whoever is not root.
      await Promise.all([giveWay(child.pid!), giveWay(child.pid!)]);
      expect(os.getPriority(child.pid)).toBe(os.constants.priority.PRIORITY_LOW);
      const autogroup = `/proc/${child.pid}/autogroup`;
      if (existsSync(autogroup)) expect(await readFile(autogroup, 'utf8')).toMatch(/nice 19$/m);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
