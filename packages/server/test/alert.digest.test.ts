import pg from 'pg';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { channelSpec } from '../src/alert/channels/spec.ts';
import { AlertDelivery } from '../src/alert/delivery.ts';
import { alertDigest, digestDay, type FiredRule, sendAlertDigest } from '../src/alert/outbox/alertDigest.ts';
import { enqueueDigest } from '../src/alert/outbox/digest.ts';
import { findQuieter } from '../src/alert/outbox/quieter.ts';
import { Scheduler } from '../src/schedule/scheduler.ts';
import { Partitions } from '../src/store/partitions.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';
import { type Received, startReceiver } from './support/receivers.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 4 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const fired = (change: Partial<FiredRule>): FiredRule => ({
  rule: 'error_failure',
  fired: 12,
  acknowledged: 0,
  median_bad_seconds: 40,
  returned: 0,
  median_pause_seconds: null,
  for_seconds: 0,
  keep_firing_seconds: 300,
  ...change,
});

describe('the digest of what fired', () => {
  test.for([
    [undefined, {}, 'Noisy: half of them were over in 40 s'],
    [undefined, { returned: 7 }, 'Noisy: 7 came back within half an hour, half of them were over in 40 s'],
    [
      { field: 'for_seconds', value: 45, alerts: 5, alertsNow: 13 },
      {},
      'half of them were over in 40 s; replayed with for_seconds = 45 it fires 5 instead of 13 times',
    ],
    [null, { median_bad_seconds: 0 }, 'Noisy; neither waiting nor asking for more events would have halved'],
  ] as const)('names a noisy rule, and what a replay found of it: %j', ([found, change, advice]) => {
    const quieter = found === undefined ? undefined : new Map([['error_failure', found]]);
    const digest = alertDigest([fired(change)], quieter, 'weekly', '2026-03-02');
    expect(digest).toMatchObject({ key: 'alerts-weekly-2026-03-02', text: 'Noisy: error_failure.' });
    expect(digest.lines[0]).toContain(advice);
  });

  test('leaves alone what people take in hand, what is rare, and silence', () => {
    const digestOf = (rules: FiredRule[]) => alertDigest(rules, undefined, 'daily', '2026-03-02');
    const { text, lines } = digestOf([fired({ acknowledged: 6 }), fired({ fired: 4 })]);
    expect(text).toBe('No rule was noisy.');
    expect(lines).toEqual([
      'error_failure: 12 alerts, 6 acknowledged',
      'error_failure: 4 alerts, 0 acknowledged',
    ]);
    expect(digestOf([]).title).toBe('Quiet: no alert in the day before 2026-03-02');
  });

  test('is due from eight in the morning of its zone, weekly on Mondays', () => {
    const monday = new Date('2026-03-02T07:30:00Z');
    expect(digestDay('weekly', 'UTC', monday)).toBeUndefined();
    expect(digestDay('weekly', 'Europe/Berlin', monday)).toBe('2026-03-02');
    expect(digestDay('daily', 'UTC', new Date('2026-03-03T09:00:00Z'))).toBe('2026-03-03');
    expect(digestDay('weekly', 'UTC', new Date('2026-03-03T09:00:00Z'))).toBeUndefined();
  });

  test('is handed to the outbox once, however many servers make it', async () => {
    const digest = alertDigest([fired({})], undefined, 'daily', '2026-03-02');
    const made = await Promise.all([1, 2, 3, 4].map(() => enqueueDigest(pool, digest)));
    expect(made.filter((one) => one)).toHaveLength(1);
  });

  test('reads how often each rule fired, for how long it was bad and how often it came back', async () => {
    await pool.query(
      `insert into system_alerts (timestamp, severity, alert_type, message, rule, labels, status, resolved_at)
       select at, 'warning', 'x', 'x', 'high_latency', '{"model_version": "m"}', 'resolved', at + interval '320 seconds'
       from generate_series('2026-03-01 00:00Z'::timestamptz, '2026-03-01 01:00Z', interval '10 minutes') at`,
    );
    const { rows } = await pool.query(`select * from nowcast.fired_rules('2026-03-01Z', '2026-03-02Z')`);
    expect(rows).toEqual([
      expect.objectContaining({
        rule: 'high_latency',
        fired: 7,
        acknowledged: 0,
        median_bad_seconds: 20,
        returned: 6,
        median_pause_seconds: 280,
      }),
    ]);
  });
});

const dayMs = 86_400_000;
const today = Math.floor(Date.now() / dayMs) * dayMs;
const { signal } = new AbortController();

