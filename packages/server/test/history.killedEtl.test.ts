import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { closePeriods } from '../src/history/etl.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { ownLocks } from './support/postgres.ts';
import { buildServer } from './support/processes.ts';

const killedEtl = fileURLToPath(new URL('support/killedEtl.mjs', import.meta.url));
const to = '2024-10-28';
let pipeline: Pipeline;
beforeAll(async () => {
  await buildServer();
  pipeline = await startPipeline();
  await pipeline.query(
    `select nowcast.create_partition(d::date) from generate_series('2024-10-26'::timestamp, '2024-10-28', '1 day') d`,
  );
  // Two days of two models, the first of them compacted and the second not.
  for (const day of ['2024-10-27', '2024-10-28']) {
    await pipeline.query(
      `insert into inference_logs (timestamp, model_version, inference_time_ms, is_error)
       select t, m, 100, extract(minute from t) = 0
       from generate_series($1::timestamptz, $1::timestamptz + interval '23 hours', '30 minutes') t,
         unnest(array['v1', 'v2']) m`,
      [`${day} 00:00:00+00`],
    );
    if (day === '2024-10-27') await pipeline.query('select nowcast.compact()');
  }
});
afterAll(() => pipeline.close());
beforeEach(async () => {
  await pipeline.query('truncate nowcast.periods, nowcast.period_summaries, daily_metrics_summary');
});

const models = ['v1', 'v2'];
const whole = {
  daily: ['2024-10-27', '2024-10-28'].flatMap((date) =>
    models.map((model_version) => ({ date, model_version, requests: 47, errors: 24 })),
  ),
  // The two days lie in two weeks and in one month.
  periods: ['day 2024-10-27', 'day 2024-10-28', 'month 2024-10-01', 'week 2024-10-21', 'week 2024-10-28'].map(
    (period) => ({ period, closed: true, requests: period.startsWith('month') ? 188 : 94 }),
  ),
};

async function held(): Promise<typeof whole> {
  return {
    daily: await pipeline.query(
      `select date::text, model_version, total_requests::int as requests, total_errors::int as errors
       from daily_metrics_summary order by 1, 2`,
    ),
    periods: await pipeline.query(
      `select p.kind || ' ' || p.starts as period, p.state is not null as closed,
         (select sum(s.request_count)::int from nowcast.period_summaries s
          where (s.kind, s.starts) = (p.kind, p.starts)) as requests
       from nowcast.periods p order by 1`,
    ),
  };
}

/** What one process closed, it closed whole: no row of daily_metrics_summary is of a day that is not in the ledger. */
async function halves(): Promise<unknown[]> {
  return pipeline.query(
    `select d.date, d.model_version, s.request_count from daily_metrics_summary d
     full join nowcast.period_summaries s
       on s.kind = 'day' and (s.starts, s.model_version) = (d.date, d.model_version)
     left join nowcast.periods p on p.kind = 'day' and p.starts = coalesce(d.date, s.starts)
     where coalesce(s.kind, 'day') = 'day'
       and (p.state is null or d.total_requests is distinct from s.request_count)`,
  );
}

function start(killAt: number): ChildProcess {
  return execFile(process.execPath, [killedEtl, pipeline.url, to, String(killAt)]);
}

test('closing loses and doubles nothing when it is killed before any of its statements', async () => {
  let signal: string | null = 'SIGKILL';
  let statement = 1;
  for (; signal !== null; statement += 1) {
    await pipeline.query('truncate nowcast.periods, nowcast.period_summaries, daily_metrics_summary');
    const exited = await once(start(statement), 'exit');
    signal = exited[1];
    if (signal === null) expect(exited[0]).toBe(0);
    expect(await halves(), `killed before statement ${statement}`).toEqual([]);
    await closePeriods(pipeline.pool, { zone: 'UTC', to });
    expect(await held(), `after the run that followed statement ${statement}`).toEqual(whole);
  }
  // At least a statement for each period was there to be killed at.
  expect(statement).toBeGreaterThan(whole.periods.length);
});

test.each([
  ['a day', 'daily_metrics_summary', 'its connection is lost with it'],
  ['a day', 'daily_metrics_summary', 'PostgreSQL goes on with its statement'],
  ['a week or month', 'nowcast.periods', 'its connection is lost with it'],
])(
  'closing that is killed in the middle of %s (at %s) loses and doubles nothing: %s',
  async (period, table, fate) => {
    // A month waits for the ledger after its summaries are written; days are closed before.
    if (period !== 'a day') {
      await closePeriods(pipeline.pool, { zone: 'UTC', to });
      await pipeline.query(`update nowcast.periods set state = null where kind <> 'day'`);
    }
    const blocker = await pipeline.pool.connect();
    try {
      await blocker.query(`begin; lock table ${table} in share mode`);
      const etl = start(0);
      const exited = once(etl, 'exit');
      const waitingPids = async () =>
        (
          await pipeline.query<{ pid: number }>(
            `select pid from ${ownLocks} join pg_stat_activity a using (pid)
             where a.application_name = 'killed etl' and relation = $1::regclass and not granted`,
            [table],
          )
        ).map(({ pid }) => pid);
      await expect.poll(waitingPids).toHaveLength(1);
      const [waiting] = await waitingPids();
      etl.kill('SIGKILL');
      expect((await exited)[1]).toBe('SIGKILL');
      if (fate === 'its connection is lost with it') {
        await pipeline.query('select pg_terminate_backend($1, 10000)', [waiting]);
        if (period === 'a day') expect(await held()).toEqual({ daily: [], periods: [] });
      }
    } finally {
      await blocker.query('rollback');
      blocker.release();
    }
    await closePeriods(pipeline.pool, { zone: 'UTC', to });
    expect(await halves()).toEqual([]);
    expect(await held()).toEqual(whole);
  },
);
