import { expect, test } from 'vitest';
import type { Change, ChangedTrend, Changes } from '../src/data/trend.ts';
import { isClear, signed, tellChanges } from '../src/history/changes.ts';

const none: Change = { value: null, margin: null };
const changes = (differences: Partial<Changes>): Changes => ({
  requests: none,
  avgLatency: none,
  errorRate: none,
  ...differences,
});
const trend = (model: string, before: Partial<Changes>) =>
  ({ model, before: changes(before) }) as ChangedTrend;

test('only what differs by more than its margin is a clear change', () => {
  expect(isClear({ value: 12, margin: 3 })).toBe(true);
  expect(isClear({ value: -12, margin: 3 })).toBe(true);
  expect(isClear({ value: 2, margin: 3 })).toBe(false);
  expect(isClear({ value: 300, margin: null })).toBe(false);
  expect(isClear(none)).toBe(false);
});

test('the clearest change of each model is told, with its margin and against what', () => {
  expect(
    tellChanges(
      [
        trend('a', { requests: { value: 12.3, margin: 3.1 }, avgLatency: { value: -40, margin: 2 } }),
        trend('b', { errorRate: { value: 1.25, margin: 0.5 } }),
        trend('c', { requests: { value: 1, margin: 5 } }),
      ],
      'week',
    ),
  ).toEqual([
    'a took 40 % less time on average than the week before (± 2).',
    'b failed 1.3 percentage points more often than the week before (± 0.5).',
  ]);
});

test('signs are written, and nothing is neither more nor less', () => {
  expect([signed(12.34, '%'), signed(-0.4, 'points'), signed(0, '%'), signed(8_900, '%')]).toEqual([
    '+12.3 %',
    '−0.4 points',
    '0 %',
    '+8,900 %',
  ]);
});
