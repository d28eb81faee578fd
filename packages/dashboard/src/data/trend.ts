/** A row of `daily_metrics_trend`, `weekly_metrics_trend` or `monthly_metrics_trend`: a closed period of one model. */
export interface Trend {
  /** First day of the period, as the start of that day in UTC: days are names here, not moments. */
  readonly start: number;
  readonly model: string;
  /** Days with events in it. */
  readonly days: number;
  readonly requests: number;
  readonly requestsPerDay: number;
  readonly errors: number;
  readonly errorPct: number;
  readonly avgLatencyMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Of events that have one; null where none has. */
  readonly avgConfidence: number | null;
  readonly avgQuality: number | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly costUsd: number | null;
  /** Against the period before. */
  readonly before: Changes;
  /** Against the same days four weeks before; null for months. */
  readonly fourWeeks: Changes | null;
}

export interface Changes {
  readonly requests: Change;
  readonly avgLatency: Change;
  readonly p95Latency: Change;
  /** In percentage points. */
  readonly errorRate: Change;
  readonly cost: Change;
}

export interface Change {
  /** Percent, or percentage points; null where there is nothing to compare with. */
  readonly value: number | null;
  /** Half the width of the 95 % interval; null where days are too few to tell. */
  readonly margin: number | null;
}

type Row = Readonly<Record<string, unknown>>;

export function readTrend(row: Row): Trend {
  return {
    start: Date.parse(`${String(row.period_start)}T00:00:00Z`),
    model: String(row.model_version),
    days: Number(row.days),
    requests: Number(row.total_requests),
    requestsPerDay: Number(row.requests_per_day),
    errors: Number(row.total_errors),
    errorPct: Number(row.error_rate_pct),
    avgLatencyMs: Number(row.avg_latency_ms),
    p50Ms: Number(row.p50_latency_ms),
    p95Ms: Number(row.p95_latency_ms),
    p99Ms: Number(row.p99_latency_ms),
    avgConfidence: optional(row.avg_confidence),
    avgQuality: optional(row.avg_quality),
    inputTokens: optional(row.input_tokens),
    outputTokens: optional(row.output_tokens),
    costUsd: optional(row.cost_usd),
    before: readChanges(row, ''),
    fourWeeks: 'requests_change_pct_4w' in row ? readChanges(row, '_4w') : null,
  };
}

function readChanges(row: Row, suffix: string): Changes {
  const change = (name: string, margin?: string): Change => ({
    value: optional(row[name + suffix]),
    margin: margin === undefined ? null : optional(row[margin + suffix]),
  });
  return {
    requests: change('requests_change_pct', 'requests_change_margin_pct'),
    avgLatency: change('avg_latency_change_pct', 'avg_latency_change_margin_pct'),
    p95Latency: change('p95_latency_change_pct'),
    errorRate: change('error_rate_change_points', 'error_rate_change_margin_points'),
    cost: change('cost_change_pct'),
  };
}

function optional(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
