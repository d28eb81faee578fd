import type { Bucket } from './bucket.ts';

export const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** What the page holds of minutes: the hour it shows, and the one before, which its rolling averages reach into. */
export const heldMs = 2 * hourMs + minuteMs;

/**
 * The minutes of the last two hours by model. Rows come from two sides, asked for and pushed, in any order; the newer
 * one wins: by the time the pulse wrote it, and where one was asked for, by its request count.
 */
export class Minutes {
  readonly #rows = new Map<string, Bucket>();

  /** @returns how many requests the row brought that were not known */
  merge(row: Bucket): number {
    const key = `${row.start} ${row.model}`;
    const known = this.#rows.get(key);
    if (known !== undefined && !isNewer(row, known)) return 0;
    this.#rows.set(key, row);
    return Math.max(0, row.requests - (known?.requests ?? 0));
  }

  /** Lets go of what is older than the page shows. */
  prune(now: number): void {
    for (const [key, row] of this.#rows) if (row.start < now - heldMs) this.#rows.delete(key);
  }

  /** Sorted by time, then model. */
  rows(): readonly Bucket[] {
    return [...this.#rows.values()].sort((a, b) => a.start - b.start || compare(a.model, b.model));
  }
}

/** Rolling averages at the end of each of the minutes, which are one model's, in order. */
export function withRolling(minutes: readonly Bucket[]): readonly Bucket[] {
  const [five, hour] = [new Window(5 * minuteMs), new Window(hourMs)];
  return minutes.map((row) => {
    five.add(row);
    hour.add(row);
    return {
      ...row,
      rolling: {
        fiveMinuteMs: five.latencyMs,
        hourMs: hour.latencyMs,
        fiveMinuteErrorPct: five.errorPct,
        hourErrorPct: hour.errorPct,
      },
    };
  });
}

/** The last minutes of a walk through time. */
class Window {
  readonly #lengthMs: number;
  #rows: Bucket[] = [];

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  add(row: Bucket): void {
    this.#rows = this.#rows.filter(({ start }) => start > row.start - this.#lengthMs);
    this.#rows.push(row);
  }

  get latencyMs(): number {
    return this.#sum((row) => row.avgLatencyMs * row.requests) / this.#sum((row) => row.requests);
  }

  get errorPct(): number {
    return (100 * this.#sum((row) => row.errors)) / this.#sum((row) => row.requests);
  }

  /** Summed anew each time: a running sum of floats drifts. */
  #sum(of: (row: Bucket) => number): number {
    return this.#rows.reduce((sum, row) => sum + of(row), 0);
  }
}

function isNewer(row: Bucket, known: Bucket): boolean {
  if (row.updatedAt > 0 && known.updatedAt > 0) return row.updatedAt > known.updatedAt;
  return (
    row.requests > known.requests || (row.requests === known.requests && row.updatedAt >= known.updatedAt)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
