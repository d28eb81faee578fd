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
  // Running totals, so that a window is a difference: this runs with every push.
  const totals = [{ requests: 0, errors: 0, latencyMs: 0 }];
  let [five, hour] = [0, 0];
  return minutes.map((row, index) => {
    const before = totals[index]!;
    totals.push({
      requests: before.requests + row.requests,
      errors: before.errors + row.errors,
      latencyMs: before.latencyMs + row.avgLatencyMs * row.requests,
    });
    while (minutes[five]!.start <= row.start - 5 * minuteMs) five++;
    while (minutes[hour]!.start <= row.start - hourMs) hour++;
    const sinceFive = difference(totals[index + 1]!, totals[five]!);
    const sinceHour = difference(totals[index + 1]!, totals[hour]!);
    return {
      ...row,
      rolling: {
        fiveMinuteMs: sinceFive.latencyMs,
        hourMs: sinceHour.latencyMs,
        fiveMinuteErrorPct: sinceFive.errorPct,
        hourErrorPct: sinceHour.errorPct,
      },
    };
  });
}

interface Totals {
  readonly requests: number;
  readonly errors: number;
  readonly latencyMs: number;
}

function difference(end: Totals, start: Totals): { readonly latencyMs: number; readonly errorPct: number } {
  const requests = end.requests - start.requests;
  return {
    latencyMs: (end.latencyMs - start.latencyMs) / requests,
    errorPct: (100 * (end.errors - start.errors)) / requests,
  };
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
