/** A row of `model_leaderboard()`: one model over a range of closed days. */
export interface Leader {
  readonly model: string;
  readonly requests: number;
  readonly sharePct: number;
  readonly avgLatencyMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly avgConfidence: number | null;
  readonly avgQuality: number | null;
  readonly errors: number;
  readonly errorPct: number;
  readonly costUsd: number | null;
  readonly costPer1000Usd: number | null;
  readonly valueUsd: number | null;
}

export function readLeader(row: Readonly<Record<string, unknown>>): Leader {
  return {
    model: String(row.model_version),
    requests: Number(row.total_requests),
    sharePct: Number(row.share_pct),
    avgLatencyMs: Number(row.avg_latency_ms),
    p50Ms: Number(row.p50_latency_ms),
    p95Ms: Number(row.p95_latency_ms),
    p99Ms: Number(row.p99_latency_ms),
    avgConfidence: optional(row.avg_confidence),
    avgQuality: optional(row.avg_quality),
    errors: Number(row.total_errors),
    errorPct: Number(row.error_rate_pct),
    costUsd: optional(row.cost_usd),
    costPer1000Usd: optional(row.cost_usd_per_1000_requests),
    valueUsd: optional(row.value_usd),
  };
}

function optional(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
