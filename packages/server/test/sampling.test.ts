import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AdaptiveRate } from '../src/ingest/sampling/adaptiveRate.ts';
import { Sampler } from '../src/ingest/sampling/sampler.ts';
import { uniformOf } from '../src/ingest/sampling/uniform.ts';
import { arbitraryEvent, event } from './support/events.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { supabaseClient } from './support/supabase.ts';

const nothingUnusual = { p99LatencyMs: new Map(), keep: new Map() };
const tenPercent = () =>
  new Sampler({ rate: 0.1, maxRowsPerSecond: undefined, unusual: () => nothingUnusual });

/** A valid event with only what sampling looks at. */
function judged(fields: Record<string, unknown> = {}) {
  return {
    model_version: 'v1',
    inference_time_ms: 100,
    is_error: false,
    trace_id: null,
    user_id: null,
    ...fields,
  } as Parameters<Sampler['weigh']>[0];
}

describe('the decision', () => {
  test('keeps a share of ordinary events, each standing for those that were not kept', () => {
    const sampler = tenPercent();
    const weights = Array.from({ length: 20_000 }, (_, id) => sampler.weigh(judged(), id));
    const kept = weights.filter((weight) => weight > 0);
    expect(new Set(kept)).toEqual(new Set([10]));
    // Six standard deviations.
    expect(Math.abs(kept.length - 2_000)).toBeLessThan(6 * Math.sqrt(1_800));
  });

  test('is one for all events of a trace, in every server', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 64 }),
        fc.nat(),
        fc.nat(),
        (trace_id, one, another) => {
          const fates = [one, another].map((id) => tenPercent().weigh(judged({ trace_id }), id) > 0);
          expect(fates[0]).toBe(fates[1]);
          expect(tenPercent().keepsTrace(trace_id)).toBe(fates[0]);
        },
      ),
    );
  });

  test('does not follow the random bits of a trace id, by which others may have sampled before', () => {
    const traces = Array.from({ length: 4_000 }, (_, n) => n.toString(16).padStart(32, '0'));
    const kept = traces.filter((trace_id) => uniformOf(trace_id) < 0.5).length;
    expect(Math.abs(kept - 2_000)).toBeLessThan(6 * Math.sqrt(1_000));
  });

  test('always keeps errors, what the latency check looks at, what is above its model’s p99 and what was asked for', () => {
    const sampler = new Sampler({
      rate: 1e-4,
      maxRowsPerSecond: 1,
      unusual: () => ({
        p99LatencyMs: new Map([['v1', 900]]),
        keep: new Map([['user_id', new Set(['ada'])]]),
      }),
    });
    for (let id = 0; id < 100; id += 1) {
      expect(sampler.weigh(judged({ is_error: true }), id)).toBe(1);
      expect(sampler.weigh(judged({ model_version: 'unknown', inference_time_ms: 5_001 }), id)).toBe(1);
      expect(sampler.weigh(judged({ inference_time_ms: 901 }), id)).toBe(1);
      expect(sampler.weigh(judged({ user_id: 'ada' }), id)).toBe(1);
    }
    const others = Array.from({ length: 1_000 }, (_, id) =>
      sampler.weigh(judged({ inference_time_ms: 900 }), id),
    );
    expect(others.filter((weight) => weight === 1)).toEqual([]);
  });
});

