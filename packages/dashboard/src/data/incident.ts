import { time } from './bucket.ts';
import { type Explanation, readExplanation } from './explanation.ts';

/** Incidents, and what people see and do about them, as the views of the same names have them. */

type Row = Readonly<Record<string, unknown>>;

export type Severity = 'warning' | 'critical';

export interface Incident {
  readonly id: number;
  readonly openedAt: number;
  /** null while it is open. */
  readonly closedAt: number | null;
  readonly severity: Severity;
  readonly title: string;
  readonly models: readonly string[];
  readonly rules: readonly string[];
  readonly alerts: number;
  readonly acknowledged: boolean;
  /** Undefined where the key may not read names. */
  readonly acknowledgedBy: string | undefined;
  readonly silenced: boolean;
}

export interface IncidentAlert {
  readonly id: number;
  readonly at: number;
  readonly severity: Severity;
  readonly type: string;
  readonly message: string;
  readonly firing: boolean;
  readonly resolvedAt: number | null;
  /** undefined where the key may not read it. */
  readonly explanation: Explanation | null | undefined;
}

export interface TimelineEntry {
  readonly at: number;
  readonly kind: string;
  readonly text: string;
  readonly channel: string | null;
  readonly who: string | null;
  readonly note: string | null;
}

export interface Silence {
  readonly id: number;
  readonly matchers: Readonly<Record<string, string>>;
  readonly reason: string;
  readonly by: string;
  readonly isMaintenance: boolean;
  readonly startsAt: number;
  readonly endsAt: number;
}

export function readIncident(row: Row): Incident {
  return {
    id: Number(row.id),
    openedAt: time(row.opened_at),
    closedAt: optionalTime(row.closed_at),
    severity: severity(row.severity),
    title: String(row.title),
    models: texts(row.models),
    rules: texts(row.rules),
    alerts: Number(row.alert_count),
    acknowledged: row.acknowledged === true,
    acknowledgedBy: typeof row.acknowledged_by === 'string' ? row.acknowledged_by : undefined,
    silenced: row.silenced === true,
  };
}

export function readIncidentAlert(row: Row): IncidentAlert {
  return {
    id: Number(row.id),
    at: time(row.timestamp),
    severity: severity(row.severity),
    type: String(row.alert_type),
    message: String(row.message),
    firing: row.status === 'firing',
    resolvedAt: optionalTime(row.resolved_at),
    explanation: 'explanation' in row ? readExplanation(row.explanation) : undefined,
  };
}

export function readTimelineEntry(row: Row): TimelineEntry {
  return {
    at: time(row.at),
    kind: String(row.kind),
    text: String(row.text ?? ''),
    channel: text(row.channel),
    who: text(row.who),
    note: text(row.note),
  };
}

export function readSilence(row: Row): Silence {
  const matchers = typeof row.matchers === 'object' && row.matchers !== null ? row.matchers : {};
  return {
    id: Number(row.id),
    matchers: Object.fromEntries(
      Object.entries(matchers).map(([name, value]) => [name, [value].flat().map(inWords).join(',')]),
    ),
    reason: text(row.reason) ?? '',
    by: text(row.created_by) ?? '',
    isMaintenance: row.kind === 'maintenance',
    startsAt: time(row.starts_at),
    endsAt: time(row.ends_at),
  };
}

function severity(value: unknown): Severity {
  return value === 'critical' ? 'critical' : 'warning';
}

function optionalTime(value: unknown): number | null {
  return value === null || value === undefined ? null : time(value);
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** JSON may name a field of an object toString. */
function inWords(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
