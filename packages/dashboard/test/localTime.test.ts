import { expect, test, vi } from 'vitest';
import { changeSentence, sentenceOf } from '../../server/src/alert/explain/sentences.ts';
import { inLocalTime, untilInLocalTime } from '../src/alerts/localTime.ts';
import { readExplanation } from '../src/data/explanation.ts';

// Before the formats are made: 5:45 ahead of UTC, so no time of day is the same.
vi.hoisted(() => {
  process.env.TZ = 'Asia/Kathmandu';
});

const since = new Date('2026-11-27T02:11:05Z');
const question = {
  metric: 'error_rate',
  labels: { model_version: 'v2' },
  since,
  until: new Date('2026-11-27T02:16:00Z'),
  baselineSince: new Date('2026-11-26T23:11:00Z'),
  baselineUntil: new Date('2026-11-27T02:11:00Z'),
} as const;
const deployed = [
  { what: 'feature', value: 'scan', first_seen_at: '2026-11-27T02:05:00Z' },
  // Its local time reads like the other's in UTC would.
  { what: 'variant', value: 'b', first_seen_at: '2026-11-26T20:20:00Z' },
] as const;
const cause = {
  dimension: 'feature',
  value: 'scan',
  share: 0.94,
  trafficShare: 0.4,
  before: { n: 0, sum: 0 },
  after: { n: 100, sum: 80 },
  measure: { kind: 'rate' },
  total: { before: { n: 100, sum: 1 }, after: { n: 200, sum: 81 } },
} as unknown as Parameters<typeof sentenceOf>[1];
const explanation = readExplanation({
  since: since.toISOString(),
  baseline_since: question.baselineSince.toISOString(),
  baseline_until: question.baselineUntil.toISOString(),
  deployed,
})!;
const now = Date.parse('2026-11-27T02:20:00Z');

test('times that the server wrote in UTC are told in the time of whoever looks', () => {
  const change = changeSentence(question, { value: 31, baseline: 1 } as Parameters<typeof changeSentence>[1]);
  expect(change).toContain('since 02:11:05 UTC, against 2026-11-26 23:11 to 02:11');
  expect(inLocalTime(change, explanation, now)).toContain('since 07:56:05, against 04:56 to 07:56');

  const why = sentenceOf(question, cause, deployed);
  expect(why).toContain('first seen at 02:05');
  expect(inLocalTime(why, explanation, now)).toContain('first seen at 07:50');

  // A day later they are told with their day.
  expect(inLocalTime(change, explanation, now + 86_400_000)).toMatch(/since Fri,? 27 Nov, 07:56:05/);
  expect(untilInLocalTime('Silenced until 2026-11-27 04:05 UTC: model_version v2', now)).toBe(
    'Silenced until 09:50: model_version v2',
  );
});

test('what is not known to be a time stays as it was written', () => {
  for (const text of ['since 09:00 UTC, against nothing', 'says “02:11 to 02:12”', 'Silenced until tomorrow'])
    expect(untilInLocalTime(inLocalTime(text, explanation, now), now)).toBe(text);
  expect(inLocalTime('since 02:11:05 UTC', readExplanation({})!, now)).toBe('since 02:11:05 UTC');
});
