import type { Bucket } from './bucket.ts';
import { Cell } from './cell.ts';
import { reconnectAfterMs } from './client.ts';
import { groupBy } from './group.ts';
import type { LiveFeed } from './liveFeed.ts';
import { heldMs, withRolling } from './minutes.ts';
import { LoadError, loadMetrics } from './queries.ts';
import { bucketStarts, defaultRange, type Range } from './range.ts';
import { summarize } from './summary.ts';

/**
 * Quantiles do not add up, so those of a bucket under way are asked for again while events come, at most this often;
 * everything else in it is added up from the live minutes at once.
 */
const quantilesEveryMs = 10_000;

export interface RangeLoad {
  readonly buckets: readonly Bucket[];
  readonly loaded: boolean;
  readonly failure: LoadError | undefined;
}

const nothing: RangeLoad = { buckets: [], loaded: false, failure: undefined };

/** The buckets of a range longer than what the live feed holds. */
export class RangeFeed {
  readonly load = new Cell<RangeLoad>(nothing);
  readonly #feed: LiveFeed;
  readonly #range: Range;
  readonly #unsubscribe: () => void;
  #epoch = -1;
  #requests = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #loads = 0;
  #stopped = false;

  constructor(feed: LiveFeed, range: Range) {
    this.#feed = feed;
    this.#range = range;
    this.#unsubscribe = feed.data.subscribe(() => this.#liveChanged());
    this.#liveChanged();
  }

  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
  }

  readonly reload = (): void => {
    clearTimeout(this.#retry);
    void this.#loadSince(bucketStarts(this.#range, this.#feed.clock.now())[0]!, 0);
  };

  #liveChanged(): void {
    const { epoch, arrived } = this.#feed.data.get();
    if (epoch !== this.#epoch) {
      // The first time, or something may have been missed.
      this.#epoch = epoch;
      this.#requests = arrived;
      this.reload();
    } else if (arrived !== this.#requests) {
      this.#requests = arrived;
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        // The bucket before may have ended in the meantime.
        void this.#loadSince(bucketStarts(this.#range, this.#feed.clock.now()).at(-2)!, 0);
      }, quantilesEveryMs);
    }
  }

  async #loadSince(since: number, tries: number): Promise<void> {
    if (this.#stopped) return;
    const load = ++this.#loads;
    try {
      const buckets = await loadMetrics(this.#feed.client, {
        since,
        stepSeconds: this.#range.stepMs / 1_000,
      });
      if (load !== this.#loads || this.#stopped) return;
      const kept = this.load.get().buckets.filter(({ start }) => start < since);
      this.load.set({ buckets: [...kept, ...buckets], loaded: true, failure: undefined });
    } catch (error) {
      if (load !== this.#loads || this.#stopped) return;
      const failure = error instanceof LoadError ? error : new LoadError(String(error), 0);
      this.load.set({ ...this.load.get(), failure });
      this.#retry = setTimeout(() => void this.#loadSince(since, tries + 1), reconnectAfterMs(tries + 2));
    }
  }
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