describe('the adaptive share', () => {
  /** Sends so many ordinary events in each second, evenly; returns the rows kept of each second and the sum of weights. */
  function run(rate: AdaptiveRate, perSecond: readonly number[], unusual = 0) {
    let id = 0;
    return perSecond.map((events, second) => {
      let kept = 0;
      let weights = 0;
      for (let n = 0; n < events; n += 1) {
        const nowMs = second * 1_000 + (n * 1_000) / events;
        for (let u = 0; u < unusual / events; u += 1) rate.countUnusual(nowMs);
        const share = rate.at(nowMs);
        id += 1;
        const isKept = uniformOf(id) < share;
        rate.countOrdinary(nowMs, isKept);
        if (isKept) {
          kept += 1;
          weights += 1 / share;
        }
      }
      return { kept, weights };
    });
  }

  test('is the given one while traffic stays below the bound', () => {
    expect(run(new AdaptiveRate(1, 500), [300, 300, 300]).map(({ kept }) => kept)).toEqual([300, 300, 300]);
  });

  test('settles so that about the bound is kept, whatever the traffic', () => {
    for (const traffic of [2_000, 20_000, 100_000]) {
      const last = run(
        new AdaptiveRate(1, 500),
        Array.from({ length: 8 }, () => traffic),
      ).at(-1)!;
      expect(last.kept).toBeGreaterThan(400);
      expect(last.kept).toBeLessThan(650);
      expect(Math.abs(last.weights / traffic - 1)).toBeLessThan(0.3);
    }
  });

  test('brakes within the very second of a burst, and its weights still add up to what came', () => {
    const [, burst] = run(new AdaptiveRate(1, 500), [100, 50_000]);
    expect(burst!.kept).toBeLessThan(500 * 3);
    expect(Math.abs(burst!.weights / 50_000 - 1)).toBeLessThan(0.5);
  });

  test('gives what is unusual its place first', () => {
    const last = run(
      new AdaptiveRate(1, 500),
      Array.from({ length: 8 }, () => 4_000),
      4_000,
    ).at(-1)!;
    expect(last.kept).toBeLessThan(50);
  });
});

describe('a sampling server’s database', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await startPipeline({ sampler: tenPercent() });
  });
  afterAll(() => pipeline.close());

  const compactAll = async () => {
    while ((await pipeline.query<{ n: number }>('select nowcast.compact(50) as n'))[0]!.n > 0);
    await pipeline.query('select nowcast.fold_unkept(50)');
  };
  const differences = () =>
    pipeline.query("select * from nowcast_recompute_check(now() - interval '5 days')");

  test('holds summaries of all events, exactly as one that keeps them all', async () => {
    const whole = await startPipeline();
    const events = Array.from({ length: 3_000 }, (_, n) =>
      event({
        timestamp: new Date(Date.now() - (n % 7) * 60_000).toISOString(),
        model_version: `m${n % 3}`,
        inference_time_ms: 20 + ((n * 7919) % 1_500),
        is_error: n % 50 === 0,
        feature: `f${n % 2}`,
        confidence_score: (n % 100) / 100,
      }),
    );
    for (let from = 0; from < events.length; from += 500) {
      await pipeline.take(events.slice(from, from + 500));
      await whole.take(events.slice(from, from + 500));
    }
    const figures = `select bucket, model_version, request_count, error_count, p50_latency_ms, p95_latency_ms, p99_latency_ms
      from metrics(now() - interval '1 hour', now() + interval '1 minute', interval '1 minute') order by 1, 2`;
    expect(await pipeline.query(figures)).toEqual(await whole.query(figures));
    await compactAll();
    expect(await pipeline.query(figures)).toEqual(await whole.query(figures));
    const [rows] = await pipeline.query<{ n: number }>('select count(*)::int as n from inference_logs');
    expect(rows!.n).toBeGreaterThan(200);
    expect(rows!.n).toBeLessThan(600);
    await whole.close();
  });

  test('recomputes its summaries from rows and what was not kept, after updates and deletions too', async () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.array(arbitraryEvent, { minLength: 1, maxLength: 30 }) },
      { weight: 2, arbitrary: fc.constantFrom('compact' as const, 'update' as const, 'delete' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        for (const one of steps) {
          if (one === 'compact') await compactAll();
          else if (one === 'update')
            await pipeline.query('update inference_logs set is_error = not is_error where id % 5 = 0');
          else if (one === 'delete') await pipeline.query('delete from inference_logs where id % 7 = 0');
          else await pipeline.take(one);
        }
        while ((await pipeline.query<{ n: number }>('select nowcast.recompute_stale() as n'))[0]!.n > 0);
        expect(await differences()).toEqual([]);
      }),
      { numRuns: 12 },
    );
  });

  test('keeps what was not kept as long as its rows are here, and sums nothing anew without it', async () => {
    await pipeline.take(Array.from({ length: 300 }, () => event({ model_version: 'pruned' })));
    await compactAll();
    expect(await pipeline.query('select nowcast.prune_unkept(0) as n')).toEqual([{ n: '0' }]);
    await pipeline.query(
      `insert into nowcast.unkept_minutes select minute - interval '60 days', model_version, feature, variant,
         ${'null, '.repeat(29)}null from nowcast.unkept_minutes limit 1`,
    );
    expect(await pipeline.query('select nowcast.prune_unkept(30) as n')).toEqual([{ n: '1' }]);
    expect(await differences()).toEqual([]);
  });
});

