import type { InferenceEvent } from '@nowcast/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binOf } from '../src/process/histogram.ts';
import { arbitraryEvent, event } from './support/events.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline.close());

const everything = "now() - interval '5 days'";

async function differences() {
  return pipeline.query(`select * from nowcast_recompute_check(${everything})`);
}

/** Inserts as any other writer would: through the parent table, by SQL. */
async function insertByOtherDoor(events: readonly InferenceEvent[]): Promise<void> {
  const columns = Object.keys(events[0]!);
  await pipeline.pool.query(
    `insert into inference_logs (${columns.join(',')})
     select ${columns.join(',')} from json_populate_recordset(null::inference_logs, $1)`,
    [JSON.stringify(events)],
  );
}

async function compactAll(): Promise<void> {
  while ((await pipeline.query<{ n: number }>('select nowcast.compact(50) as n'))[0]!.n > 0);
}

describe('summaries', () => {
  test('of a quiet minute list a bin for each event, of a busy one count them, and recompute all the same', async () => {
    const timestamp = new Date(Date.now() - 3_600_000).toISOString();
    const quiet = [5, 5, 7, 3_000].map((ms) =>
      event({ timestamp, inference_time_ms: ms, confidence_score: 0.5, feature: 'quiet' }),
    );
    const busy = Array.from({ length: 200 }, (_, index) =>
      event({ timestamp, inference_time_ms: 5 + (index % 2), feature: 'busy' }),
    );
    await pipeline.take([...quiet, ...busy]);
    await compactAll();
    const stored = () =>
      pipeline.query(
        `select feature, request_count::int as requests, cardinality(latency_bins) as bins, latency_bin_counts as counts,
           confidence_bins, confidence_bin_counts
         from nowcast.minute_summaries where feature in ('quiet', 'busy') order by feature desc`,
      );
    const confidenceBin = binOf(pipeline.edges.confidence, 0.5);
    expect(await stored()).toEqual([
      {
        feature: 'quiet',
        requests: 4,
        bins: 4,
        counts: null,
        confidence_bins: Array(4).fill(confidenceBin),
        confidence_bin_counts: null,
      },
      {
        feature: 'busy',
        requests: 200,
        bins: 2,
        counts: [100, 100],
        confidence_bins: null,
        confidence_bin_counts: null,
      },
    ]);
    expect(await differences()).toEqual([]);
    // One that becomes busy is counted from then on.
    await insertByOtherDoor(busy.map((each) => ({ ...each, feature: 'quiet' })));
    await compactAll();
    expect((await stored())[0]).toMatchObject({ requests: 204, bins: 4, counts: [102, 100, 1, 1] });
    expect(await differences()).toEqual([]);
    // A correction stores it anew.
    await pipeline.query(`delete from inference_logs where feature = 'quiet' and confidence_score is null`);
    while ((await pipeline.query<{ n: number }>('select nowcast.recompute_stale() as n'))[0]!.n > 0);
    expect((await stored())[0]).toMatchObject({ requests: 4, bins: 4, counts: null });
    expect(await differences()).toEqual([]);
  });

  test('equal recomputation from rows after any mixture of writes through both doors, updates and deletes', async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          door: fc.constant('http' as const),
          events: fc.array(arbitraryEvent, { minLength: 1, maxLength: 12 }),
        }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          door: fc.constant('sql' as const),
          events: fc.array(arbitraryEvent, { minLength: 1, maxLength: 12 }),
        }),
      },
      { weight: 2, arbitrary: fc.constant({ door: 'compact' as const, events: [] }) },
      { weight: 3, arbitrary: fc.constant({ door: 'gather' as const, events: [] }) },
      { weight: 1, arbitrary: fc.constant({ door: 'update' as const, events: [] }) },
      { weight: 1, arbitrary: fc.constant({ door: 'delete' as const, events: [] }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 9 }), async (steps) => {
        for (const { door, events } of steps) {
          if (door === 'http') await pipeline.take(events);
          else if (door === 'sql') await insertByOtherDoor(events);
          else if (door === 'compact') await compactAll();
          else if (door === 'gather') await pipeline.query('select nowcast.gather(7)');
          else if (door === 'update') {
            await pipeline.query(
              `update inference_logs set is_error = not is_error, inference_time_ms = least(inference_time_ms + 1, 1e9)
               where id in (select id from inference_logs order by id desc limit 3)`,
            );
          } else {
            await pipeline.query(
              'delete from inference_logs where id in (select id from inference_logs order by id desc limit 2)',
            );
          }
        }
        while ((await pipeline.query<{ n: number }>('select nowcast.recompute_stale() as n'))[0]!.n > 0);
        expect(await differences()).toEqual([]);
        // Whatever waits to be compacted, a chart of any step shows every event once.
        const [sums] = await pipeline.query<{ rows: number; charts: number[] }>(
          `select (select count(*)::int from inference_logs) as rows, (
             select array_agg((
               select coalesce(sum(request_count), 0)::int from metrics(now() - interval '3 days', now() + interval '1 day', s)
             ))
             from unnest(array['1 minute', '5 minutes', '1 hour', '10 minutes']::interval[]) s
           ) as charts`,
        );
        expect(sums!.charts).toEqual(Array(4).fill(sums!.rows));
        // The two ways to quantiles, by array and by window, agree.
        expect(
          await pipeline.query(
            `select t.tier, f.minute, f.model_version, f.p95_latency_ms, b.p95_latency_ms as other
             from unnest(array[60, 300]) t (tier),
               nowcast.model_figures(t.tier, now() - interval '3 days', 'infinity') f
               join nowcast.model_buckets(t.tier, now() - interval '3 days', 'infinity') b using (minute, model_version)
             where abs(f.p50_latency_ms - b.p50_latency_ms) > 1e-9 * b.p50_latency_ms
               or abs(f.p95_latency_ms - b.p95_latency_ms) > 1e-9 * b.p95_latency_ms
               or abs(f.p99_latency_ms - b.p99_latency_ms) > 1e-9 * b.p99_latency_ms`,
          ),
        ).toEqual([]);
      }),
      { numRuns: 25 },
    );
    await compactAll();
    expect(await differences()).toEqual([]);
    // The check itself sees a summary that is wrong.
    await pipeline.query(
      `update nowcast.minute_summaries set request_count = request_count + 1
       where ctid = (select ctid from nowcast.minute_summaries limit 1)`,
    );
    expect((await differences()).length).toBeGreaterThan(0);
  });

  test('SQL and the writer put every value into the same bin', async () => {
    const { edges } = pipeline;
    const values = fc.sample(fc.double({ min: 0, max: 2e9, noNaN: true }), 500);
    // The edges themselves, and their neighbours, are where a logarithm would err.
    for (const edge of edges.latency) values.push(edge, edge * (1 - 2 ** -53), edge * (1 + 2 ** -52));
    const [row] = await pipeline.query<{ bins: number[] }>(
      `select array_agg(width_bucket(v, nowcast.latency_edges()) order by i) as bins
       from unnest($1::float8[]) with ordinality u (v, i)`,
      [values],
    );
    expect(values.map((value) => binOf(edges.latency, value))).toEqual(row!.bins);
  });
});

