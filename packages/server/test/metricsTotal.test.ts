import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { event } from './support/events.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

let pipeline: Pipeline;
/** The start of an hour, so that windows cross minutes, five minutes and hours. */
const hour = Math.floor(Date.now() / 3_600_000 - 20) * 3_600_000;
const minuteMs = 60_000;
const spanMinutes = 5 * 60;

beforeAll(async () => {
  pipeline = await startPipeline();
  await pipeline.take(
    Array.from({ length: 1_500 }, (_, index) =>
      event({
        timestamp: new Date(hour + index * 12_000 + (index % 7)).toISOString(),
        model_version: ['small', 'large', 'rare'][index % 50 === 0 ? 2 : index % 2]!,
        inference_time_ms: 5 + ((index * 7_919) % 1_000) * (index % 2 === 0 ? 1 : 9),
        is_error: index % 11 === 0,
        ...(index % 3 === 0 && { confidence_score: (index % 10) / 10, input_tokens: index }),
        ...(index % 4 === 0 && { cost_usd: 0.25 }),
      }),
    ),
  );
});
afterAll(() => pipeline.close());

const exact = `
  select model_version, count(*) as request_count, count(*) filter (where is_error) as error_count,
    avg(inference_time_ms) as avg_latency_ms,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by inference_time_ms) as quantiles,
    avg(confidence_score) as avg_confidence, sum(input_tokens) as input_tokens, sum(cost_usd) as cost_usd,
    count(cost_usd) as priced_requests
  from inference_logs where timestamp >= $1 and timestamp < $2
  group by grouping sets ((model_version), ())
  having count(*) > 0`;

type Row = Record<string, unknown> & { model_version: string | null };

/** Rows of any window of whole minutes as they are and as they should be, by model. */
async function compare(sinceMinute: number, untilMinute: number): Promise<void> {
  const window = [sinceMinute, untilMinute].map((minute) => new Date(hour + minute * minuteMs));
  const rows = async (text: string) =>
    new Map((await pipeline.pool.query<Row>(text, window)).rows.map((row) => [row.model_version, row]));
  const [wanted, given] = [await rows(exact), await rows('select * from metrics_total($1, $2)')];
  expect([...given.keys()].sort()).toEqual([...wanted.keys()].sort());
  for (const [model, should] of wanted) {
    const is = given.get(model)!;
    for (const name of ['request_count', 'error_count', 'input_tokens', 'priced_requests']) {
      expect(is[name], `${model} ${name}`).toEqual(should[name]);
    }
    for (const name of ['avg_latency_ms', 'avg_confidence', 'cost_usd']) {
      if (should[name] === null) expect(is[name]).toBeNull();
      else expect(Number(is[name]), `${model} ${name}`).toBeCloseTo(Number(should[name]), 6);
    }
    (should.quantiles as number[]).forEach((quantile, index) => {
      const said = is[['p50_latency_ms', 'p95_latency_ms', 'p99_latency_ms'][index]!] as number;
      expect(Math.abs(said - quantile), `${model} quantile ${index}`).toBeLessThanOrEqual(quantile * 0.0101);
    });
  }
}

const anyWindow = fc
  .tuple(fc.integer({ min: -10, max: spanMinutes + 10 }), fc.integer({ min: 0, max: spanMinutes }))
  .map(([since, length]) => [since, since + length] as const);

test('the rows that the windows are taken from are there', async () => {
  const [counted] = await pipeline.query<{ n: string }>('select count(*) as n from inference_logs');
  expect(counted).toEqual({ n: '1500' });
});

test('metrics_total equals the rows of any window, quantiles within 1 %, before and after compaction', async () => {
  for (const compacted of [false, true]) {
    if (compacted) while ((await pipeline.query<{ n: number }>('select nowcast.compact() as n'))[0]!.n > 0);
    await fc.assert(
      fc.asyncProperty(anyWindow, ([since, until]) => compare(since, until)),
      {
        numRuns: 25,
        examples: [[[0, 300]], [[59, 61]], [[3, 4]], [[60, 120]], [[57, 63]], [[7, 7]], [[1, 299]]],
      },
    );
  }
});

test('metrics_total answers without arguments for the last hour, the running minute included', async () => {
  await pipeline.take([event({ model_version: 'now', inference_time_ms: 80 })]);
  const rows = await pipeline.query<Row>('select * from metrics_total()');
  expect(rows).toMatchObject([
    { model_version: null, request_count: '1' },
    { model_version: 'now', request_count: '1' },
  ]);
  expect(Math.abs((rows[0]!.p95_latency_ms as number) - 80)).toBeLessThan(0.8);
});
