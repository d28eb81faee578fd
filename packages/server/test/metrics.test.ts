import { readFile } from 'node:fs/promises';
import type { InferenceEvent } from '@nowcast/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { event } from './support/events.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline.close());

const minuteMs = 60_000;
/** The test's own clock. It moves on while the test runs, since what a new minute begins with is a case of its own. */
let now = Math.floor(Date.now() / minuteMs) * minuteMs - 13_000 - 60 * minuteMs;
const at = (minutesAgo: number) => new Date(now - minutesAgo * minuteMs).toISOString();

/**
 * What metrics() says, by its definition: the figures of each bucket, and for its rolling averages the sum over the buckets
 * of its model that lie inside the window.
 */
const definition = `
  with figures as (
    select f.* from nowcast.stepped_figures($3::interval,
      date_bin($3, $1::timestamptz, '2000-01-03 00:00:00+00') - interval '1 hour', $2, $4, $5) f
  )
  select f.minute as bucket, f.model_version, f.request_count, f.error_count,
    floor(10000.0::double precision * f.error_count / f.request_count + 0.5) / 100 as error_rate_pct,
    f.latency_sum_ms / f.request_count as avg_latency_ms,
    f.p50_latency_ms, f.p95_latency_ms, f.p99_latency_ms,
    f.confidence_sum / nullif(f.confidence_count, 0) as avg_confidence,
    f.quality_sum / nullif(f.quality_count, 0) as avg_quality,
    f.ttft_ms_sum / nullif(f.ttft_count, 0) as avg_ttft_ms,
    f.input_tokens_sum as input_tokens, f.output_tokens_sum as output_tokens,
    f.cached_input_tokens_sum as cached_input_tokens,
    f.cost_usd_sum as cost_usd, f.cost_count as priced_requests, f.value_usd_sum as value_usd,
    w.latency_5m / w.requests_5m as rolling_5m_avg_latency_ms,
    w.latency_1h / w.requests_1h as rolling_1h_avg_latency_ms,
    floor(10000 * w.errors_5m / w.requests_5m + 0.5) / 100 as rolling_5m_error_rate_pct,
    floor(10000 * w.errors_1h / w.requests_1h + 0.5) / 100 as rolling_1h_error_rate_pct
  from figures f cross join lateral (
    select sum(i.latency_sum_ms) as latency_1h,
      sum(i.latency_sum_ms) filter (where i.minute >= f.minute - greatest(interval '5 minutes' - $3, '0')) as latency_5m,
      sum(i.request_count)::double precision as requests_1h,
      sum(i.request_count) filter (where i.minute >= f.minute - greatest(interval '5 minutes' - $3, '0'))
        ::double precision as requests_5m,
      sum(i.error_count)::double precision as errors_1h,
      sum(i.error_count) filter (where i.minute >= f.minute - greatest(interval '5 minutes' - $3, '0'))
        ::double precision as errors_5m
    from figures i
    where i.model_version = f.model_version and i.minute <= f.minute
      and i.minute >= f.minute - greatest(interval '1 hour' - $3, '0')
  ) w
  where f.minute >= date_bin($3, $1, '2000-01-03 00:00:00+00')
  order by f.minute, f.model_version`;

const rollingLatencies = ['rolling_5m_avg_latency_ms', 'rolling_1h_avg_latency_ms'];

interface Question {
  readonly minutes: number;
  readonly step: string;
  readonly model: string | null;
  readonly feature: string | null;
}