describe('estimate_events()', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await startPipeline();
  });
  afterAll(() => pipeline.close());

  test('holds the true number in its interval in at least 95 % of simulations, few and many events, traces or none', async () => {
    const cases = [
      { events: 3, perTrace: 1 },
      { events: 30, perTrace: 1 },
      { events: 400, perTrace: 1 },
      { events: 400, perTrace: 5 },
      { events: 1_500, perTrace: 1 },
    ];
    for (const { events, perTrace } of cases) {
      // A thousand simulations in one query; the hash makes them the same in each run.
      const [found] = await pipeline.query<{ share: number; widest: number }>(
        `with simulated as (
           select s, count(*) filter (where (hashint8extended(s * 100003 + trace, 11) & 1048575) < 104858) as kept
           from generate_series(1, 1000) s, generate_series(1, $1::int / $2::int) trace group by s
         )
         select avg((i.low <= $1::int and i.high >= $1::int)::int)::float8 as share,
           max(i.high - i.low)::float8 as widest
         from simulated, nowcast.sampling_interval(
           0, kept * 10.0 * $2::int, kept * $2::int, 0.9 * kept * (10.0 * $2::int) ^ 2, 10) i`,
        [events, perTrace],
      );
      expect(found!.share, JSON.stringify({ events, perTrace })).toBeGreaterThanOrEqual(0.95);
      if (events >= 400) expect(found!.widest).toBeLessThan(events * 2.5);
    }
  });

  test('counts rows by their weight, and exactly where all are kept', async () => {
    const insert = (user: string, weight: number | null, trace: string | null, count: number) =>
      pipeline.query(
        `insert into inference_logs (model_version, inference_time_ms, user_id, sample_weight, trace_id)
         select 'v1', 100, $1, $2, $3 from generate_series(1, $4)`,
        [user, weight, trace, count],
      );
    const of = async (user: string) =>
      (
        await pipeline.query<{ events: number; low: number; high: number; kept_rows: string }>(
          "select * from estimate_events(until => now() + interval '1 minute', user_id => $1)",
          [user],
        )
      )[0]!;
    await insert('whole', null, null, 7);
    expect(await of('whole')).toEqual({ events: 7, low: 7, high: 7, kept_rows: '7' });
    await insert('sampled', 10, null, 40);
    await insert('sampled', null, null, 3);
    const sampled = await of('sampled');
    expect(sampled).toMatchObject({ events: 403, kept_rows: '43' });
    expect(sampled.low).toBeGreaterThan(280);
    expect(sampled.low).toBeLessThan(403);
    expect(sampled.high).toBeGreaterThan(403);
    expect(sampled.high).toBeLessThan(580);
    // Nobody of that name was kept: there may have been some.
    expect(await of('nobody')).toMatchObject({ events: 0, low: 0, kept_rows: '0' });
    expect((await of('nobody')).high).toBeGreaterThan(10);
    const costs = await pipeline.query<{ group_key: string; requests: string }>(
      "select group_key, requests from cost_report(until => now() + interval '1 minute', group_by => 'user_id')",
    );
    expect(costs).toContainEqual({ group_key: 'sampled', requests: '403' });
  });

  test('refuses a weight below one at the door of SQL', async () => {
    await expect(
      pipeline.query(
        "insert into inference_logs (model_version, inference_time_ms, sample_weight) values ('v1', 1, 0.5)",
      ),
    ).rejects.toThrow('sample_weight must lie between 1 and 1e9');
  });
});

