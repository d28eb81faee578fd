import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Engine } from '../src/alert/engine.ts';
import { Explainer } from '../src/alert/explainer.ts';
import { event } from './support/events.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { CuttableProxy } from './support/proxy.ts';
import { startTestServer } from './support/server.ts';

let pipeline: Pipeline;
const engines: Engine[] = [];
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline.close());
beforeEach(() =>
  pipeline.query(`truncate system_alerts, nowcast.incidents, nowcast.alert_states, nowcast.alert_outbox,
    nowcast.engine_lease, nowcast.summary_partials cascade`),
);
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});

function startEngine(pool = pipeline.pool, lease: { leaseSeconds?: number } = {}): Engine {
  const engine = new Engine({
    ...lease,
    pool,
    log: pino({ level: 'silent' }),
    ownState: async () => ({ problems: [], isBlind: false }),
    intervalMs: 50,
  });
  engines.push(engine);
  return engine;
}

async function stopEngine(engine: Engine): Promise<void> {
  engines.splice(engines.indexOf(engine), 1);
  await engine.stop();
}

/** Asks until the answer is as wanted; the test's own timeout ends it. */
async function until<Row extends pg.QueryResultRow>(
  text: string,
  wanted: (rows: Row[]) => boolean = (rows) => rows.length > 0,
): Promise<Row[]> {
  for (;;) {
    const rows = await pipeline.query<Row>(text);
    if (wanted(rows)) return rows;
    await delay(20);
  }
}
/** So many looks have passed. */
async function looks(count: number): Promise<void> {
  for (let look = 0; look < count; look++) {
    const [before] = await pipeline.query<{ looked_at: Date }>('select looked_at from nowcast.engine_lease');
    await until<{ looked_at: Date }>('select looked_at from nowcast.engine_lease', (rows) =>
      rows.some(({ looked_at: at }) => at > (before?.looked_at ?? new Date(0))),
    );
  }
}
/** The second time that it takes the lease it has looked once: what comes now is news to it. */
async function holderIsThere(): Promise<void> {
  await until('select 1 from nowcast.engine_lease where held_until > now()');
  await looks(1);
}

async function fail(model: string, count = 20): Promise<void> {
  const bad = event({ model_version: model, is_error: true });
  await pipeline.take(Array.from({ length: count }, () => bad));
}

