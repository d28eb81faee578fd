/**
 * Rows of `daily_metrics_trend`, `weekly_metrics_trend` and `monthly_metrics_trend`: closed periods of one model. The
 * views join each period with those that it is compared with, and PostgreSQL leaves out the joins that nobody asks
 * columns of: so what a chart draws and what changed are asked for apart.
 */

interface Period {
  /** First day of the period, as the start of that day in UTC: days are names here, not moments. */
  readonly start: number;
  readonly model: string;
  readonly requests: number;
}

/** What charts draw. */
export interface Trend extends Period {
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
}

export interface ChangedTrend extends Period {
  /** Against the period before. */
  readonly before: Changes;
  /** Against the same days four weeks before; null for months. */
  readonly fourWeeks: Changes | null;
}

export interface Changes {
  readonly requests: Change;
  readonly avgLatency: Change;
  /** In percentage points. */
  readonly errorRate: Change;
}

export interface Change {
  /** Percent, or percentage points; null where there is nothing to compare with. */
  readonly value: number | null;
  /** Half the width of the 95 % interval; null where days are too few to tell. */
  readonly margin: number | null;
}

const periodColumns = ['period_start', 'model_version', 'total_requests'] as const;

export const trendColumns: readonly string[] = [
  ...periodColumns,
  'error_rate_pct',
  'avg_latency_ms',
  'p50_latency_ms',
  'p95_latency_ms',
  'p99_latency_ms',
  'avg_confidence',
  'avg_quality',
  'input_tokens',
  'output_tokens',
  'cost_usd',
];

/** Of a change: the column of its value and that of its margin. */
const changeColumnsOf: Record<keyof Changes, readonly [value: string, margin: string]> = {
  requests: ['requests_change_pct', 'requests_change_margin_pct'],
  avgLatency: ['avg_latency_change_pct', 'avg_latency_change_margin_pct'],
  errorRate: ['error_rate_change_points', 'error_rate_change_margin_points'],
};
const fourWeeksSuffix = '_4w';

export function changeColumns({ withFourWeeks }: { withFourWeeks: boolean }): readonly string[] {
  const before = Object.values(changeColumnsOf).flat();
  const fourWeeks = withFourWeeks ? before.map((name) => name + fourWeeksSuffix) : [];
  return [...periodColumns, ...before, ...fourWeeks];
}

type Row = Readonly<Record<string, unknown>>;

export function readTrend(row: Row): Trend {
  return {
    ...readPeriod(row),
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
  };
}

export function readChangedTrend(row: Row): ChangedTrend {
  const hasFourWeeks = changeColumnsOf.requests[0] + fourWeeksSuffix in row;
  return {
    ...readPeriod(row),
    before: readChanges(row, ''),
    fourWeeks: hasFourWeeks ? readChanges(row, fourWeeksSuffix) : null,
  };
}

function readPeriod(row: Row): Period {
  return {
    start: Date.parse(`${String(row.period_start)}T00:00:00Z`),
    model: String(row.model_version),
    requests: Number(row.total_requests),
  };
}

function readChanges(row: Row, suffix: string): Changes {
  const change = (of: keyof Changes): Change => {
    const [value, margin] = changeColumnsOf[of];
    return { value: optional(row[value + suffix]), margin: optional(row[margin + suffix]) };
  };
  return {
    requests: change('requests'),
    avgLatency: change('avgLatency'),
    errorRate: change('errorRate'),
  };
}

function optional(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
