import type { Bucket } from './bucket.ts';

/** What buckets add up to. Everything here is exact, but confidence and quality: see `mean`. */
export interface Summary {
  readonly requests: number;
  readonly errors: number;
  /** null without requests, like every mean below. */
  readonly errorPct: number | null;
  readonly avgLatencyMs: number | null;
  readonly avgConfidence: number | null;
  readonly avgQuality: number | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly costUsd: number | null;
}

export function summarize(rows: readonly Bucket[]): Summary {
  const requests = total(rows, (row) => row.requests) ?? 0;
  const errors = total(rows, (row) => row.errors) ?? 0;
  return {
    requests,
    errors,
    errorPct: requests === 0 ? null : (100 * errors) / requests,
    avgLatencyMs: mean(rows, (row) => row.avgLatencyMs),
    avgConfidence: mean(rows, (row) => row.avgConfidence),
    avgQuality: mean(rows, (row) => row.avgQuality),
    inputTokens: total(rows, (row) => row.inputTokens),
    outputTokens: total(rows, (row) => row.outputTokens),
    costUsd: total(rows, (row) => row.costUsd),
  };
}

/**
 * A mean of means, weighted by requests. Exact for latency, which every event has; for values that only some events
 * carry it is as good as their share is steady.
 */
function mean(rows: readonly Bucket[], of: (row: Bucket) => number | null): number | null {
  let weight = 0;
  let sum = 0;
  for (const row of rows) {
    const value = of(row);
    if (value === null) continue;
    weight += row.requests;
    sum += value * row.requests;
  }
  return weight === 0 ? null : sum / weight;
}

/** null where no bucket has a value. */
function total(rows: readonly Bucket[], of: (row: Bucket) => number | null): number | null {
  let sum: number | null = null;
  for (const row of rows) {
    const value = of(row);
    if (value !== null) sum = (sum ?? 0) + value;
  }
  return sum;
}

/** Models by the number of their requests, the busiest first. */
export function modelsByTraffic(rows: readonly Bucket[]): readonly string[] {
  const requests = new Map<string, number>();
  for (const row of rows) requests.set(row.model, (requests.get(row.model) ?? 0) + row.requests);
  return [...requests].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([model]) => model);
}

/** Fewer requests than this make a jumpy quantile. */
const steadyRequests = 20;

/** The newest bucket of one model that says something: the one under way once it has enough requests. */
export function newestBucket(rows: readonly Bucket[]): Bucket | undefined {
  const [last, before] = [rows.at(-1), rows.at(-2)];
  return last !== undefined &&
    before !== undefined &&
    last.requests < steadyRequests &&
    before.requests > last.requests
    ? before
    : last;
}
