import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diagnose } from '../src/history/doctor.ts';
import { dueDays } from '../src/history/retention.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 1 });
  await pool.query(`select nowcast.create_partition('2025-01-05')`);
  await pool.query('alter table nowcast.inference_logs_20250105 set (autovacuum_enabled = off)');
  await pool.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms)
     select timestamptz '2025-01-05 12:00Z', 'v1', 100 from generate_series(1, 20)`,
  );
  // A session hands in its counts ten seconds after it fell idle, unless it is told to.
  await pool.query('select pg_stat_force_next_flush()');
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

test('rows are counted before anybody has analyzed their table', async () => {
  const { events } = await diagnose(pool, 30);
  expect(events).toMatchObject({ rows: 20, days: 1, bytes_per_event: expect.any(Number) });
});

test('a day that would go is named with its number of rows', async () => {
  expect(await dueDays(pool, 30)).toMatchObject([{ day: '2025-01-05', rows: 20 }]);
});
