import type { Bucket } from './bucket.ts';
import { FollowedLoad } from './followedLoad.ts';
import { groupBy } from './group.ts';
import type { LiveFeed } from './liveFeed.ts';
import { heldMs, withRolling } from './minutes.ts';
import { loadMetrics } from './queries.ts';
import { bucketStarts, defaultRange, type Range } from './range.ts';
import { summarize } from './summary.ts';

/**
 * Quantiles do not add up, so those of a bucket under way are asked for again while events come, at most this often;
 * everything else in it is added up from the live minutes at once.
 */
const quantilesEveryMs = 10_000;

/** The buckets of a range longer than what the live feed holds. */
export function followRange(feed: LiveFeed, range: Range): FollowedLoad<readonly Bucket[]> {
  return new FollowedLoad(feed, {
    everyMs: quantilesEveryMs,
    async ask(known) {
      const starts = bucketStarts(range, feed.clock.now());
      // The bucket before the newest may have ended in the meantime.
      const since = known === undefined ? starts[0]! : starts.at(-2)!;
      const buckets = await loadMetrics(feed.client, { since, stepSeconds: range.stepMs / 1_000 });
      return [...(known ?? []).filter(({ start }) => start < since), ...buckets];
    },
  });
}

/** What a range shows: its buckets as loaded, the newest ones brought up to date from the live minutes. Pure. */
export function composeRange(
  range: Range,
  loaded: readonly Bucket[],
  minutes: readonly Bucket[],
  now: number,
): readonly Bucket[] {
  const [first] = bucketStarts(range, now);
  const live = [...groupBy(minutes, ({ model }) => model).values()].flatMap(withRolling);
  if (range === defaultRange) return inOrder(live.filter(({ start }) => start >= first!));

  const buckets = new Map<string, Bucket>();
  for (const row of loaded) if (row.start >= first!) buckets.set(`${row.start} ${row.model}`, row);
  const heldFrom = now - heldMs;
  const startOf = (row: Bucket) => Math.floor(row.start / range.stepMs) * range.stepMs;
  const whole = live.filter((row) => startOf(row) >= heldFrom);
  for (const [key, rows] of groupBy(whole, (row) => `${startOf(row)} ${row.model}`)) {
    const known = buckets.get(key);
    const sums = addUp(rows, startOf(rows[0]!));
    if (known !== undefined && known.requests >= sums.requests) continue;
    const { p50Ms = null, p95Ms = null, p99Ms = null } = known ?? {};
    buckets.set(key, { ...sums, p50Ms, p95Ms, p99Ms });
  }
  return inOrder([...buckets.values()]);
}

function addUp(minutes: readonly Bucket[], start: number): Bucket {
  const { errorPct: _, avgLatencyMs, ...sums } = summarize(minutes);
  const last = minutes.at(-1)!;
  return {
    ...sums,
    start,
    model: last.model,
    avgLatencyMs: avgLatencyMs ?? 0,
    p50Ms: null,
    p95Ms: null,
    p99Ms: null,
    rolling: last.rolling,
    updatedAt: last.updatedAt,
  };
}

function inOrder(rows: readonly Bucket[]): readonly Bucket[] {
  return [...rows].sort((a, b) => a.start - b.start || (a.model < b.model ? -1 : 1));
}