/** Everything to the last bit, but for the averages of sums that are added up in another order, or subtracted. */
async function expectDefined({ minutes, step, model, feature }: Question): Promise<void> {
  const given = [at(minutes), new Date(now + minuteMs).toISOString(), step, model, feature];
  const expected = await pipeline.query<Record<string, unknown>>(definition, given);
  const rows = await pipeline.query<Record<string, unknown>>(
    'select * from metrics($1, $2, $3::interval, $4, $5)',
    given,
  );
  const exact = (row: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(row).filter(([name]) => !rollingLatencies.includes(name)));
  expect(rows.map(exact)).toEqual(expected.map(exact));
  for (const [index, row] of rows.entries()) {
    for (const name of rollingLatencies) {
      const [told, defined] = [Number(row[name]), Number(expected[index]![name])];
      expect(Math.abs(told - defined), name).toBeLessThanOrEqual(1e-7 * defined);
    }
  }
}

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const seconds = fc.integer({ min: 0, max: 59 });
/** Mostly of the last minutes, some of them late by up to two and a half hours. */
const minutesAgo = fc.oneof(fc.constantFrom(0, 0, 0, 1, 2), fc.integer({ min: 0, max: 150 }));
const someEvent = fc
  .record({
    ago: fc.tuple(minutesAgo, seconds).map(([minutes, over]) => minutes + over / 60),
    model_version: fc.constantFrom('a', 'b', 'c'),
    inference_time_ms: fc.double({ min: 1, max: 2_000, noNaN: true }),
    is_error: fc.boolean(),
    feature: optional(fc.constantFrom('x', 'y')),
    confidence_score: optional(fc.double({ min: 0, max: 1, noNaN: true })),
    quality_score: optional(fc.double({ min: 0, max: 1, noNaN: true })),
    ttft_ms: optional(fc.double({ min: 0, max: 1e4, noNaN: true })),
    input_tokens: optional(fc.nat()),
    cost_usd: optional(fc.double({ min: 0, max: 100, noNaN: true })),
  })
  .map(({ ago, ...fields }) => ({ ago, fields }));
/** All of one minute where what is not compacted yet is to be one bucket, somewhere. */
const someEvents = fc.oneof(
  fc.array(someEvent, { minLength: 1, maxLength: 25 }),
  fc
    .tuple(minutesAgo, fc.array(someEvent, { minLength: 1, maxLength: 4 }))
    .map(([ago, events]) => events.map(({ fields }) => ({ ago, fields }))),
);

const question: fc.Arbitrary<Question> = fc.record({
  minutes: fc.integer({ min: 0, max: 170 }),
  step: fc.constantFrom('1 minute', '1 minute', '5 minutes', '1 hour', '2 minutes', '15 minutes'),
  model: fc.constantFrom(null, null, 'b'),
  feature: fc.constantFrom(null, null, null, 'x'),
});

const writes = {
  take: (events: readonly InferenceEvent[]) => pipeline.take(events),
  insertByOtherDoor: (events: readonly InferenceEvent[]) =>
    pipeline.query(
      `insert into inference_logs (timestamp, model_version, inference_time_ms, is_error, feature)
       select timestamp, model_version, inference_time_ms, is_error, feature
       from json_populate_recordset(null::inference_logs, $1)`,
      [JSON.stringify(events)],
    ),
  gather: () => pipeline.query('select nowcast.gather()'),
  gatherSome: () => pipeline.query('select nowcast.gather(9)'),
  compact: () => pipeline.query('select nowcast.compact()'),
  correct: () =>
    pipeline.query(
      `update inference_logs set is_error = not is_error, inference_time_ms = inference_time_ms + 1
       where id in (select id from inference_logs order by hashint8(id) limit 3)`,
    ),
  erase: () =>
    pipeline.query(
      'delete from inference_logs where id in (select id from inference_logs order by hashint8(id) desc limit 5)',
    ),
  recompute: () => pipeline.query('select nowcast.recompute_stale()'),
};

