import { time } from './bucket.ts';

export interface Alert {
  readonly id: number;
  readonly at: number;
  readonly severity: 'warning' | 'critical';
  readonly type: string;
  readonly message: string;
  readonly model: string | undefined;
  readonly acknowledged: boolean;
  readonly firing: boolean;
  readonly silenced: boolean;
  /** null before incidents were recorded. */
  readonly incidentId: number | null;
}

type Row = Readonly<Record<string, unknown>>;

export function readAlert(row: Row): Alert {
  const metadata = isRow(row.metadata) ? row.metadata : {};
  const labels = isRow(row.labels) ? row.labels : {};
  const model = labels.model_version ?? metadata.model_version;
  return {
    id: Number(row.id),
    at: time(row.timestamp),
    severity: row.severity === 'critical' ? 'critical' : 'warning',
    type: String(row.alert_type),
    message: String(row.message),
    model: typeof model === 'string' ? model : undefined,
    acknowledged: row.acknowledged === true,
    firing: row.status === 'firing',
    silenced: row.silenced === true,
    incidentId: row.incident_id === null || row.incident_id === undefined ? null : Number(row.incident_id),
  };
}

/** Open: it still fires, or nobody has acknowledged it. */
export function isOpen(alert: Alert): boolean {
  return alert.firing || !alert.acknowledged;
}

/** What nobody has seen first, then critical ones, then the newest. */
export function inOrder(alerts: Iterable<Alert>): readonly Alert[] {
  return [...alerts].sort(
    (a, b) =>
      Number(a.acknowledged) - Number(b.acknowledged) ||
      Number(b.severity === 'critical') - Number(a.severity === 'critical') ||
      b.at - a.at ||
      b.id - a.id,
  );
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