describe('a server with NOWCAST_SAMPLE_RATE', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ NOWCAST_SAMPLE_RATE: '0.1' });
  });
  afterAll(() => server.close());

  const account = async (sender: string) =>
    (await server.post('/rest/v1/rpc/loss_accounting', {})).body.find(
      (row: { sender: string | null }) => row.sender === sender,
    );

  test('accounts for every event: stored and sampled out make up what was sent, and a repeat changes nothing', async () => {
    const events = Array.from({ length: 400 }, () => event());
    const body = { client: 'shop', batch_id: 'b1', events };
    const first = await server.post('/telemetry/inference/batch', body);
    expect(first.body).toMatchObject({ accepted: 400, rejected: 0, duplicate: false });
    expect((await server.post('/telemetry/inference/batch', body)).body).toMatchObject({
      accepted: 400,
      duplicate: true,
    });
    for (let n = 0; n < 20; n += 1)
      await server.post('/telemetry/inference', event(), { 'x-nowcast-client': 'shop' });
    await expect.poll(async () => (await account('shop')).duplicate).toBe(400);
    const { sent, stored, sampled_out } = await account('shop');
    expect(sent).toBe(820);
    expect(stored + sampled_out).toBe(420);
    expect(sampled_out).toBeGreaterThan(300);
    const metrics = await server.post('/rest/v1/rpc/metrics_total', {});
    expect(metrics.status).toBe(200);
  });

  test('stores batches of which nothing is kept, and the page’s minute moves with them', async () => {
    const supabase = supabaseClient(server.url);
    const moved = new Promise<Record<string, unknown>>((resolve) => {
      supabase
        .channel('pulse')
        .on('postgres_changes', { event: '*', schema: 'public', table: 'metrics_pulse' }, ({ new: row }) => {
          if ((row as { model_version: string }).model_version === 'unkept') resolve(row);
        })
        .subscribe(async (status) => {
          if (status !== 'SUBSCRIBED') return;
          // A trace that is not kept.
          const trace_id = Array.from({ length: 100 }, (_, n) => `t${n}`).find(
            (name) => uniformOf(name) >= 0.1,
          )!;
          await server.post('/telemetry/inference/batch', [event({ model_version: 'unkept', trace_id })]);
        });
    });
    expect(await moved).toMatchObject({ request_count: 1 });
    await supabase.removeAllChannels();
  });

  test('keeps all events of a user that sampling_keep names', async () => {
    await server.post('/rest/v1/sampling_keep', { field: 'user_id', value: 'ada' });
    const keptAll = async () => {
      const before = await server.get('/rest/v1/inference_logs?user_id=eq.ada&select=id');
      await server.post(
        '/telemetry/inference/batch',
        Array.from({ length: 30 }, () => event({ user_id: 'ada' })),
      );
      const after = await server.get('/rest/v1/inference_logs?user_id=eq.ada&select=id');
      return after.body.length - before.body.length;
    };
    await expect.poll(keptAll, { interval: 500 }).toBe(30);
  });

  test('takes the share that a sender kept itself into the weight, and names one that is none', async () => {
    await server.post('/telemetry/inference/batch', {
      sample_rate: 0.5,
      events: Array.from({ length: 200 }, (_, n) => event({ model_version: 'client', is_error: n < 5 })),
    });
    const { body } = await server.get(
      '/rest/v1/inference_logs?model_version=eq.client&select=is_error,sample_weight',
    );
    const weightsOf = (isError: boolean) => [
      ...new Set(
        body
          .filter((row: { is_error: boolean }) => row.is_error === isError)
          .map((row: { sample_weight: number | null }) => row.sample_weight),
      ),
    ];
    expect(weightsOf(true)).toEqual([null]);
    expect(weightsOf(false)).toEqual([20]);
    const wrong = await server.post('/telemetry/inference/batch', { sample_rate: 2, events: [event()] });
    expect(wrong.body.warnings).toEqual([
      'sample_rate was not used: it must be a number from 0.000001 to 1, got the number 2',
    ]);
  });
});
