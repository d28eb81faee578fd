import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  dayMs,
  isoDay,
  moved,
  nextStart,
  parseDay,
  periodStarts,
  readStretch,
  startOf,
} from '../src/history/period.ts';

const day = fc.integer({ min: -3_000, max: 40_000 }).map((number) => number * dayMs);
const unit = fc.constantFrom('day' as const, 'week' as const, 'month' as const);
const today = Date.UTC(2026, 10, 26);
const none = { by: null, last: null, from: null, to: null };

test('each day is in exactly one period, which begins where the one before ends', () => {
  fc.assert(
    fc.property(unit, day, fc.integer({ min: 1, max: 500 }), (unit, from, days) => {
      const until = from + days * dayMs;
      const starts = periodStarts({ unit, last: undefined, from, until });
      expect(starts[0]).toBe(startOf(unit, from));
      expect(starts.at(-1)!).toBeLessThan(until);
      expect(nextStart(unit, starts.at(-1)!)).toBeGreaterThanOrEqual(until);
      for (const [index, start] of starts.entries()) {
        expect(startOf(unit, start)).toBe(start);
        if (index > 0) expect(start).toBe(nextStart(unit, starts[index - 1]!));
      }
    }),
  );
});

test('weeks begin on Monday, months on the first', () => {
  expect(isoDay(startOf('week', Date.UTC(2026, 10, 26)))).toBe('2026-11-23');
  expect(isoDay(startOf('week', Date.UTC(2026, 10, 23)))).toBe('2026-11-23');
  expect(isoDay(startOf('month', Date.UTC(2026, 10, 26)))).toBe('2026-11-01');
  expect(isoDay(nextStart('month', Date.UTC(2026, 11, 1)))).toBe('2027-01-01');
});

test('days are read back from what they are written as, and nothing else is a day', () => {
  fc.assert(
    fc.property(day, (day) => {
      expect(parseDay(isoDay(day))).toBe(day);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = parseDay(text);
      if (parsed !== undefined) expect(isoDay(parsed)).toBe(text);
    }),
  );
  for (const wrong of ['2026-02-30', '2026-13-01', '2026-1-1', '', null])
    expect(parseDay(wrong)).toBeUndefined();
});

test('a URL that says nothing, or nonsense, shows the last 30 days up to yesterday', () => {
  for (const params of [
    none,
    { ...none, from: '2026-11-20', to: '2026-11-01' },
    { ...none, last: 'x', by: 'x' },
  ]) {
    expect(readStretch(params, today)).toEqual({
      unit: 'day',
      last: '30d',
      from: today - 30 * dayMs,
      until: today,
    });
  }
});

test('earlier and later are as long as the stretch itself and touch it', () => {
  const stretch = readStretch({ by: 'week', last: null, from: '2026-10-01', to: '2026-10-10' }, today);
  expect(stretch).toMatchObject({ unit: 'week', last: undefined });
  const earlier = moved(stretch, -1);
  expect([isoDay(earlier.from), isoDay(earlier.to)]).toEqual(['2026-09-21', '2026-09-30']);
  const later = moved(stretch, 1);
  expect([isoDay(later.from), isoDay(later.to)]).toEqual(['2026-10-11', '2026-10-20']);
});
