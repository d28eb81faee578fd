/** A row of `metrics()`, `metrics_pulse` or `inference_metrics_hourly` as the page holds it. */

export interface Bucket {
  /** Start of the bucket, milliseconds since 1970. */
  readonly start: number;
  readonly model: string;
  readonly requests: number;
  readonly errors: number;
  readonly avgLatencyMs: number;
  /** null where buckets were added up in the page: quantiles do not add up. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** Of events that have one; null where none has. */
  readonly avgConfidence: number | null;
  readonly avgQuality: number | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly costUsd: number | null;
  /** Of the time up to the bucket's end; null where it has to be worked out from the minutes. */
  readonly rolling: Rolling | null;
  /** When the pulse wrote it, server time; 0 for rows that were asked for. */
  readonly updatedAt: number;
}

interface Rolling {
  readonly fiveMinuteMs: number;
  readonly hourMs: number;
  readonly fiveMinuteErrorPct: number;
  readonly hourErrorPct: number;
}

type Row = Readonly<Record<string, unknown>>;

export function readBucket(row: Row): Bucket {
  return {
    start: time(row.bucket ?? row.minute),
    model: String(row.model_version),
    requests: number(row.request_count),
    errors: number(row.error_count),
    avgLatencyMs: number(row.avg_latency_ms),
    p50Ms: optional(row.p50_latency_ms),
    p95Ms: optional(row.p95_latency_ms),
    p99Ms: optional(row.p99_latency_ms),
    avgConfidence: optional(row.avg_confidence),
    avgQuality: optional(row.avg_quality),
    inputTokens: optional(row.input_tokens),
    outputTokens: optional(row.output_tokens),
    costUsd: optional(row.cost_usd),
    rolling: readRolling(row),
    updatedAt: row.updated_at === undefined ? 0 : time(row.updated_at),
  };
}

function readRolling(row: Row): Rolling | null {
  if (row.rolling_1h_avg_latency_ms === undefined) return null;
  return {
    fiveMinuteMs: number(row.rolling_5m_avg_latency_ms),
    hourMs: number(row.rolling_1h_avg_latency_ms),
    fiveMinuteErrorPct: number(row.rolling_5m_error_rate_pct),
    hourErrorPct: number(row.rolling_1h_error_rate_pct),
  };
}

export function time(value: unknown): number {
  return Date.parse(String(value));
}

function number(value: unknown): number {
  return Number(value ?? 0);
}

function optional(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