describe('a noisy rule', () => {
  /** Yesterday a model failed for a minute every two hours, and again twenty minutes later; each time an alert was raised. */
  beforeAll(async () => {
    await new Partitions(pool).ensureAround(Date.now() * 1000, 2);
    const from = new Date(today - 0.75 * dayMs);
    await pool.query(
      `insert into inference_logs (timestamp, model_version, inference_time_ms, is_error)
       select $1::timestamptz + make_interval(secs => i), 'flapping', 100, i / 60 % 120 in (0, 20)
       from generate_series(0, 12 * 3600 - 1, 5) i`,
      [from],
    );
    while ((await pool.query<{ n: number }>('select nowcast.compact() as n')).rows[0]!.n > 0);
    await pool.query(
      `insert into alert_rules (name, kind, condition, keep_firing_seconds) values
       ('flaps', 'threshold', '{"metric": "error_rate_pct", "comparator": ">", "value": 20, "window_seconds": 60}', 60)`,
    );
    await pool.query(
      `insert into system_alerts (timestamp, severity, alert_type, message, rule, labels, status, resolved_at)
       select at, 'warning', 'error_rate', 'x', 'flaps', '{"model_version": "flapping"}', 'resolved', at + interval '3 minutes'
       from generate_series(0, 11) i, lateral (select $1::timestamptz + make_interval(mins => i / 2 * 120 + i % 2 * 20) as at) t
       order by at`,
      [from],
    );
  });
  const window = { sinceMs: today - dayMs, untilMs: today, nowMs: today, signal };
  const flaps = fired({ rule: 'flaps', median_bad_seconds: 120, median_pause_seconds: 1_020 });

  test('is replayed with the gentlest change that halves its alerts', async () => {
    expect(await findQuieter(pool, [flaps], window)).toEqual(
      new Map([['flaps', { field: 'keep_firing_seconds', value: 1_140, alerts: 6, alertsNow: 12 }]]),
    );
    expect(await findQuieter(pool, [{ ...flaps, median_pause_seconds: null }], window)).toEqual(
      new Map([['flaps', { field: 'for_seconds', value: 150, alerts: 0, alertsNow: 12 }]]),
    );
    const useless = { ...flaps, median_pause_seconds: 1, median_bad_seconds: 0 };
    expect(await findQuieter(pool, [useless], window)).toEqual(new Map([['flaps', null]]));
  });

  test('is left out where its kind is in no history, or it is gone', async () => {
    const others = ['high_latency', 'nobody'].map((rule) => ({ ...flaps, rule }));
    expect(await findQuieter(pool, others, window)).toEqual(new Map());
  });

  test('stands in the digest with its change, once', async () => {
    const options = { every: 'daily', zone: 'UTC', now: new Date(today + dayMs / 2), signal } as const;
    expect(await sendAlertDigest(pool, options)).toBe(true);
    expect(await sendAlertDigest(pool, options)).toBe(false);
    const { rows } = await pool.query<{ lines: string[] }>(
      `select payload -> 'lines' as lines from nowcast.alert_outbox where kind = 'digest' and labels ->> 'digest' = $1`,
      [`alerts-daily-${new Date(today).toISOString().slice(0, 10)}`],
    );
    expect(rows).toEqual([
      {
        lines: [
          'flaps: 12 alerts, 0 acknowledged. Noisy: 6 came back within half an hour, half of them were over in 2 min; replayed with keep_firing_seconds = 1140 it fires 6 instead of 12 times',
        ],
      },
    ]);
  });
});

test('a digest that failed is tried again, and reaches its channels once', async () => {
  const hook = await startReceiver();
  // Channels that are new hear of digests of the last minute too, as other tests made them.
  const isIt = ({ body }: Received) =>
    body.type === 'news' && body.headline === '7 alerts in the week before 2026-03-02, 0 acknowledged';
  const warnings: string[] = [];
  const log = pino(
    { level: 'warn' },
    { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) },
  );
  const delivery = new AlertDelivery({
    pool,
    log,
    channels: [channelSpec({ kind: 'webhook', url: hook.url }, 'it', 'config')],
    allow: ['127.0.0.1'],
    publicUrl: () => 'http://127.0.0.1',
  });
  const now = new Date('2026-03-02T09:00:00Z');
  await pool.query('alter function nowcast.enqueue_digest rename to enqueue_digest_away');
  const scheduler = new Scheduler({
    pool,
    log,
    zone: 'UTC',
    tasks: [
      {
        name: 'alert-digest',
        cron: '0 8-23 * * 1',
        retrySeconds: 0,
        run: (signal) => sendAlertDigest(pool, { every: 'weekly', zone: 'UTC', now, signal }),
      },
    ],
    timings: { startDelayMs: 0, pollSeconds: 0.5, cronSeconds: 1 },
  });
  try {
    delivery.start();
    await expect.poll(() => warnings.length).toBeGreaterThan(1);
    expect(new Set(warnings)).toEqual(new Set(['alert-digest failed; it is tried again']));
    await pool.query('alter function nowcast.enqueue_digest_away rename to enqueue_digest');
    await hook.until((received) => received.some(isIt));
  } finally {
    await scheduler.stop();
    await delivery.stop();
    await hook.close();
  }
  expect(hook.received.filter(isIt)).toHaveLength(1);
});
