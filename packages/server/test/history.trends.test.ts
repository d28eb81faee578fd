import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closePeriods } from '../src/history/etl.ts';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let pool: pg.Pool;
let retentionLock: pg.PoolClient;
beforeAll(async () => {
  server = await startTestServer();
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 3 });
  // These days are older than the server keeps rows: its retention, a minute after its start, finds another one at work.
  retentionLock = await pool.connect();
  await retentionLock.query('select pg_advisory_lock(7021850139405)');
  await pool.query(
    `select nowcast.create_partition(d::date) from generate_series(timestamp '2024-09-01', '2024-10-31', '1 day') d`,
  );
});
afterAll(async () => {
  retentionLock.release(true);
  await pool.end();
  await server.close();
});

/** Events at noon: so many of a model, with this latency, so many of them wrong. */
async function insert(
  day: string,
  model: string,
  requests: number,
  latencyMs: number,
  errors: number,
): Promise<void> {
  await pool.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms, is_error, cost_usd)
     select $1::date + interval '12 hours', $2, $4, i <= $5, 0.5 from generate_series(1, $3::integer) i`,
    [day, model, requests, latencyMs, errors],
  );
}

async function close(): Promise<void> {
  await closePeriods(pool, { zone: 'UTC', to: '2024-10-31' });
}

describe('weekly_metrics_trend', () => {
  test('adds a week up and compares it with the one before and the one four weeks before', async () => {
    // Weeks from Mondays: 2, 23 and 30 September.
    for (const [day, requests, latencyMs, errors] of [
      ['2024-09-02', 10, 100, 0],
      ['2024-09-03', 10, 100, 0],
      ['2024-09-23', 20, 100, 2],
      ['2024-09-24', 40, 130, 4],
      ['2024-09-30', 30, 150, 3],
      ['2024-10-01', 30, 180, 9],
      ['2024-10-02', 60, 150, 0],
    ] as const) {
      await insert(day, 'weekly', requests, latencyMs, errors);
    }
    await close();
    const { rows } = await pool.query(
      `select period_start::text, days, total_requests::int, total_errors::int, avg_latency_ms, p95_latency_ms, error_rate_pct, cost_usd,
         requests_change_pct, requests_change_margin_pct, avg_latency_change_pct, avg_latency_change_margin_pct,
         error_rate_change_points, error_rate_change_margin_points, requests_change_pct_4w, avg_latency_change_pct_4w
       from weekly_metrics_trend where model_version = 'weekly' order by period_start`,
    );
    expect(
      rows.map((row) => [
        row.period_start,
        row.days,
        row.total_requests,
        row.total_errors,
        row.error_rate_pct,
        row.cost_usd,
      ]),
    ).toEqual([
      ['2024-09-02', 2, 20, 0, 0, 10],
      ['2024-09-23', 2, 60, 6, 10, 30],
      ['2024-09-30', 3, 120, 12, 10, 60],
    ]);
    const [first, before, last] = rows;
    expect(first!.requests_change_pct).toBe(null);
    expect(first!.avg_latency_change_margin_pct).toBe(null);
    expect(before!.avg_latency_ms).toBe(120);
    expect(last!.avg_latency_ms).toBe(157.5);
    expect(Math.abs(last!.p95_latency_ms / 180 - 1)).toBeLessThan(0.01);
    expect(last!.requests_change_pct).toBeCloseTo(100 * (40 / 30 - 1), 9);
    expect(last!.avg_latency_change_pct).toBeCloseTo(31.25, 9);
    expect(last!.error_rate_change_points).toBeCloseTo(0, 9);
    expect(last!.requests_change_pct_4w).toBeCloseTo(300, 9);
    expect(last!.avg_latency_change_pct_4w).toBeCloseTo(57.5, 9);
    // The variance of a ratio by days: k / (k - 1) * sum (y - R n)^2 / (sum n)^2, and t(3) = 3.182.
    const variance = (days: [number, number][]) => {
      const n = days.reduce((sum, [requests]) => sum + requests, 0);
      const ratio = days.reduce((sum, [requests, mean]) => sum + requests * mean, 0) / n;
      const squares = days.reduce((sum, [requests, mean]) => sum + (requests * (mean - ratio)) ** 2, 0);
      return { ratio, variance: (days.length / (days.length - 1)) * (squares / n ** 2) };
    };
    const margin = (now: [number, number][], old: [number, number][], relative: boolean) => {
      const a = variance(now);
      const b = variance(old);
      return relative
        ? (100 * 3.182 * Math.sqrt(a.variance + (a.ratio / b.ratio) ** 2 * b.variance)) / b.ratio
        : 100 * 3.182 * Math.sqrt(a.variance + b.variance);
    };
    expect(last!.avg_latency_change_margin_pct).toBeCloseTo(
      margin(
        [
          [30, 150],
          [30, 180],
          [60, 150],
        ],
        [
          [20, 100],
          [40, 130],
        ],
        true,
      ),
      6,
    );
    expect(last!.error_rate_change_margin_points).toBeCloseTo(
      margin(
        [
          [30, 0.1],
          [30, 0.3],
          [60, 0],
        ],
        [
          [20, 0.1],
          [40, 0.1],
        ],
        false,
      ),
      6,
    );
  });

  test('holds a change that is not there inside its margin in about 95 of 100 weeks', async () => {
    // Two thousand pairs of weeks whose days differ by chance alone, by the functions that the view uses.
    const { rows } = await pool.query<{ inside: number }>(
      `with weeks as (
         select pair, side, avg(v) as mean, var_samp(v) / count(*) as variance, count(*)::int as days
         from (
           select pair, side, 100 + 10 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) as v
           from (select setseed(0.5)) s, generate_series(1, 2000) pair, generate_series(1, 2) side, generate_series(1, 7) day
         ) d group by pair, side)
       select avg((abs(100 * (n.mean / o.mean - 1))
         <= nowcast.change_margin_pct(n.mean, n.variance, n.days, o.mean, o.variance, o.days))::int)::float8 as inside
       from weeks n join weeks o using (pair) where n.side = 1 and o.side = 2`,
    );
    expect(rows[0]!.inside).toBeGreaterThan(0.93);
    expect(rows[0]!.inside).toBeLessThan(0.97);
  });
});

test('monthly_metrics_trend compares months, and the leaderboard ranks models with percentiles of the whole range', async () => {
  await insert('2024-09-10', 'fast', 100, 10, 0);
  await insert('2024-09-11', 'fast', 100, 12, 0);
  await insert('2024-10-10', 'fast', 150, 20, 15);
  await insert('2024-10-11', 'fast', 150, 20, 15);
  await insert('2024-10-11', 'slow', 10, 2_000, 0);
  await close();
  const anon = { apikey: 'anything' };
  const months = await server.get(
    '/rest/v1/monthly_metrics_trend?model_version=eq.fast&select=period_start,total_requests,requests_change_pct,error_rate_change_points&order=period_start',
    anon,
  );
  expect(months.body).toEqual([
    {
      period_start: '2024-09-01',
      total_requests: 200,
      requests_change_pct: null,
      error_rate_change_points: null,
    },
    {
      period_start: '2024-10-01',
      total_requests: 300,
      requests_change_pct: expect.closeTo(50),
      error_rate_change_points: expect.closeTo(10),
    },
  ]);
  const board = await server.get('/rest/v1/rpc/model_leaderboard?since=2024-09-01&until=2024-11-01', anon);
  expect(
    board.body.map((row: { rank: number; model_version: string }) => [row.rank, row.model_version]),
  ).toEqual([
    [1, 'fast'],
    [2, 'weekly'],
    [3, 'slow'],
  ]);
  expect(board.body[0]).toMatchObject({
    total_requests: 500,
    total_errors: 30,
    error_rate_pct: 6,
    cost_usd: 250,
    cost_usd_per_1000_requests: 500,
    p50_latency_ms: expect.closeTo(20, 0),
  });
  // October as its month, and as its days: the 31st had no event.
  const byDay = await server.get('/rest/v1/rpc/model_leaderboard?since=2024-09-01&until=2024-10-31', anon);
  expect(byDay.body[0]).toEqual(board.body[0]);
  const fromTheSecondDay = await server.get(
    '/rest/v1/rpc/model_leaderboard?since=2024-09-11&until=2024-11-01',
    anon,
  );
  expect(fromTheSecondDay.body[0]).toMatchObject({ model_version: 'fast', total_requests: 400 });
  // A month of which a day was closed anew is not read before it is added up again.
  await insert('2024-10-12', 'fast', 50, 20, 0);
  await pool.query(`select nowcast.close_day('2024-10-12', 'UTC')`);
  const reopened = await server.get('/rest/v1/rpc/model_leaderboard?since=2024-09-01&until=2024-11-01', anon);
  expect(reopened.body[0]).toMatchObject({ model_version: 'fast', total_requests: 550 });
  expect((await server.get('/rest/v1/weekly_metrics_trend?limit=1', anon)).status).toBe(200);
});