describe('quantiles', () => {
  test('of the open minute stay those of all its events, whoever else writes to it or corrects it', async () => {
    const model = 'open-minute';
    // A minute that no other test writes to or corrects.
    const timestamp = new Date(Date.now() + 600_000).toISOString();
    const events = (...latencies: number[]) =>
      latencies.map((inference_time_ms) => event({ model_version: model, timestamp, inference_time_ms }));
    const figures = async () => {
      const [row] = await pipeline.query<{ n: number; ms: number[]; exact: number[]; ready: boolean }>(
        `select f.request_count::int as n, array[f.p50_latency_ms, f.p95_latency_ms, f.p99_latency_ms] as ms,
           (select percentile_cont(array[0.5, 0.95, 0.99]) within group (order by inference_time_ms)
            from inference_logs where model_version = $1) as exact,
           (select max(running[1]) from nowcast.summary_partials where model_version = $1) is not distinct from f.request_count
             and f.minute not in (select minute from nowcast.corrected_minutes) as ready
         from nowcast.model_figures(60, now() - interval '1 hour', 'infinity') f where f.model_version = $1`,
        [model],
      );
      row!.exact.forEach((exact, index) => {
        expect(Math.abs(row!.ms[index]! - exact)).toBeLessThanOrEqual(0.01 * exact);
      });
      return { n: row!.n, ready: row!.ready };
    };
    await pipeline.take(events(10, 20, 30));
    await pipeline.take(events(40));
    expect(await figures()).toEqual({ n: 4, ready: true });
    await pipeline.query('select nowcast.gather()');
    await pipeline.take(events(500, 600));
    expect(await figures()).toEqual({ n: 6, ready: true });
    // Another writer.
    await insertByOtherDoor(events(9_000, 9_000));
    await pipeline.take(events(50));
    expect(await figures()).toEqual({ n: 9, ready: false });
    // A correction that leaves the number of requests as this writer knows it.
    await pipeline.query('delete from inference_logs where model_version = $1 and inference_time_ms = 9000', [
      model,
    ]);
    await pipeline.query(
      'update inference_logs set inference_time_ms = 7000 where model_version = $1 and inference_time_ms < 40',
      [model],
    );
    await pipeline.query('select nowcast.recompute_stale()');
    await pipeline.take(events(60));
    expect(await figures()).toEqual({ n: 8, ready: false });
  });

  test('lie within 1 % of percentile_cont, whatever the distribution', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.double({ min: 0.001, max: 1e6, noNaN: true }),
            fc.constantFrom(5, 5000, 0.01),
            fc.double({ min: 90, max: 110, noNaN: true }),
          ),
          { minLength: 1, maxLength: 400 },
        ),
        async (latencies) => {
          const [row] = await pipeline.query<{ exact: number[]; estimated: number[] }>(
            `with v as (select unnest($1::float8[]) as ms),
             binned as (select width_bucket(ms, nowcast.latency_edges()) as bin, count(*) as n from v group by 1)
             select percentile_cont(array[0.5, 0.95, 0.99]) within group (order by ms) as exact,
               nowcast.latency_quantiles((select array_agg(bin::smallint order by bin) from binned),
                 (select array_agg(n order by bin) from binned), array[0.5, 0.95, 0.99], min(ms), max(ms)) as estimated
             from v`,
            [latencies],
          );
          row!.exact.forEach((exact, index) => {
            expect(Math.abs(row!.estimated[index]! - exact)).toBeLessThanOrEqual(0.01 * exact * (1 + 1e-9));
          });
        },
      ),
      { numRuns: 60 },
    );
  });
});

