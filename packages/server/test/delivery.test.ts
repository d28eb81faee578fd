import type { SupabaseClient } from '@supabase/supabase-js';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { event } from './support/events.ts';
import type { TestServer } from './support/server.ts';
import { type Heard, type Subscriber, startSubscriber } from './support/subscriber.ts';

let subscriber: Subscriber;
let server: TestServer;
let supabase: SupabaseClient;
let pool: pg.Pool;
let listen: Subscriber['listen'];

beforeAll(async () => {
  subscriber = await startSubscriber();
  ({ server, pool, supabase, listen } = subscriber);
});
afterEach(() => subscriber.leave());
afterAll(() => subscriber.close());

const modelOf = (heard: Heard) => heard.new.model_version;

describe('a subscriber of inference_logs', () => {
  test('hears of a POST with the very row that REST returns', async () => {
    const heard = await listen('inference_logs', { event: 'INSERT' });
    await server.post(
      '/telemetry/inference',
      event({
        model_version: 'heard',
        inference_time_ms: 12.5,
        timestamp: new Date(Date.now() - 1000).toISOString().replace('Z', '450Z'),
        metadata: { b: 1, a: [null] },
        error_message: 'tab\tquote"',
      }),
    );
    await expect.poll(() => heard.length).toBe(1);
    const { data } = await supabase.from('inference_logs').select('*').eq('model_version', 'heard');
    expect(heard[0]!.new).toEqual(data![0]);
    expect(Object.keys(heard[0]!.new)).toEqual(Object.keys(data![0]!));
  });

  test('hears every row of both doors exactly once, while both write', async () => {
    const heard = await listen('inference_logs', { event: 'INSERT' });
    const posts = Array.from({ length: 60 }, (_, index) =>
      server.post('/telemetry/inference', event({ trace_id: `post ${index}` })),
    );
    const batches = Array.from({ length: 5 }, (_, index) =>
      server.post(
        '/telemetry/inference/batch',
        Array.from({ length: 20 }, (_, row) => event({ trace_id: `batch ${index} ${row}` })),
      ),
    );
    const inserts = Array.from({ length: 30 }, (_, index) =>
      pool.query(
        `insert into inference_logs (model_version, inference_time_ms, trace_id)
         select 'v1', 1, 'insert ' || $1::text || ' ' || i from generate_series(1, 3) i`,
        [index],
      ),
    );
    await Promise.all([...posts, ...batches, ...inserts]);
    await expect.poll(() => heard.length).toBe(60 + 100 + 90);
    expect(new Set(heard.map((change) => change.new.trace_id)).size).toBe(250);
  });

  test('hears of what commits late, and of others meanwhile', async () => {
    const heard = await listen('inference_logs', { event: 'INSERT' });
    const slow = await pool.connect();
    await slow.query(
      `begin; insert into inference_logs (model_version, inference_time_ms) values ('slow', 1)`,
    );
    await server.post('/telemetry/inference', event({ model_version: 'quick' }));
    await expect.poll(() => heard.map(modelOf)).toEqual(['quick']);
    await slow.query('commit');
    slow.release();
    await expect.poll(() => heard.map(modelOf)).toEqual(['quick', 'slow']);
  });

  test('hears nothing of what was rolled back', async () => {
    const heard = await listen('inference_logs');
    await pool.query(
      `begin; insert into inference_logs (model_version, inference_time_ms) values ('undone', 1); rollback`,
    );
    await server.post('/telemetry/inference', event({ model_version: 'after' }));
    await expect.poll(() => heard.map(modelOf)).toEqual(['after']);
  });

  test('hears of rows that were inserted inside savepoints', async () => {
    const heard = await listen('inference_logs');
    await pool.query(`do $$ begin
      insert into inference_logs (model_version, inference_time_ms) values ('outer', 1);
      begin
        insert into inference_logs (model_version, inference_time_ms) values ('inner', 1);
      exception when others then null;
      end;
    end $$`);
    await expect.poll(() => heard.map(modelOf).sort()).toEqual(['inner', 'outer']);
  });

  test('misses nothing when the connection of the feed is cut', async () => {
    const heard = await listen('inference_logs');
    await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'nowcast feed'`,
    );
    await server.post('/telemetry/inference', event({ model_version: 'during' }));
    await expect.poll(() => heard.map(modelOf)).toEqual(['during']);
  });

  test('with a filter hears only what matches', async () => {
    const heard = await listen('inference_logs', { filter: 'model_version=eq.wanted' });
    await server.post('/telemetry/inference/batch', [
      event({ model_version: 'other' }),
      event({ model_version: 'wanted' }),
    ]);
    await expect.poll(() => heard.map(modelOf)).toEqual(['wanted']);
  });

  test('hears of updates and deletes', async () => {
    const heard = await listen('inference_logs');
    // Heard before it changes: a busy server may tell of it after whoever subscribes a moment later.
    await server.post('/telemetry/inference', event({ model_version: 'changing' }));
    await expect.poll(() => heard.length).toBe(1);
    await pool.query(`update inference_logs set feedback = 1 where model_version = 'changing'`);
    await pool.query(`delete from inference_logs where model_version = 'changing'`);
    await expect.poll(() => heard.map((change) => change.eventType)).toEqual(['INSERT', 'UPDATE', 'DELETE']);
    expect(heard[1]!.new.feedback).toBe(1);
  });
});

describe('the pulse', () => {
  test('tells a watcher the metrics of the minute, whoever wrote, and is still while nothing happens', async () => {
    const heard = await listen('metrics_pulse');
    // Both in one minute, whenever the test runs.
    const timestamp = new Date().toISOString();
    await server.post(
      '/telemetry/inference',
      event({ timestamp, model_version: 'pulsing', inference_time_ms: 100 }),
    );
    const latest = () => heard.filter((change) => modelOf(change) === 'pulsing').at(-1)?.new;
    await expect.poll(latest).toMatchObject({ request_count: 1, avg_latency_ms: 100, error_count: 0 });
    await pool.query(
      `insert into inference_logs (timestamp, model_version, inference_time_ms, is_error) values ($1, 'pulsing', 300, true)`,
      [timestamp],
    );
    await expect.poll(latest).toMatchObject({ request_count: 2, avg_latency_ms: 200, error_rate_pct: 50 });
  });

  test('that could not be made comes by itself, without a further event', async () => {
    const heard = await listen('metrics_pulse');
    const { rows } = await pool.query(
      `select pg_get_functiondef('nowcast.refresh_pulse'::regproc) as definition`,
    );
    await pool.query(`
      create sequence public.pulse_attempts;
      create or replace function nowcast.refresh_pulse(since timestamptz, until timestamptz) returns integer
        language plpgsql as $$ begin perform nextval('public.pulse_attempts'); raise 'not now'; end $$`);
    await server.post('/telemetry/inference', event({ model_version: 'late pulse' }));
    const attempted = async () =>
      (await pool.query('select is_called from public.pulse_attempts')).rows[0].is_called;
    await expect.poll(attempted).toBe(true);
    await pool.query(rows[0].definition);
    await pool.query('drop sequence public.pulse_attempts');
    await expect.poll(() => heard.map(modelOf)).toContain('late pulse');
  });
});

describe("the article's latency check", () => {
  const openAlerts = async (model: string) =>
    (
      await pool.query(`select * from system_alerts where labels ->> 'model_version' = $1 order by id`, [
        model,
      ])
    ).rows;

  test('raises one alert a model against the average before the batch, and subscribers hear of it', async () => {
    const heard = await listen('system_alerts', { event: 'INSERT' });
    const model = 'slowing';
    await server.post(
      '/telemetry/inference/batch',
      Array.from({ length: 20 }, () => event({ model_version: model, inference_time_ms: 2_000 })),
    );
    // Above five seconds, but not three times the average.
    await server.post('/telemetry/inference', event({ model_version: model, inference_time_ms: 5_900 }));
    expect(await openAlerts(model)).toEqual([]);
    await server.post(
      '/telemetry/inference/batch',
      Array.from({ length: 500 }, () => event({ model_version: model, inference_time_ms: 9_000 })),
    );
    await server.post('/telemetry/inference', event({ model_version: model, inference_time_ms: 60_000 }));
    const alerts = await openAlerts(model);
    expect(alerts).toHaveLength(1);
    expect(alerts[0]).toMatchObject({
      severity: 'warning',
      alert_type: 'high_latency',
      status: 'firing',
      acknowledged: false,
      metadata: { model_version: model, inference_time_ms: 9_000 },
    });
    const average = (20 * 2_000 + 5_900) / 21;
    expect(alerts[0].metadata.recent_avg_ms).toBeCloseTo(average, 9);
    expect(alerts[0].message).toBe(`Inference latency spike: 9000.00ms (avg: ${average.toFixed(2)}ms)`);
    // The rules of the engine may have something to say too.
    const told = () =>
      heard.flatMap(({ new: alert }) => (alert.rule === 'high_latency' ? [alert.message] : []));
    await expect.poll(told).toEqual([alerts[0].message]);
  });

  test('holds no event up while alerts are being grouped, and raises its own right after', async () => {
    await server.post('/telemetry/inference', event({ model_version: 'waiting', inference_time_ms: 100 }));
    const grouping = await pool.connect();
    await grouping.query('begin; select pg_advisory_xact_lock(nowcast.incident_lock())');
    for (const ms of [9_000, 90_000]) {
      const slow = event({ model_version: 'waiting', inference_time_ms: ms });
      expect(await server.post('/telemetry/inference', slow)).toMatchObject({ status: 200 });
    }
    expect(await openAlerts('waiting')).toEqual([]);
    await grouping.query('rollback');
    grouping.release();
    await expect
      .poll(() => openAlerts('waiting'))
      .toMatchObject([
        {
          alert_type: 'high_latency',
          message: 'Inference latency spike: 9000.00ms (avg: 100.00ms)',
          metadata: { model_version: 'waiting', inference_time_ms: 9_000, recent_avg_ms: 100 },
        },
      ]);
    const { rows } = await pool.query(
      `select count(*)::integer as violations from nowcast.latency_violations where model_version = 'waiting'`,
    );
    expect(rows).toEqual([{ violations: 2 }]);
  });

  test('cannot judge a model without history', async () => {
    await server.post('/telemetry/inference', event({ model_version: 'newborn', inference_time_ms: 90_000 }));
    expect(await openAlerts('newborn')).toEqual([]);
  });

  test('judges each model of a mixed batch by its own average', async () => {
    for (const [model, ms] of [
      ['mixed a', 100],
      ['mixed b', 50_000],
    ] as const) {
      await server.post('/telemetry/inference', event({ model_version: model, inference_time_ms: ms }));
    }
    await server.post(
      '/telemetry/inference/batch',
      ['mixed b', 'mixed a', 'mixed b', 'mixed a'].map((model) =>
        event({ model_version: model, inference_time_ms: 60_000 }),
      ),
    );
    expect(await openAlerts('mixed a')).toHaveLength(1);
    expect(await openAlerts('mixed b')).toEqual([]);
  });

  test('resolves after five minutes without a violating event, and acknowledges itself', async () => {
    const resolve = () => pool.query('select nowcast.resolve_latency_alerts()');
    const ago = (minutes: number) =>
      pool.query(
        `update nowcast.latency_violations set violated_at = now() - make_interval(mins => $1)
       where model_version = 'slowing'`,
        [minutes],
      );
    await pool.query(
      `update system_alerts set timestamp = now() - interval '1 hour' where rule = 'high_latency'`,
    );
    await ago(4);
    await resolve();
    expect((await openAlerts('slowing'))[0]).toMatchObject({ status: 'firing' });
    await ago(6);
    await resolve();
    expect((await openAlerts('slowing'))[0]).toMatchObject({ status: 'resolved', acknowledged: true });
    expect((await openAlerts('slowing'))[0].resolved_at).not.toBeNull();
    // A new spike is a new alert.
    await server.post(
      '/telemetry/inference',
      event({ model_version: 'slowing', inference_time_ms: 900_000 }),
    );
    expect((await openAlerts('slowing')).map(({ status }) => status)).toEqual(['resolved', 'firing']);
  });
});

test('a statement that changes thousands of alerts is told as a gap of so many', async () => {
  const gaps: string[] = [];
  const heard = await listen('system_alerts', { onGap: (message) => gaps.push(message) });
  const raise = (name: string, count: number) =>
    pool.query(
      `insert into system_alerts (severity, alert_type, message, rule, labels)
       select 'warning', 'x', $1, $1 || i, '{}' from generate_series(1, $2) i`,
      [name, count],
    );
  await raise('storm', 2_001);
  await raise('after', 1);
  const told = () => heard.map((change) => change.new.message);
  await expect
    .poll(() => told().filter((message) => message === 'storm' || message === 'after'))
    .toEqual(['after']);
  expect(gaps).toEqual([expect.stringContaining('2001 changes')]);
});