describe('metrics()', () => {
  test('rolls over what is not compacted yet, wherever that is', async () => {
    const of = (events: readonly (readonly [model: string, minutesAgo: number])[]) =>
      events.map(([model_version, minutesAgo], index) =>
        event({
          model_version,
          timestamp: at(minutesAgo),
          inference_time_ms: 7 + 10 * minutesAgo + index,
          is_error: index === 1,
        }),
      );
    const cases: readonly {
      readonly stored: Parameters<typeof of>[0];
      readonly open: Parameters<typeof of>[0];
    }[] = [
      // In the last stored bucket, whole or in part.
      {
        stored: [
          ['a', 5],
          ['a', 1],
          ['b', 1],
        ],
        open: [['a', 1]],
      },
      // Of a model that the last stored bucket does not know.
      {
        stored: [
          ['a', 1],
          ['b', 5],
        ],
        open: [['b', 1]],
      },
      // In the last stored bucket and behind it.
      {
        stored: [['a', 1]],
        open: [
          ['a', 1],
          ['a', 0],
        ],
      },
      // Before the last stored bucket.
      {
        stored: [
          ['a', 4],
          ['a', 1],
        ],
        open: [['a', 4]],
      },
      // Before everything that is asked for, but inside its windows.
      {
        stored: [
          ['a', 50],
          ['a', 1],
        ],
        open: [['a', 50]],
      },
      { stored: [['a', 50]], open: [['a', 50]] },
    ];
    for (const { stored, open } of cases) {
      now += 2 * minuteMs;
      await pipeline.take(of(stored));
      await writes.compact();
      await pipeline.take(of(open));
      await expectDefined({ minutes: 20, step: '1 minute', model: null, feature: null });
      await writes.compact();
      await expectDefined({ minutes: 20, step: '1 minute', model: null, feature: null });
    }
  });

  test('is what its definition says, whatever comes late, is corrected, erased, compacted or not yet', async () => {
    const write = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), events: someEvents }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('insertByOtherDoor' as const), events: someEvents }),
      },
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constantFrom('gather', 'gatherSome', 'compact', 'correct', 'erase', 'recompute'),
          events: fc.constant([]),
        }),
      },
    );
    const step = fc.record({ write, questions: fc.array(question, { minLength: 1, maxLength: 3 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        now += minuteMs;
        for (const { write, questions } of steps) {
          await writes[write.kind](
            write.events.map(({ ago, fields }) => event({ ...fields, timestamp: at(ago) })),
          );
          for (const one of questions) await expectDefined(one);
        }
      }),
      { numRuns: 15 },
    );
    await writes.compact();
    for (const step of ['1 minute', '5 minutes', '15 minutes', '1 hour']) {
      await expectDefined({ minutes: 170, step, model: null, feature: null });
    }
  });

  test('knows the quarters of an hour of a database that was filled before it kept them', async () => {
    const quarters = `select minute, model_version, request_count, error_count, latency_bins, latency_bin_counts, p99_latency_ms
      from nowcast.model_summaries where tier_seconds = 900 order by 1, 2`;
    await writes.compact();
    const kept = await pipeline.query(quarters);
    expect(kept.length).toBeGreaterThan(5);
    await pipeline.query('delete from nowcast.model_summaries where tier_seconds = 900');
    await pipeline.query(
      await readFile(new URL('../sql/internal/28_quarter_hours.sql', import.meta.url), 'utf8'),
    );
    expect(await pipeline.query(quarters)).toEqual(kept);
    expect(await pipeline.query('select * from nowcast_recompute_check()')).toEqual([]);
    await expectDefined({ minutes: 170, step: '15 minutes', model: null, feature: null });
  });

  test('knows the windows of buckets that were filled before an upgrade', async () => {
    const sums = `select tier_seconds, minute, model_version, before_5m_requests, before_5m_errors, before_5m_latency_ms,
      before_1h_requests, before_1h_errors, before_1h_latency_ms
      from nowcast.bucket_figures order by 1, 2, 3`;
    await writes.compact();
    const kept = await pipeline.query(sums);
    expect(kept.length).toBeGreaterThan(20);
    // As an upgrade finds them.
    const columns = ['5m', '1h'].flatMap((window) =>
      ['requests', 'errors', 'latency_ms'].map((name) => `before_${window}_${name}`),
    );
    const migration = await readFile(new URL('../sql/schema/0025_sums_before.sql', import.meta.url), 'utf8');
    await pipeline.query(
      `alter table nowcast.bucket_figures ${columns.map((name) => `drop column ${name}`).join(', ')};
       drop type nowcast.rolled_figures cascade`,
    );
    await pipeline.query(migration);
    expect(await pipeline.query(sums)).toEqual(kept);
  });
});
