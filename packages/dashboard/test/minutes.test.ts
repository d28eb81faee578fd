import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bucket } from '../src/data/bucket.ts';
import { heldMs, Minutes, withRolling } from '../src/data/minutes.ts';
import { rangeById } from '../src/data/range.ts';
import { composeRange } from '../src/data/rangeFeed.ts';
import { bucket, minute } from './support/bucket.ts';

const hour = 60 * minute;
const start = Date.UTC(2026, 5, 1, 3, 0);

const minutesOfOneModel = fc
  .uniqueArray(
    fc.record({
      at: fc.nat(120),
      requests: fc.integer({ min: 1, max: 500 }),
      ms: fc.nat(9_000),
      errors: fc.nat(20),
    }),
    { selector: ({ at }) => at, minLength: 1 },
  )
  .map((rows) =>
    rows
      .sort((a, b) => a.at - b.at)
      .map(({ at, requests, ms, errors }) =>
        bucket({
          start: start + at * minute,
          requests,
          avgLatencyMs: ms,
          errors: Math.min(errors, requests),
        }),
      ),
  );

test('whichever of what was asked for and what was pushed comes first, the newer one stays', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 5 }), (order) => {
      const minutes = new Minutes();
      // What was asked for has no time of its own; a pulse is never behind its own earlier one.
      for (const n of order)
        minutes.merge(bucket({ start, requests: n, updatedAt: n === 3 ? 0 : start + n }));
      expect(minutes.rows()).toHaveLength(1);
      expect(minutes.rows()[0]!.requests).toBe(5);
    }),
  );
});

test('requests that a row brings are counted once', () => {
  const minutes = new Minutes();
  expect(minutes.merge(bucket({ start, requests: 5 }))).toBe(5);
  expect(minutes.merge(bucket({ start, requests: 5, updatedAt: 7 }))).toBe(0);
  expect(minutes.merge(bucket({ start, requests: 8, updatedAt: 9 }))).toBe(3);
  expect(minutes.merge(bucket({ start, requests: 6, updatedAt: 8 }))).toBe(0);
});

test('what is older than the page needs is let go', () => {
  const minutes = new Minutes();
  minutes.merge(bucket({ start }));
  minutes.merge(bucket({ start: start + heldMs }));
  minutes.prune(start + heldMs + 1);
  expect(minutes.rows().map((row) => row.start)).toEqual([start + heldMs]);
});

test('rolling averages are what their definition says', () => {
  fc.assert(
    fc.property(minutesOfOneModel, (rows) => {
      for (const row of withRolling(rows)) {
        for (const [windowMs, ms, pct] of [
          [5 * minute, row.rolling!.fiveMinuteMs, row.rolling!.fiveMinuteErrorPct],
          [hour, row.rolling!.hourMs, row.rolling!.hourErrorPct],
        ] as const) {
          const within = rows.filter(
            (other) => other.start > row.start - windowMs && other.start <= row.start,
          );
          const sum = (of: (row: Bucket) => number) => within.reduce((total, other) => total + of(other), 0);
          const requests = sum((other) => other.requests);
          expect(ms).toBeCloseTo(sum((other) => other.avgLatencyMs * other.requests) / requests, 6);
          expect(pct).toBeCloseTo((100 * sum((other) => other.errors)) / requests, 6);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test('a longer range follows the live minutes in all that adds up, and keeps quantiles it was told', () => {
  const now = start + 7 * minute;
  const range = rangeById('6h');
  const told = bucket({ start, requests: 100, p95Ms: 321 });
  const live = [0, 1, 2].map((at) => bucket({ start: start + at * minute, requests: 50, errors: 1 }));
  const [row, ...others] = composeRange(range, [told], live, now);
  expect(others).toEqual([]);
  expect(row).toMatchObject({ start, requests: 150, errors: 3, p95Ms: 321 });
  // What was told may be ahead of what was pushed.
  const ahead = bucket({ start, requests: 400 });
  expect(composeRange(range, [ahead], live, now)[0]!.requests).toBe(400);
});
