import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closePeriods } from '../src/history/etl.ts';
import { closableDay } from '../src/history/history.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline.close());

/** Days of UTC around the ones that a test looks at. */
async function makeDays(first: string, last: string): Promise<void> {
  await pipeline.query(
    `select nowcast.create_partition(d::date) from generate_series($1::timestamp, $2::timestamp, interval '1 day') d`,
    [first, last],
  );
}

/** One event of each model every so often, slower from hour to hour, some of them wrong. */
async function insertEvents(since: string, until: string, step: string): Promise<void> {
  await pipeline.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms, confidence_score, is_error, cost_usd)
     select t, m, 50 + 400 * abs(sin(extract(epoch from t) / 977)) + extract(hour from t), 0.9, random() < 0.1, 0.01
     from generate_series($1::timestamptz, $2::timestamptz - interval '1 microsecond', $3::interval) t,
       unnest(array['v1', 'v2']) m`,
    [since, until, step],
  );
}

async function daily(): Promise<unknown[]> {
  return pipeline.query(`select date::text, model_version, total_requests::int, total_errors::int
    from daily_metrics_summary order by 1, 2`);
}

async function recounted(zone: string, to: string): Promise<unknown[]> {
  return pipeline.query(
    `select (timestamp at time zone $1)::date::text as date, model_version, count(*)::int as total_requests,
       count(*) filter (where is_error)::int as total_errors
     from inference_logs where (timestamp at time zone $1)::date <= $2 group by 1, 2 order by 1, 2`,
    [zone, to],
  );
}

async function closings(): Promise<Record<string, number>> {
  const rows = await pipeline.query<{ period: string; closings: number }>(
    `select kind || ' ' || starts as period, closings from nowcast.periods where closings > 0 order by kind, starts`,
  );
  return Object.fromEntries(rows.map(({ period, closings }) => [period, closings]));
}

/** At once: deleting rows would have each of their minutes recomputed. */
async function empty(): Promise<void> {
  const days = await pipeline.query<{ relation: string }>(
    'select relation::text as relation from nowcast.day_tables()',
  );
  await pipeline.query(
    `truncate ${days.map(({ relation }) => `${relation}, `).join('')}
       nowcast.summary_partials, nowcast.summary_merges, nowcast.minute_summaries, nowcast.model_summaries,
       nowcast.stale_minutes, nowcast.periods, nowcast.period_summaries, nowcast.pruned_tiers,
       nowcast.key_overflows, daily_metrics_summary`,
  );
}

describe('a day of a zone', () => {
  test('begins at its first moment, in every zone and whatever its clocks do', async () => {
    const wrong = await pipeline.query(
      `select z.name, d::date::text as day, s.start
       from pg_timezone_names z, generate_series(timestamp '2024-02-25', '2024-11-15', '1 day') d,
         lateral (select nowcast.day_start(d::date, z.name) as start) s
       where z.name ~ '^(America|Asia|Australia|Africa|Europe|Pacific|Atlantic)/'
         and (((s.start at time zone z.name)::date <> d::date)
           or ((s.start - interval '1 microsecond') at time zone z.name)::date >= d::date)
       limit 5`,
    );
    expect(wrong).toEqual([]);
  });

  test.each([
    ['UTC', '2024-10-26', '2024-10-28', [24, 24]],
    ['Europe/Berlin', '2024-10-26', '2024-10-28', [24, 25]],
    ['America/New_York', '2024-03-09', '2024-03-11', [24, 23]],
    ['Asia/Kathmandu', '2024-10-26', '2024-10-28', [24, 24]],
    ['Australia/Lord_Howe', '2024-10-05', '2024-10-07', [24, 23.5]],
  ])('in %s holds exactly its events, percentiles within 1 %%', async (zone, first, past, hours) => {
    await empty();
    await makeDays('2024-03-08', '2024-03-12');
    await makeDays('2024-10-04', '2024-10-08');
    await makeDays('2024-10-25', '2024-10-29');
    await insertEvents(`${first} 00:00 ${zone}`, `${past} 00:00 ${zone}`, '150 seconds');
    await closePeriods(pipeline.pool, { zone, to: past });
    expect(await daily()).toEqual(await recounted(zone, past));
    const rows = await pipeline.query<{ requests: number }>(
      `select total_requests::int as requests from daily_metrics_summary where model_version = 'v1' order by date`,
    );
    expect(rows.map(({ requests }) => requests / 24)).toEqual(hours);
    const far = await pipeline.query(
      `select * from daily_metrics_summary s join (
         select (timestamp at time zone $1)::date as date, model_version, avg(inference_time_ms) as mean,
           percentile_cont(array[0.5, 0.95, 0.99]) within group (order by inference_time_ms) as exact
         from inference_logs group by 1, 2) e using (date, model_version)
       where abs(s.p50_latency_ms / exact[1] - 1) > 0.01 or abs(s.p95_latency_ms / exact[2] - 1) > 0.01
         or abs(s.p99_latency_ms / exact[3] - 1) > 0.01 or abs(s.avg_latency_ms / mean - 1) > 1e-9`,
      [zone],
    );
    expect(far).toEqual([]);
  });

  test('may be closed from 02:00 on', () => {
    const closable = (text: string) => closableDay(new Date(text), 'Europe/Berlin');
    expect(closable('2024-10-27T23:59:59Z')).toBe('2024-10-26');
    expect(closable('2024-10-28T00:59:59Z')).toBe('2024-10-26');
    expect(closable('2024-10-28T01:00:00Z')).toBe('2024-10-27');
    expect(closable('2024-03-01T00:59:00Z')).toBe('2024-02-28');
    // Clocks go from 02:00 to 03:00.
    expect(closable('2024-03-31T00:59:59Z')).toBe('2024-03-29');
    expect(closable('2024-03-31T01:00:00Z')).toBe('2024-03-30');
  });
});

describe('the ledger', () => {
  const options = { zone: 'UTC', to: '2024-10-28' };

  test('closes what is open once, and a late event opens its own day, week and month only', async () => {
    await empty();
    await insertEvents('2024-10-26', '2024-10-29', '10 minutes');
    expect((await closePeriods(pipeline.pool, options)).days).toEqual([
      '2024-10-26',
      '2024-10-27',
      '2024-10-28',
    ]);
    const once = {
      'day 2024-10-26': 1,
      'day 2024-10-27': 1,
      'day 2024-10-28': 1,
      'month 2024-10-01': 1,
      'week 2024-10-21': 1,
      'week 2024-10-28': 1,
    };
    expect(await closings()).toEqual(once);
    expect(await closePeriods(pipeline.pool, options)).toEqual({ days: [], periods: 0 });
    expect(await closePeriods(pipeline.pool, { ...options, from: '2024-10-01', everything: true })).toEqual({
      days: [],
      periods: 0,
    });

    await insertEvents('2024-10-27 23:59:59.5', '2024-10-28', '1 second');
    expect((await closePeriods(pipeline.pool, options)).days).toEqual(['2024-10-27']);
    expect(await closings()).toEqual({
      ...once,
      'day 2024-10-27': 2,
      'month 2024-10-01': 2,
      'week 2024-10-21': 2,
    });
    expect(await daily()).toEqual(await recounted('UTC', '2024-10-28'));
  });

  test('follows corrections and deletions, to the last row of a model', async () => {
    await pipeline.query(
      `update inference_logs set is_error = true where timestamp::date = '2024-10-26' and model_version = 'v1'`,
    );
    await pipeline.query(
      `delete from inference_logs where timestamp::date = '2024-10-28' and model_version = 'v2'`,
    );
    expect((await closePeriods(pipeline.pool, options)).days).toEqual(['2024-10-26', '2024-10-28']);
    expect(await daily()).toEqual(await recounted('UTC', '2024-10-28'));
    await empty();
    await insertEvents('2024-10-26', '2024-10-27', '1 hour');
    await closePeriods(pipeline.pool, options);
    await pipeline.query('delete from inference_logs');
    await closePeriods(pipeline.pool, options);
    expect(await daily()).toEqual([]);
    expect(await pipeline.query('select from nowcast.period_summaries')).toEqual([]);
  });

  test('waits for a compactor that is at work, instead of taking days for closed that it has not corrected yet', async () => {
    await empty();
    await insertEvents('2024-10-26', '2024-10-27', '1 hour');
    await pipeline.query('select nowcast.compact()');
    await closePeriods(pipeline.pool, options);
    await pipeline.query(
      `update inference_logs set is_error = not is_error where timestamp = '2024-10-26 10:00'`,
    );
    const compactor = await pipeline.pool.connect();
    await compactor.query('begin; select pg_advisory_xact_lock(nowcast.compaction_lock())');
    const closing = closePeriods(pipeline.pool, options);
    await expect
      .poll(() =>
        pipeline.query(
          `select from pg_locks where locktype = 'advisory' and not granted
             and database = (select oid from pg_database where datname = current_database())`,
        ),
      )
      .toHaveLength(1);
    await compactor.query('commit');
    compactor.release();
    expect((await closing).days).toEqual(['2024-10-26']);
    expect(await daily()).toEqual(await recounted('UTC', '2024-10-28'));
  });

  test('gives each period to one of several servers', async () => {
    await empty();
    await makeDays('2024-09-01', '2024-09-30');
    await insertEvents('2024-09-01', '2024-10-01', '1 hour');
    const pools = Array.from({ length: 3 }, () => new pg.Pool({ connectionString: pipeline.url, max: 1 }));
    const results = await Promise.all(pools.map((pool) => closePeriods(pool, options)));
    await Promise.all(pools.map((pool) => pool.end()));
    expect(results.flatMap(({ days }) => days)).toHaveLength(30);
    expect(Object.values(await closings()).slice(0, 30)).toEqual(Array(30).fill(1));
    expect(await daily()).toEqual(await recounted('UTC', '2024-10-28'));
    // A week may be closed a second time, when one of its days came after it; never with less than its days.
    expect(
      await pipeline.query(`select sum(request_count)::int as n from nowcast.period_summaries group by kind`),
    ).toEqual([{ n: 1440 }, { n: 1440 }, { n: 1440 }]);
  });

  test('goes on where a run was cut short', async () => {
    await empty();
    await insertEvents('2024-09-01', '2024-09-04', '1 hour');
    const aborting = new AbortController();
    await expect(
      closePeriods(pipeline.pool, {
        ...options,
        signal: aborting.signal,
        onProgress: (done) => {
          if (done === 3) aborting.abort();
        },
      }),
    ).rejects.toThrow('abort');
    // Every day is closed, and nothing has added them up.
    expect(Object.keys(await closings())).toHaveLength(3);
    expect(await closePeriods(pipeline.pool, options)).toEqual({ days: [], periods: 3 });
    expect(await closePeriods(pipeline.pool, options)).toEqual({ days: [], periods: 0 });
  });

  test('closes the days again by the midnights of another zone', async () => {
    expect((await closePeriods(pipeline.pool, { zone: 'Asia/Kolkata', to: '2024-09-10' })).days).toEqual([
      '2024-09-01',
      '2024-09-02',
      '2024-09-03',
      '2024-09-04',
    ]);
    expect(await daily()).toEqual(await recounted('Asia/Kolkata', '2024-09-10'));
  });
});

describe('what is not compacted yet', () => {
  const open = async () =>
    pipeline.query<{ n: number }>('select count(*)::int as n from nowcast.summary_partials');

  test.each(['UTC', 'Asia/Kathmandu'])(
    'is read where it lies, and compacting it opens no closed day of %s',
    async (zone) => {
      await empty();
      await makeDays('2024-10-25', '2024-10-29');
      await insertEvents('2024-10-26 00:00 UTC', '2024-10-27 20:00 UTC', '47 seconds');
      await pipeline.query('select nowcast.compact(100000)');
      // Some of it in buckets that are compacted already, some in new ones.
      await insertEvents('2024-10-27 17:31:07 UTC', '2024-10-27 23:00 UTC', '53 seconds');
      await pipeline.query('select nowcast.gather(100000)');
      await insertEvents('2024-10-26 17:59:59 UTC', '2024-10-27 23:00 UTC', '59 seconds');
      const before = await open();
      expect(before[0]!.n).toBeGreaterThan(0);
      await closePeriods(pipeline.pool, { zone, to: '2024-10-28' });
      expect(await open()).toEqual(before);
      expect(await daily()).toEqual(await recounted(zone, '2024-10-28'));

      await pipeline.query('select nowcast.compact(100000)');
      expect(await open()).toEqual([{ n: 0 }]);
      expect(await closePeriods(pipeline.pool, { zone, to: '2024-10-28', everything: true })).toEqual({
        days: [],
        periods: 0,
      });
    },
  );

  test('is compacted first where a minute has more models than it may have', async () => {
    await empty();
    await pipeline.query(
      `insert into inference_logs (timestamp, model_version, inference_time_ms)
       select '2024-10-26 10:00:30+00', 'm' || lpad(m::text, 3, '0'), 100 from generate_series(1, 203) m`,
    );
    await closePeriods(pipeline.pool, { zone: 'UTC', to: '2024-10-26' });
    expect(
      await pipeline.query(
        `select count(*)::int as models, sum(total_requests)::int as requests,
           (sum(total_requests) filter (where model_version = '__other__'))::int as others
         from daily_metrics_summary`,
      ),
    ).toEqual([{ models: 201, requests: 203, others: 3 }]);
  });
});

describe('summaries by minutes', () => {
  test('go after their time, and the hours keep what they held, corrections of their rows included', async () => {
    await empty();
    await insertEvents('2024-10-26', '2024-10-27', '5 minutes');
    await pipeline.query('select nowcast.compact()');
    await closePeriods(pipeline.pool, { zone: 'UTC', to: '2024-10-26' });
    const pruned = await pipeline.query<{ n: string }>('select nowcast.prune_tiers(90, 400) as n');
    expect(Number(pruned[0]!.n)).toBeGreaterThan(0);
    expect(
      await pipeline.query(
        `select tier_seconds, count(*)::int as n from nowcast.model_summaries where model_version = 'v1' group by 1`,
      ),
    ).toEqual([{ tier_seconds: 3600, n: 24 }]);
    expect(await pipeline.query(`select * from nowcast_recompute_check('2024-10-01')`)).toEqual([]);
    await pipeline.query(
      `update inference_logs set is_error = not is_error where timestamp = '2024-10-26 10:05'`,
    );
    await closePeriods(pipeline.pool, { zone: 'UTC', to: '2024-10-26' });
    expect(await daily()).toEqual(await recounted('UTC', '2024-10-26'));
  });
});

test('a correction that comes with the day already detached leaves its summaries alone', async () => {
  await empty();
  await insertEvents('2024-10-26', '2024-10-27', '1 hour');
  await closePeriods(pipeline.pool, { zone: 'UTC', to: '2024-10-26' });
  const before = await daily();
  await pipeline.query('alter table inference_logs detach partition nowcast.inference_logs_20241026');
  await pipeline.query(`insert into nowcast.stale_minutes values ('2024-10-26 10:00')`);
  await closePeriods(pipeline.pool, { zone: 'UTC', to: '2024-10-26', everything: true });
  expect(await daily()).toEqual(before);
  expect(await pipeline.query('select from nowcast.stale_minutes')).toEqual([]);
  await pipeline.query('drop table nowcast.inference_logs_20241026');
});
