import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BacktestOptions, backtest } from '../src/alert/backtest/backtest.ts';
import { candidateOf } from '../src/alert/backtest/candidate.ts';
import { Partitions } from '../src/store/partitions.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';

let database: TestDatabase;
let pool: pg.Pool;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const nowMs = Math.floor(Date.now() / minuteMs) * minuteMs;
/** Late in a minute: what is only known by the minute would be wrong. */
const failsFromMs = nowMs - 2 * hourMs + 53_000;
const failsForMs = 10 * minuteMs;

/** Twelve hours of a model: an event a second, every hundredth of them bad; for ten minutes every second one. */
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 4 });
  pool.on('error', () => undefined);
  await new Partitions(pool).ensureAround(Date.now() * 1000, 2);
  await pool.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms, is_error, error_message)
     select t, 'v1', 100 + i % 20, bad, case when bad then 'timed out' end
     from generate_series(0, 12 * 3600 - 1) i,
       lateral (select $1::timestamptz - interval '12 hours' + make_interval(secs => i) as t) at,
       lateral (select i % 100 = 0 or i % 2 = 0 and t >= $2 and t < $3 as bad) b`,
    [new Date(nowMs), new Date(failsFromMs), new Date(failsFromMs + failsForMs)],
  );
  while ((await pool.query<{ n: number }>('select nowcast.compact() as n')).rows[0]!.n > 0);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const replay = async (rule: unknown, options: Partial<BacktestOptions> = {}) =>
  backtest(pool, await candidateOf(pool, rule), { nowMs, sinceMs: nowMs - 6 * hourMs, ...options });

describe('a backtest', () => {
  test('tells when a rule would have fired, how late, and for how long', async () => {
    const result = await replay({ name: 'error_failure' });
    expect(result).toMatchObject({
      since: new Date(nowMs - 6 * hourMs).toISOString(),
      until: new Date(nowMs).toISOString(),
      count: 1,
      per_week: 28,
      alerts: [{ labels: { model_version: 'v1' }, severity: 'critical' }],
    });
    expect(result).not.toHaveProperty('current');
    const [alert] = result.alerts;
    expect(Math.abs(Date.parse(alert!.first_bad_at) - failsFromMs)).toBeLessThanOrEqual(2_000);
    expect(alert!.delay_seconds).toBeLessThanOrEqual(20);
    expect(Date.parse(alert!.opened_at)).toBeGreaterThan(failsFromMs);
    // Calm for five minutes after the last of it.
    const lastedMs = Date.parse(alert!.resolved_at!) - failsFromMs - failsForMs;
    expect(lastedMs).toBeGreaterThan(4 * minuteMs);
    expect(lastedMs).toBeLessThan(8 * minuteMs);
    expect(alert!.message).toContain('of the events of v1 failed');
  });

  test('compares a change of a rule with the rule as it stands', async () => {
    const change = { name: 'error_failure', condition: { min_error_rate: 0.9 } };
    expect(await replay(change)).toMatchObject({ count: 0, current: { count: 1, per_week: 28 } });
    // The same again in other words is no change.
    expect(await replay({ name: 'error_failure', min_events: 5 })).not.toHaveProperty('current');
  });

  test('replays a rule that is in no table', async () => {
    const threshold = {
      kind: 'threshold',
      condition: { metric: 'error_rate_pct', comparator: '>', value: 20 },
    };
    expect((await replay(threshold)).count).toBe(1);
    expect((await replay({ ...threshold, condition: { ...threshold.condition, value: 80 } })).count).toBe(0);
  });

  test('counts only what began in the window, and says what is not held', async () => {
    expect((await replay({ name: 'error_failure' }, { sinceMs: nowMs - hourMs })).count).toBe(0);
    const long = await replay({ name: 'error_failure' }, { sinceMs: nowMs - 48 * hourMs });
    expect(long).toMatchObject({ since: new Date(nowMs - 12 * hourMs).toISOString(), count: 1 });
    expect(long.notes[0]).toMatch(/^Minutes are held from /);
    expect(
      await replay({ name: 'error_failure' }, { sinceMs: nowMs - 9e8, untilMs: nowMs - 8e8 }),
    ).toMatchObject({ count: 0, notes: ['There is nothing stored of that time.'] });
  });

  test('stops when its caller goes', async () => {
    const gone = new AbortController();
    const running = replay(
      { name: 'error_failure' },
      { signal: gone.signal, onProgress: () => gone.abort(new Error('gone')) },
    );
    await expect(running).rejects.toThrow('gone');
  });

  test.each([
    [{ name: 'error_failre' }, 'name', /^there is no rule "error_failre"; there are .*error_failure/],
    [{}, 'kind', /^a rule needs a kind/],
    ['error_failure', 'rule', 'rule must be a JSON object, got a string'],
    [{ name: 'high_latency' }, 'kind', /cannot be replayed/],
    [{ name: 'error_failure', min_events: -1 }, 'min_events', /whole number from 0/],
    [{ name: 'error_failure', min_events: 'many' }, 'min_events', /got a string$/],
    [{ name: 'error_failure', severity: 'bad' }, 'severity', /warning or critical/],
    [{ name: 'error_failure', conditon: {} }, 'conditon', /no field "conditon"/],
    [{ name: 'error_failure', condition: { p_value: 2 } }, 'condition.p_value', /must be a number from/],
    [{ kind: 'nonsense' }, 'kind', /kind must be one of/],
  ])('refuses %j, naming the field', async (rule, field, message) => {
    await expect(candidateOf(pool, rule)).rejects.toMatchObject({
      name: 'InvalidRule',
      field,
      message: expect.stringMatching(message),
    });
  });
});
