import { count } from '../data/format.ts';
import { groupBy } from '../data/group.ts';
import type { Change, ChangedTrend } from '../data/trend.ts';
import type { Unit } from './period.ts';

/** What the changes of a period say, and what they do not. Pure. */

/** More than its own margin: the difference is not what days differ by anyway. */
export function isClear({ value, margin }: Change): boolean {
  return value !== null && margin !== null && Math.abs(value) > margin;
}

/** "+12 %", "−0.4 points", "0 %" */
export function signed(value: number, unit: string): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? size.toFixed(0) : size >= 10 ? size.toFixed(1) : size.toFixed(2);
  // Not “±”: that is a margin here.
  const sign = Number(digits) === 0 ? '' : value > 0 ? '+' : '−';
  return `${sign}${size >= 1_000 ? count(size) : Number(digits)} ${unit}`;
}

export const beforeNames: Record<Unit, string> = {
  day: 'the day before',
  week: 'the week before',
  month: 'the month before',
};

/** The clearest changes against the period before, in sentences. */
export function tellChanges(newest: readonly ChangedTrend[], unit: Unit, most = 3): readonly string[] {
  const told = newest.flatMap((trend) => {
    const { requests, avgLatency, errorRate } = trend.before;
    return [
      { change: requests, text: (by: string) => `${trend.model} answered ${by} requests a day`, fewer: true },
      { change: avgLatency, text: (by: string) => `${trend.model} took ${by} time on average` },
      { change: errorRate, text: (by: string) => `${trend.model} failed ${by} often`, points: true },
    ]
      .filter(({ change }) => isClear(change))
      .map(({ change, text, points, fewer }) => {
        const value = change.value!;
        const size = `${Number(Math.abs(value).toPrecision(2))}`;
        const by = points
          ? `${size} percentage points ${value > 0 ? 'more' : 'less'}`
          : `${size} % ${value > 0 ? 'more' : fewer ? 'fewer' : 'less'}`;
        const margin = `± ${Number(change.margin!.toPrecision(2))}`;
        return {
          model: trend.model,
          clarity: Math.abs(value) / Math.max(change.margin!, Number.EPSILON),
          sentence: `${text(by)} than ${beforeNames[unit]} (${margin}).`,
        };
      });
  });
  // One a model: three sentences about one model would hide the others.
  return [...groupBy(told, ({ model }) => model).values()]
    .map((own) => own.sort((a, b) => b.clarity - a.clarity)[0]!)
    .sort((a, b) => b.clarity - a.clarity)
    .slice(0, most)
    .map(({ sentence }) => sentence);
}
