import type { Bucket } from './bucket.ts';

export const minuteMs = 60_000;
/** What the page holds of minutes: the hour it shows, and the one that is under way. */
export const heldMs = 61 * minuteMs;

/**
 * The minutes of the last hour by model. Rows come from two sides, asked for and pushed, in any order; the newer
 * one wins: by the time the pulse wrote it, and where one was asked for, by its request count.
 */
export class Minutes {
  readonly #rows = new Map<string, Bucket>();

  /** @returns whether the row brought requests that were not known */
  merge(row: Bucket): boolean {
    const key = `${row.start} ${row.model}`;
    const known = this.#rows.get(key);
    if (known !== undefined && !isNewer(row, known)) return false;
    this.#rows.set(key, row);
    return row.requests > (known?.requests ?? 0);
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

function isNewer(row: Bucket, known: Bucket): boolean {
  if (row.updatedAt > 0 && known.updatedAt > 0) return row.updatedAt > known.updatedAt;
  return row.requests > known.requests || (row.requests === known.requests && row.updatedAt >= known.updatedAt);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