test('the other door refuses rows that summaries cannot hold, alone or among good ones, new or updated', async () => {
  const insert = (values: string) =>
    pipeline.query(
      `insert into inference_logs (model_version, inference_time_ms, confidence_score) values ${values}`,
    );
  for (const values of [
    `('bad', -1, 0.5)`,
    `('bad', 'NaN', 0.5)`,
    `('good', 1, 0.5), ('bad', 1, 1.5)`,
    `('', 1, null)`,
  ]) {
    await expect(insert(values)).rejects.toMatchObject({ code: '23514' });
  }
  // Each is finite, and two of them are not: their sum would stop the compactor.
  for (const [column, value] of [
    ['value_usd', '1.7e308'],
    ['cost_usd', '1e300'],
    ['compute_ms', "'Infinity'"],
    ['ttft_ms', '-1'],
    ['feedback', '2'],
  ]) {
    await expect(
      pipeline.query(
        `insert into inference_logs (model_version, inference_time_ms, ${column}) values ('bad', 1, ${value})`,
      ),
    ).rejects.toMatchObject({ code: '23514', message: expect.stringContaining(column!) });
  }
  await insert(`('kept', 1, null)`);
  await expect(
    pipeline.query(`update inference_logs set inference_time_ms = 'Infinity' where model_version = 'kept'`),
  ).rejects.toMatchObject({ code: '23514', message: expect.stringContaining('inference_time_ms') });
  const stored = await pipeline.query(
    `select model_version from inference_logs where model_version in ('bad', 'good', '', 'kept')`,
  );
  expect(stored).toEqual([{ model_version: 'kept' }]);
});

describe('inference_metrics_hourly', () => {
  test('is current the moment a write is acknowledged, and has the columns of the article', async () => {
    // All in one minute, whenever the test runs.
    const same = { model_version: 'hourly', timestamp: new Date().toISOString() };
    const model = same.model_version;
    await pipeline.take([
      event({ ...same, inference_time_ms: 100, confidence_score: 0.5 }),
      event({ ...same, inference_time_ms: 300, confidence_score: 0.7, is_error: true }),
    ]);
    const rows = await pipeline.query('select * from inference_metrics_hourly where model_version = $1', [
      model,
    ]);
    expect(rows).toHaveLength(1);
    expect(Object.keys(rows[0]!)).toEqual([
      'minute',
      'model_version',
      'request_count',
      'avg_latency_ms',
      'p95_latency_ms',
      'avg_confidence',
      'error_count',
      'error_rate_pct',
    ]);
    expect(rows[0]).toMatchObject({
      request_count: '2',
      avg_latency_ms: 200,
      error_count: '1',
      error_rate_pct: '50.00',
    });
    expect(rows[0]!.avg_confidence).toBeCloseTo(0.6, 12);
    await compactAll();
    await pipeline.take([event({ ...same, inference_time_ms: 800 })]);
    const [after] = await pipeline.query('select * from inference_metrics_hourly where model_version = $1', [
      model,
    ]);
    expect(after).toMatchObject({ request_count: '3', avg_latency_ms: 400 });
  });
});

