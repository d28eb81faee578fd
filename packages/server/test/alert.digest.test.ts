import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alertDigest, digestDay, type FiredRule } from '../src/alert/outbox/alertDigest.ts';
import { enqueueDigest } from '../src/alert/outbox/digest.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';

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
    [{}, 'half of them were over in 40 s; for_seconds = 45 would have left those out'],
    [
      { returned: 7, median_pause_seconds: 200 },
      '7 came back within half an hour; keep_firing_seconds = 510 would have joined half of those',
    ],
    [{ median_bad_seconds: 0 }, 'raise its threshold or its min_events'],
  ] as const)('names a noisy rule and what would have halved it: %j', ([change, advice]) => {
    const digest = alertDigest([fired(change)], 'weekly', '2026-03-02');
    expect(digest).toMatchObject({ key: 'alerts-weekly-2026-03-02', text: 'Noisy: error_failure.' });
    expect(digest.lines[0]).toContain(advice);
  });

  test('leaves alone what people take in hand, what is rare, and silence', () => {
    const lines = alertDigest([fired({ acknowledged: 6 }), fired({ fired: 4 })], 'daily', '2026-03-02');
    expect(lines.text).toBe('No rule was noisy.');
    expect(alertDigest([], 'daily', '2026-03-02').title).toBe('Quiet: no alert in the day before 2026-03-02');
  });

  test('is due from eight in the morning of its zone, weekly on Mondays', () => {
    const monday = new Date('2026-03-02T07:30:00Z');
    expect(digestDay('weekly', 'UTC', monday)).toBeUndefined();
    expect(digestDay('weekly', 'Europe/Berlin', monday)).toBe('2026-03-02');
    expect(digestDay('daily', 'UTC', new Date('2026-03-03T09:00:00Z'))).toBe('2026-03-03');
    expect(digestDay('weekly', 'UTC', new Date('2026-03-03T09:00:00Z'))).toBeUndefined();
  });

  test('is handed to the outbox once, however many servers make it', async () => {
    const digest = alertDigest([fired({})], 'daily', '2026-03-02');
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
