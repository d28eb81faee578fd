/** The stretches of time that the page shows, and how finely. */

export interface Range {
  readonly id: RangeId;
  /** On the button. */
  readonly short: string;
  /** Beside a figure: "1,204 requests, last hour". */
  readonly window: string;
  readonly stepMs: number;
  readonly buckets: number;
  /** One bucket, in words. */
  readonly stepName: string;
  /** What the newest figure of a series stands for. */
  readonly newestName: string;
}

export type RangeId = '1h' | '6h' | '24h' | '7d';

const minute = 60_000;
const hour = 60 * minute;

export const ranges: readonly Range[] = [
  {
    id: '1h',
    short: '1 h',
    window: 'last hour',
    stepMs: minute,
    buckets: 60,
    stepName: 'minute',
    newestName: 'newest minute',
  },
  {
    id: '6h',
    short: '6 h',
    window: 'last 6 hours',
    stepMs: 5 * minute,
    buckets: 72,
    stepName: '5 minutes',
    newestName: 'newest 5 minutes',
  },
  {
    id: '24h',
    short: '24 h',
    window: 'last 24 hours',
    stepMs: 15 * minute,
    buckets: 96,
    stepName: '15 minutes',
    newestName: 'newest 15 minutes',
  },
  {
    id: '7d',
    short: '7 d',
    window: 'last 7 days',
    stepMs: hour,
    buckets: 168,
    stepName: 'hour',
    newestName: 'newest hour',
  },
];

export const defaultRange = ranges[0]!;

export function rangeById(id: string | null): Range {
  return ranges.find((range) => range.id === id) ?? defaultRange;
}

/** The shortest one that reaches back to `since`. */
export function rangeReaching(since: number, now: number): Range {
  return ranges.find(({ stepMs, buckets }) => since > now - stepMs * buckets) ?? ranges.at(-1)!;
}

/** Starts of the range's buckets, oldest first; the last one is under way. */
export function bucketStarts({ stepMs, buckets }: Range, now: number): readonly number[] {
  const last = Math.floor(now / stepMs) * stepMs;
  return Array.from({ length: buckets }, (_, index) => last - (buckets - 1 - index) * stepMs);
}
