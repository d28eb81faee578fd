/** What `GET /health` answers, as far as the page shows it. */
export interface Health {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly databaseConnected: boolean;
  readonly message: string | undefined;
  readonly lastEventAgeSeconds: number | null;
  readonly pendingBytes: number;
  readonly feedLagSeconds: number;
  /** Of the embedded PostgreSQL. */
  readonly disk: { readonly freeBytes: number; readonly freePct: number } | undefined;
  readonly canary: CanaryReport;
  /** Browser time at which it was answered. */
  readonly at: number;
}

/** A synthetic event goes the whole way, from a transaction to a subscribed socket, every few seconds. */
interface CanaryReport {
  readonly status: 'ok' | 'failed' | 'starting';
  readonly ageSeconds: number | null;
  readonly latencyMs: number | null;
  readonly brokenStage: BrokenStage | null;
}

export type BrokenStage = 'ingest' | 'store' | 'feed' | 'realtime';

type Row = Readonly<Record<string, unknown>>;

export function readHealth(body: unknown, at: number = Date.now()): Health {
  const row = isRow(body) ? body : {};
  const { disk } = row;
  const canary = isRow(row.canary) ? row.canary : {};
  return {
    status: oneOf(row.status, ['healthy', 'degraded']) ?? 'unhealthy',
    databaseConnected: row.database === 'connected',
    message: typeof row.message === 'string' ? row.message : undefined,
    lastEventAgeSeconds: number(row.last_event_age_seconds),
    pendingBytes: number(row.pending_bytes) ?? 0,
    feedLagSeconds: number(row.feed_lag_seconds) ?? 0,
    disk: isRow(disk)
      ? { freeBytes: number(disk.free_bytes) ?? 0, freePct: 100 * (number(disk.free_share) ?? 0) }
      : undefined,
    canary: {
      status: oneOf(canary.status, ['ok', 'failed']) ?? 'starting',
      ageSeconds: number(canary.age_seconds),
      latencyMs: number(canary.latency_ms),
      brokenStage: oneOf(canary.broken_stage, ['ingest', 'store', 'feed', 'realtime']) ?? null,
    },
    at,
  };
}

function oneOf<const T extends string>(value: unknown, known: readonly T[]): T | undefined {
  return known.find((candidate) => candidate === value);
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