describe('the engine', () => {
  test('opens an alert with its figures, its incident and its state, once', async () => {
    startEngine();
    await holderIsThere();
    await fail('one', 12);
    const [alert] = await until<{ id: number; message: string }>(
      `select * from system_alerts where rule = 'error_failure'`,
    );
    expect(alert).toMatchObject({
      severity: 'critical',
      alert_type: 'error_rate',
      status: 'firing',
      labels: { model_version: 'one' },
      metadata: { model_version: 'one', errors: 12, requests: 12, error_rate_pct: 100 },
    });
    // By when a busy machine looked at it.
    expect(alert!.message).toMatch(
      /^100 % of the events of one failed in the last (5|10|30|60) s \(12 of 12\), and too little is known of it to say what is usual\.$/,
    );
    await fail('one');
    await looks(2);
    expect(
      await pipeline.query(
        `select rule, labels, state, alert_id from nowcast.alert_states where rule = 'error_failure'`,
      ),
    ).toEqual([
      { rule: 'error_failure', labels: { model_version: 'one' }, state: 'firing', alert_id: alert!.id },
    ]);
    expect(await pipeline.query('select kind from nowcast.alert_outbox')).toEqual([{ kind: 'firing' }]);
    const [explained] = await until<{ explanation: { metric: string } }>(
      'select explanation from system_alerts where explanation is not null',
    );
    expect(explained!.explanation.metric).toBe('error_rate');
  });

  test('asks a minute later once more where an alert comes from, if nothing explained it at first', async () => {
    const features = ['search', 'chat', 'receipts', 'mail'];
    const now = Date.now();
    const eventsSince = (agoSeconds: number, fails: (feature: string) => boolean) =>
      Array.from({ length: 80 }, (_, i) => {
        const feature = features[i % features.length]!;
        const timestamp = new Date(now - (agoSeconds - i) * 1000).toISOString();
        return event({ model_version: 'again', feature, timestamp, is_error: fails(feature) });
      });
    await pipeline.take([
      ...eventsSince(900, () => false),
      ...eventsSince(120, (feature) => feature === 'search'),
    ]);
    await pipeline.query(
      `insert into system_alerts (severity, alert_type, message, rule, labels, metadata, timestamp, explanation)
       select 'critical', 'error_rate', 'x', rule, '{"model_version": "again"}', jsonb_build_object('since', since),
         opened, '{"causes": []}'
       from (values ('old', $1::timestamptz, now() - interval '2 minutes'), ('new', $1, now())) a (rule, since, opened)`,
      [new Date(now - 120_000)],
    );
    await expect
      .poll(async () => {
        const explainer = new Explainer(pipeline.pool, pino({ level: 'silent' }));
        explainer.look();
        await explainer.stop();
        return await pipeline.query(
          `select rule, explanation -> 'causes' -> 0 ->> 'value' as value from system_alerts order by rule`,
        );
      })
      .toEqual([
        { rule: 'new', value: null },
        { rule: 'old', value: 'search' },
      ]);
  });

  test('notes until when what it found was seen', async () => {
    startEngine();
    await holderIsThere();
    await fail('one', 12);
    await until(
      `select 1 from system_alerts where rule = 'error_failure' and last_seen_at > timestamp + interval '1 second'`,
    );
  });

  test('makes one incident of an outage of three models', async () => {
    startEngine();
    await holderIsThere();
    await Promise.all(['a', 'b', 'c'].map((model) => fail(model)));
    await until(`select 1 from system_alerts`, (rows) => rows.length === 3);
    expect(
      await pipeline.query('select severity, (summary ->> $1)::int as alerts from nowcast.incidents', [
        'alerts',
      ]),
    ).toEqual([{ severity: 'critical', alerts: 3 }]);
    expect(await pipeline.query(`select kind from nowcast.alert_outbox where kind = 'firing'`)).toHaveLength(
      1,
    );
  });

  test('takes up a rule that is written by SQL, its change, and its end', async () => {
    startEngine();
    await holderIsThere();
    await pipeline.query(
      `insert into alert_rules (name, kind, condition, keep_firing_seconds)
       values ('busy', 'threshold', '{"metric": "requests_per_minute", "comparator": ">", "value": 100000}', 0)`,
    );
    await pipeline.take([event({ model_version: 'fine' })]);
    await looks(1);
    expect(await pipeline.query('select 1 from system_alerts')).toEqual([]);
    await pipeline.query(
      `update alert_rules set condition = condition || '{"value": 0.01}' where name = 'busy'`,
    );
    await pipeline.take([event({ model_version: 'fine' })]);
    const [alert] = await until<{ message: string; severity: string }>(
      'select message, severity from system_alerts',
    );
    expect(alert).toMatchObject({ severity: 'warning' });
    expect(alert!.message).toMatch(/^Requests a minute of fine is [\d.]+ in the last 5 min, above 0.01\.$/);
    await pipeline.query(`update alert_rules set enabled = false where name = 'busy'`);
    await until(`select 1 from system_alerts where status = 'resolved'`);
    expect(await pipeline.query('select 1 from nowcast.alert_states')).toEqual([]);
    await pipeline.query(`delete from alert_rules where name = 'busy'`);
  });

  test('notices that somebody closed an alert', async () => {
    startEngine();
    await holderIsThere();
    await fail('one');
    await until(`select 1 from nowcast.alert_states where state = 'firing'`);
    await pipeline.query(`update alert_rules set enabled = false where name = 'error_failure'`);
    await pipeline.query(`update system_alerts set status = 'resolved'`);
    await until('select 1 from nowcast.alert_states', (rows) => rows.length === 0);
    await pipeline.query(`update alert_rules set enabled = true where name = 'error_failure'`);
  });

  test('judges in one server at a time, and the next one goes on with the same alert', async () => {
    // However long the machine stands still, the lease does not end by itself.
    const lasting = { leaseSeconds: 3_600 };
    const first = startEngine(pipeline.pool, lasting);
    await holderIsThere();
    const [{ holder }] = (await pipeline.query<{ holder: string }>(
      'select holder from nowcast.engine_lease',
    )) as [{ holder: string }];
    startEngine(pipeline.pool, lasting);
    await fail('one');
    await until(`select 1 from system_alerts`);
    await looks(2);
    expect(await pipeline.query('select holder from nowcast.engine_lease')).toEqual([{ holder }]);
    await stopEngine(first);
    await until<{ holder: string }>(
      'select holder from nowcast.engine_lease where held_until > now()',
      (rows) => rows.some((row) => row.holder !== holder),
    );
    await fail('one');
    await looks(3);
    expect(await pipeline.query(`select status from system_alerts where rule = 'error_failure'`)).toEqual([
      { status: 'firing' },
    ]);
    await pipeline.query(`update alert_rules set enabled = false where name = 'error_failure'`);
    await until(`select 1 from system_alerts where status = 'resolved'`);
    await pipeline.query(`update alert_rules set enabled = true where name = 'error_failure'`);
  });

  test('goes on when the database is back, without a second alert', async () => {
    const proxy = await CuttableProxy.to(pipeline.url);
    const pool = new pg.Pool({ connectionString: proxy.url, max: 3 });
    pool.on('error', () => undefined);
    const engine = startEngine(pool);
    await holderIsThere();
    await fail('one');
    await until(`select 1 from system_alerts`);
    proxy.refusing = true;
    proxy.cutBefore = () => true;
    await fail('two');
    await until('select 1 from nowcast.engine_lease where held_until < now()');
    proxy.refusing = false;
    proxy.cutBefore = undefined;
    await fail('two');
    await until(`select 1 from system_alerts where labels ->> 'model_version' = 'two'`);
    expect(
      await pipeline.query(`select labels from system_alerts where rule = 'error_failure' order by id`),
    ).toEqual([{ labels: { model_version: 'one' } }, { labels: { model_version: 'two' } }]);
    await stopEngine(engine);
    await pool.end();
    await proxy.close();
  });
});

test('the server judges what comes by HTTP', async () => {
  const server = await startTestServer();
  const pool = new pg.Pool({ connectionString: server.databaseUrl, max: 1 });
  const bad = { model_version: 'failing', inference_time_ms: 100, is_error: true };
  for (let alerts: unknown[] = []; alerts.length === 0; ) {
    await server.post('/telemetry/inference/batch', Array(10).fill(bad));
    alerts = (await pool.query(`select 1 from system_alerts where rule = 'error_failure'`)).rows;
  }
  await pool.end();
  await server.close();
});