describe('metrics()', () => {
  test('adds up the same events whatever the step, with rolling averages, and by feature', async () => {
    const model = 'stepped';
    const start = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000;
    const events = Array.from({ length: 120 }, (_, index) =>
      event({
        model_version: model,
        timestamp: new Date(start + index * 30_000).toISOString(),
        inference_time_ms: 10 + index,
        is_error: index % 10 === 0,
        feature: index % 2 === 0 ? 'search' : 'chat',
      }),
    );
    await pipeline.take(events);
    const since = new Date(start);
    const until = new Date(start + 3_600_000);
    for (const step of ['1 minute', '2 minutes', '5 minutes', '15 minutes', '1 hour']) {
      const rows = await pipeline.query<Record<string, number>>(
        `select request_count::int, error_count::int, avg_latency_ms, rolling_1h_avg_latency_ms
         from metrics($1, $2, $3::interval, $4) order by bucket`,
        [since, until, step, model],
      );
      expect(rows.reduce((sum, row) => sum + row.request_count!, 0)).toBe(120);
      expect(rows.reduce((sum, row) => sum + row.error_count!, 0)).toBe(12);
      // At the end of the hour, its rolling average is the average of all.
      expect(rows.at(-1)!.rolling_1h_avg_latency_ms).toBeCloseTo(69.5, 9);
    }
    const [byFeature] = await pipeline.query(
      `select request_count::int, error_count::int from metrics($1, $2, '1 hour', $3, 'search')`,
      [since, until, model],
    );
    expect(byFeature).toEqual({ request_count: 60, error_count: 12 });
  });

  test('rolls over what lies inside the window, whatever buckets are missing, each model for itself', async () => {
    const start = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 4 * 3_600_000;
    const events = Array.from({ length: 200 }, (_, minute) => minute)
      // Runs of events, single ones, and gaps longer than five minutes and than an hour.
      .filter((minute) => (minute * 7) % 11 < 4 && (minute < 90 || minute > 155) && minute % 40 < 30)
      .flatMap((minute) =>
        ['rolled-a', 'rolled-b'].slice(minute % 3 === 0 ? 1 : 0).map((model, index) =>
          event({
            model_version: model,
            timestamp: new Date(start + minute * 60_000 + 1_000).toISOString(),
            inference_time_ms: 10 + minute * (index + 1),
            is_error: minute % 5 === 0,
          }),
        ),
      );
    await pipeline.take(events);
    for (const step of ['1 minute', '2 minutes', '5 minutes', '1 hour']) {
      const rows = await pipeline.query<{ rolled: number[]; counted: number[] }>(
        `select array[rolling_5m_avg_latency_ms, rolling_1h_avg_latency_ms,
             rolling_5m_error_rate_pct, rolling_1h_error_rate_pct] as rolled,
           array[avg_5m, avg_1h, floor(10000 * errors_5m + 0.5) / 100, floor(10000 * errors_1h + 0.5) / 100] as counted
         from metrics($1, $2, $3::interval) m cross join lateral (
           select avg(inference_time_ms) filter (where recent) as avg_5m, avg(inference_time_ms) as avg_1h,
             avg(is_error::int::double precision) filter (where recent) as errors_5m,
             avg(is_error::int::double precision) as errors_1h
           from (
             select *, bucket >= m.bucket - greatest(interval '5 minutes' - $3::interval, '0') as recent
             from inference_logs, date_bin($3::interval, timestamp, '2000-01-03 00:00:00+00') bucket
             where model_version = m.model_version and bucket <= m.bucket
               and bucket >= m.bucket - greatest(interval '1 hour' - $3::interval, '0')
           ) inside
         ) w
         where m.model_version like 'rolled-%'`,
        [new Date(start + 3_600_000), new Date(start + 4 * 3_600_000), step],
      );
      expect(rows.length).toBeGreaterThan(3);
      for (const { rolled, counted } of rows) {
        for (const [index, value] of rolled.entries()) expect(value).toBeCloseTo(counted[index]!, 9);
      }
    }
  });

  test('refuses a step that is no whole minute', async () => {
    await expect(pipeline.query(`select * from metrics(step => '90 seconds')`)).rejects.toThrow(
      'whole minutes',
    );
  });
});
