/** A row of `metrics_total()`: what only whole histograms can tell of a window. */
export interface Total {
  /** null: all model versions together. */
  readonly model: string | null;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

export function readTotal(row: Readonly<Record<string, unknown>>): Total {
  return {
    model: row.model_version === null ? null : String(row.model_version),
    p50Ms: Number(row.p50_latency_ms),
    p95Ms: Number(row.p95_latency_ms),
    p99Ms: Number(row.p99_latency_ms),
  };
}
