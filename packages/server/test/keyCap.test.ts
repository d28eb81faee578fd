/** Whoever sends a request's id as its feature must not make a summary of each event. */
import type { InferenceEvent } from '@nowcast/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diagnose } from '../src/history/doctor.ts';
import { event } from './support/events.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

const maxKeys = 1_000;
const maxModels = 200;

let pipeline: Pipeline;
beforeEach(async () => {
  pipeline = await startPipeline();
});
afterEach(() => pipeline.close());

/** One minute, in the past: none of it comes in two. */
const timestamp = new Date(Date.now() - 600_000).toISOString();

const featured = (count: number, from = 0): InferenceEvent[] =>
  Array.from({ length: count }, (_, n) =>
    event({ timestamp, model_version: 'm', feature: `feature ${from + n}`, variant: 'a' }),
  );

async function insertByOtherDoor(events: readonly InferenceEvent[]): Promise<void> {
  const columns = Object.keys(events[0]!);
  await pipeline.pool.query(
    `insert into inference_logs (${columns.join(',')})
     select ${columns.join(',')} from json_populate_recordset(null::inference_logs, $1)`,
    [JSON.stringify(events)],
  );
}

const compact = async () => void (await pipeline.query('select nowcast.compact()'));
const gather = async () => void (await pipeline.query('select nowcast.gather()'));
const differences = () => pipeline.query(`select * from nowcast_recompute_check(now() - interval '1 hour')`);

async function kept() {
  const rows = await pipeline.query<{ own: number; requests: number; other: number | null; over: number }>(`
    select (select count(*)::int from nowcast.minute_summaries where feature <> '__other__') as own,
      (select sum(request_count)::int from nowcast.minute_summaries) as requests,
      (select sum(request_count)::int from nowcast.minute_summaries where feature = '__other__') as other,
      (select coalesce(sum(events), 0)::int from nowcast.key_overflows) as over`);
  return rows[0]!;
}

test('keys of a minute beyond the cap go to __other__, are counted, and both doors agree', async () => {
  await pipeline.take(featured(600));
  await gather();
  await insertByOtherDoor(featured(600, 300));
  expect(await differences()).toEqual([]);
  await gather();
  expect(await differences()).toEqual([]);
  // Some of these have a summary of their own, some lie in __other__, and some are new.
  await pipeline.take(featured(500, 800));
  expect(await differences()).toEqual([]);
  await compact();
  expect(await differences()).toEqual([]);
  const { own, requests, other, over } = await kept();
  expect(own).toBe(maxKeys);
  expect(requests).toBe(1_700);
  expect(other).toBe(over);
  expect(over).toBeGreaterThan(0);
  const { notes } = await diagnose(pipeline.pool, 30);
  expect(notes).toContainEqual(expect.stringContaining(`: ${over} events stand under __other__`));
  const [model] = await pipeline.query<{ n: string }>(
    `select request_count as n from nowcast.model_summaries where tier_seconds = 60 and model_version = 'm'`,
  );
  expect(Number(model!.n)).toBe(1_700);
});

test('models beyond the cap go to a model __other__, with all their keys', async () => {
  const models = Array.from({ length: maxModels + 50 }, (_, n) =>
    event({ timestamp, model_version: `model ${n}`, feature: 'f' }),
  );
  await pipeline.take(models.slice(0, 150));
  await compact();
  await insertByOtherDoor(models);
  await compact();
  const [counted] = await pipeline.query<{ models: number; other: number }>(`
    select count(*) filter (where model_version <> '__other__')::int as models,
      coalesce(sum(request_count) filter (where model_version = '__other__'), 0)::int as other
    from nowcast.model_summaries where tier_seconds = 60`);
  expect(counted).toEqual({ models: maxModels, other: 50 });
  expect(await differences()).toEqual([]);
});

test('a minute that overflowed is recomputed after a correction', async () => {
  await pipeline.take(featured(1_200));
  await compact();
  await pipeline.query(
    `update inference_logs set is_error = true where feature in ('feature 1', 'feature 1199')`,
  );
  await pipeline.query(`delete from inference_logs where feature in ('feature 2', 'feature 1198')`);
  await pipeline.query('select nowcast.recompute_stale()');
  expect(await differences()).toEqual([]);
  expect((await kept()).requests).toBe(1_198);
});

test('a minute that overflowed keeps models and keys when a row is corrected after its summaries were given up', async () => {
  await pipeline.query(`select nowcast.create_partition('2025-02-03')`);
  const old = '2025-02-03T10:20:30Z';
  const many = featured(1_200).map((one) => ({ ...one, timestamp: old }));
  const models = Array.from({ length: maxModels + 50 }, (_, n) =>
    event({ timestamp: '2025-02-03T10:21:30Z', model_version: `model ${n}`, feature: 'f' }),
  );
  await insertByOtherDoor([...many, ...models]);
  await compact();
  await pipeline.query('select nowcast.prune_tiers(90, 400)');
  expect((await kept()).requests).toBeNull();

  await pipeline.query(`update inference_logs set is_error = true where feature = 'feature 7'`);
  await pipeline.query('select nowcast.recompute_stale()');
  const [minutes] = await pipeline.query(`
    select count(*) filter (where model_version = 'm' and feature <> '__other__')::int as keys,
      (sum(request_count) filter (where model_version = 'm'))::int as requests,
      (sum(error_count) filter (where feature = 'feature 7'))::int as errors,
      (count(distinct model_version) filter (where model_version like 'model %'))::int as models
    from nowcast.minute_summaries`);
  expect(minutes).toEqual({ keys: maxKeys, requests: 1_200, errors: 1, models: maxModels });
  const [hours] = await pipeline.query(`
    select count(*) filter (where model_version like 'model %')::int as models,
      (sum(request_count) filter (where model_version = 'm'))::int as requests,
      (sum(request_count) filter (where model_version = '__other__'))::int as others
    from nowcast.model_summaries where tier_seconds = 3600`);
  expect(hours).toEqual({ models: maxModels, requests: 1_200, others: 50 });
  expect((await kept()).over).toBe(250);
});

test('what sampling does not keep has no more keys than its minute, and is recomputed with it', async () => {
  await pipeline.close();
  pipeline = await startPipeline({ sampler: { weigh: (_, id) => (id % 2 === 0 ? 2 : 0) } });
  await pipeline.take(featured(1_500));
  // The compactor has not decided about these yet: they wait.
  await pipeline.query('select nowcast.fold_unkept()');
  expect(await pipeline.query('select from nowcast.unkept_minutes')).toEqual([]);
  await compact();
  await pipeline.take(featured(1_500));
  await compact();
  await pipeline.query('select nowcast.fold_unkept()');
  expect(await pipeline.query('select from nowcast.unkept_partials')).toEqual([]);
  const [unkept] = await pipeline.query<{ own: number; requests: number; other: number }>(`
    select count(*) filter (where feature <> '__other__')::int as own, sum(request_count)::int as requests,
      (sum(request_count) filter (where feature = '__other__'))::int as other
    from nowcast.unkept_minutes`);
  expect(unkept!.own).toBeLessThanOrEqual(maxKeys);
  expect(unkept!.requests).toBe(1_500);
  expect(unkept!.other).toBeGreaterThan(0);
  expect(await differences()).toEqual([]);
  await pipeline.query('update inference_logs set is_error = true where id % 6 = 0');
  await pipeline.query('select nowcast.recompute_stale()');
  expect(await differences()).toEqual([]);
  expect((await kept()).requests).toBe(3_000);
});
