import type pg from 'pg';

/** The committed edges of both histograms, read from the database, where they live (sql/schema/0002). */
export interface HistogramEdges {
  readonly latency: Float64Array;
  readonly confidence: Float64Array;
}

export async function loadEdges(pool: pg.Pool): Promise<HistogramEdges> {
  const { rows } = await pool.query<{ latency: number[]; confidence: number[] }>(
    'select nowcast.latency_edges() as latency, nowcast.confidence_edges() as confidence',
  );
  return {
    latency: Float64Array.from(rows[0]!.latency),
    confidence: Float64Array.from(rows[0]!.confidence),
  };
}

/**
 * Number of edges that are <= value, as PostgreSQL's `width_bucket(value, edges)` counts. A search and not a
 * logarithm: two languages' logarithms disagree at the edges, and both doors must agree bin for bin.
 */
export function binOf(edges: Float64Array, value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (edges[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Counts by bin, sparse: a batch touches few of the 1,400 bins. */
export type Histogram = Map<number, number>;

export function addToHistogram(histogram: Histogram, bin: number): void {
  histogram.set(bin, (histogram.get(bin) ?? 0) + 1);
}
