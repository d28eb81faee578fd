import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { coldPlace } from '../src/history/cold/place.ts';
import { runRetention } from '../src/history/retention.ts';
import { buildServer } from './support/processes.ts';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let directory: string;
beforeAll(async () => {
  await buildServer();
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
  const coldUrl = pathToFileURL(directory).href;
  // The query runs in a process of its own, which reads its settings from the environment.
  process.env.NOWCAST_COLD_URL = coldUrl;
  server = await startTestServer({
    NOWCAST_COLD_URL: coldUrl,
    NOWCAST_SERVICE_KEY: 'service',
    NOWCAST_ANON_KEY: 'anon',
  });
  const pool = new pg.Pool({ connectionString: server.databaseUrl });
  await pool.query(`select nowcast.create_partition('2025-01-05')`);
  await pool.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms)
     select t, 'v1', 100 from (values (timestamptz '2025-01-05 12:00Z'), (now())) v (t), generate_series(1, 20)`,
  );
  await runRetention(pool, {
    hotDays: 30,
    minuteDays: 3_650,
    coldDays: undefined,
    place: coldPlace(coldUrl),
  });
  await pool.end();
});
afterAll(async () => {
  delete process.env.NOWCAST_COLD_URL;
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

const ask = (body: unknown, key = 'service') => server.post('/history/query', body, { apikey: key });

describe('POST /history/query', () => {
  test('reads the archive and PostgreSQL together', async () => {
    const both = await ask({
      sql: 'select model_version, count(*)::int as n from inference_logs group by 1',
    });
    expect(both).toMatchObject({
      status: 200,
      body: { rows: [{ model_version: 'v1', n: 40 }], truncated: false },
    });
    const cold = await ask({ sql: 'select count(*)::int as n from inference_logs', until: '2025-01-31' });
    expect(cold.body.rows).toEqual([{ n: 20 }]);
  });

  test('says so when there are more rows than it gives', async () => {
    const { body } = await ask({ sql: 'select id from inference_logs', max_rows: 7 });
    expect(body.rows).toHaveLength(7);
    expect(body.truncated).toBe(true);
  });

  test.each([
    ["copy (select 1) to '/tmp/nowcast-query-test'", 'must be one SELECT'],
    ['select 1; select 2', 'must be one SELECT'],
    ['drop table hot_rows', 'must be one SELECT'],
    ["select * from read_text('/etc/hostname')", 'disabled by configuration'],
    ['selekt 1', 'syntax error'],
    ['select nothing_such from inference_logs', 'LINE 1: select nothing_such from'],
    ['select 1,\n  selekt from x y z', 'LINE 2:   selekt from x y z'],
    ['select model_version::int from inference_logs', "Could not convert string 'v1'"],
  ])('refuses %s: %s', async (sql, reason) => {
    const { status, body } = await ask({ sql });
    expect(status).toBe(400);
    expect(body.message).toMatch(/^The query /);
    expect(body.message).toContain(reason);
    expect(body.message).not.toContain('    at ');
  });

  test('names the field of a wrong request, and is there for a service key alone', async () => {
    expect((await ask({ sql: 7 })).body).toMatchObject({ field: 'sql' });
    expect((await ask({ sql: 'select 1', since: 'yesterday' })).body).toMatchObject({ field: 'since' });
    expect((await ask({ sql: 'select 1', until: '2025-02-30' })).body).toMatchObject({ field: 'until' });
    expect((await ask({ sql: 'select 1', since: '2025-01-02', until: '2025-01-01' })).body).toMatchObject({
      field: 'since',
      message: expect.stringContaining('must not lie after until'),
    });
    expect((await ask({ sql: 'select 1', max_rows: 0 })).body).toMatchObject({ field: 'max_rows' });
    expect((await ask({ sql: 'select 1' }, 'anon')).status).toBe(403);
  });
});
