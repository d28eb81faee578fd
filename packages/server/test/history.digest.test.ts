import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lastMonday, readWeek } from '../src/history/digest/readWeek.ts';
import { sendWeeklyDigest } from '../src/history/digest/send.ts';
import { type ModelWeek, weeklyDigest } from '../src/history/digest/weeklyDigest.ts';
import { closePeriods } from '../src/history/etl.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

const quiet: ModelWeek = {
  model: 'ocr-2',
  days: 7,
  requests: 120_000,
  requestsChangePct: 2,
  requestsChangeMarginPct: 4,
  avgLatencyMs: 130.4,
  p95LatencyMs: 410.2,
  avgLatencyChangePct: 3,
  avgLatencyChangeMarginPct: 1,
  errorRatePct: 0.42,
  errorRateChangePoints: 0.05,
  errorRateChangeMarginPoints: 0.01,
  costUsd: null,
  costChangePct: null,
  quality: null,
};
const digest = (...models: ModelWeek[]) =>
  weeklyDigest({ monday: '2026-11-16', models, criticalAlerts: 0, warnings: 0 });

describe('the weekly digest', () => {
  test('says in two sentences that a quiet week was quiet', () => {
    expect(digest(quiet)).toEqual({
      key: 'week 2026-11-16',
      title: 'The week from 2026-11-16',
      text: '120,000 requests of one model, 0.42 % failed. No model got slower or fails more than the week before. No alerts.',
      lines: ['ocr-2: 120,000 requests; 130 ms on average, p95 410 ms; 0.42 % failed.'],
      link: '/history?period=week&start=2026-11-16',
    });
  });

  test('names what got worse for certain, and leaves out what may be noise', () => {
    const slower = { ...quiet, model: 'ocr-3', avgLatencyChangePct: 31, avgLatencyChangeMarginPct: 6 };
    const noisy = { ...quiet, model: 'ocr-4', errorRateChangePoints: 4, errorRateChangeMarginPoints: 5 };
    const { text, lines } = digest(slower, noisy);
    expect(text).toContain('Worse than the week before: ocr-3.');
    expect(lines[0]).toContain('130 ms on average (+31 %)');
    expect(lines[1]).not.toContain('points');
  });

  test('tells cost where there is one, and days where the week has fewer', () => {
    const { text, lines } = digest({ ...quiet, days: 3, costUsd: 41.5, costChangePct: -20 });
    expect(text).toContain('$41.50.');
    expect(lines[0]).toMatch(/^ocr-2 \(3 days\):.*\$41\.50 \(−20 % a day\)/);
  });

  test('stays readable in a minute, however many models there are', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1e9 }), { maxLength: 200 }), (requests) => {
        const { lines, text } = digest(
          ...requests.map((n, index) => ({ ...quiet, model: `m${index}`, requests: n })),
        );
        expect(lines.length).toBeLessThanOrEqual(6);
        expect([text, ...lines].join(' ').split(/\s+/).length).toBeLessThan(200);
        expect(text).not.toMatch(/NaN|undefined|Infinity/);
      }),
    );
  });

  test('is of the last week that is over', () => {
    expect(lastMonday('2026-11-26')).toBe('2026-11-16');
    expect(lastMonday('2026-11-23')).toBe('2026-11-16');
    expect(lastMonday('2026-11-22')).toBe('2026-11-09');
  });
});

describe('a week in the database', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await startPipeline();
  });
  afterAll(() => pipeline.close());

  test('holds its models beside the week before and the alerts that began in it', async () => {
    const monday = lastMonday(new Date().toISOString().slice(0, 10));
    await pipeline.query('select nowcast.create_partition($1::date + n) from generate_series(-7, 6) n', [
      monday,
    ]);
    await pipeline.query(
      `insert into inference_logs (timestamp, model_version, inference_time_ms, is_error)
       select $1::date + interval '1 day' * d + interval '1 second' * n, 'v1',
         case when d < 0 then 100 else 200 end + d % 2, n % 10 = 0
       from generate_series(-7, 6) d, generate_series(1, 20) n`,
      [monday],
    );
    await pipeline.query(
      `insert into system_alerts (timestamp, severity, alert_type, message)
       values ($1::date + interval '1 day', 'critical', 'test', 'x'), ($1::date - interval '1 day', 'warning', 'test', 'x')`,
      [monday],
    );
    await closePeriods(pipeline.pool, {
      zone: 'UTC',
      to: new Date(Date.now() - 86_400_000).toISOString().slice(0, 10),
    });
    const week = await readWeek(pipeline.pool, monday, 'UTC');
    expect(week).toMatchObject({
      criticalAlerts: 1,
      warnings: 0,
      models: [{ model: 'v1', days: 7, requests: 140 }],
    });
    const sent = () =>
      pipeline.query<{ title: string }>(
        `select payload->>'title' as title from nowcast.alert_outbox where kind = 'digest'`,
      );
    const nextMonday = Date.parse(`${monday}T00:00:00Z`) + 7 * 86_400_000;
    expect(await sendWeeklyDigest(pipeline.pool, 'UTC', new Date(nextMonday + 86_400_000))).toBe(false);
    for (const minutes of [59, 59, 60])
      await sendWeeklyDigest(pipeline.pool, 'UTC', new Date(nextMonday + 22 * 3_600_000 + minutes * 60_000));
    expect(await sent()).toEqual([{ title: `The week from ${monday}` }]);
    expect(weeklyDigest(week).text).toBe(
      '140 requests of one model, 10 % failed. Worse than the week before: v1. Alerts: 1 critical, 0 warnings.',
    );
  });
});
