import type { Explanation } from '../explanation.ts';
import type { Severity } from '../outbox/plan.ts';

/** What is known of an incident when somebody is told of it (`nowcast.incident_standing`). */
export interface IncidentNews {
  readonly id: string;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly severity: Severity;
  readonly title: string;
  readonly models: readonly string[];
  readonly rules: readonly string[];
  readonly alertCount: number;
  readonly openCount: number;
  readonly acknowledged: boolean;
  readonly acknowledgedBy: string | null;
  readonly silenced: boolean;
  readonly repeatIntervalMs: number;
  /** The gravest and oldest first; the others are only counted. */
  readonly alerts: readonly AlertNews[];
}

export interface AlertNews {
  readonly id: number;
  readonly rule: string | null;
  /** Of the rule that raised it; null where whoever inserted it has no rule. */
  readonly ruleKind: string | null;
  readonly alertType: string;
  readonly severity: Severity;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly timestamp: Date;
  readonly status: 'firing' | 'resolved';
  readonly explanation: Explanation | null;
}

/** A row of `nowcast.incident_standing`, as pg reads it. */
export interface StandingRow {
  readonly id: string;
  readonly opened_at: Date;
  readonly closed_at: Date | null;
  readonly severity: Severity;
  readonly title: string;
  readonly models: readonly string[];
  readonly rules: readonly string[];
  readonly alert_count: number;
  readonly open_count: number;
  readonly acknowledged: boolean;
  readonly acknowledged_by: string | null;
  readonly silenced: boolean;
  readonly repeat_interval_seconds: number;
  readonly alerts: readonly {
    readonly id: number;
    readonly rule: string | null;
    readonly rule_kind: string | null;
    readonly alert_type: string;
    readonly severity: Severity;
    readonly message: string;
    readonly labels: Readonly<Record<string, unknown>> | null;
    readonly timestamp: string;
    readonly status: 'firing' | 'resolved';
    readonly explanation: unknown;
  }[];
}

export function incidentOf(row: StandingRow): IncidentNews {
  return {
    id: row.id,
    openedAt: row.opened_at,
    closedAt: row.closed_at,
    severity: row.severity,
    title: row.title,
    models: row.models,
    rules: row.rules,
    alertCount: row.alert_count,
    openCount: row.open_count,
    acknowledged: row.acknowledged,
    acknowledgedBy: row.acknowledged_by,
    silenced: row.silenced,
    repeatIntervalMs: row.repeat_interval_seconds * 1000,
    alerts: row.alerts.map((alert) => ({
      id: alert.id,
      rule: alert.rule,
      ruleKind: alert.rule_kind,
      alertType: alert.alert_type,
      severity: alert.severity,
      message: alert.message,
      labels: textsOf(alert.labels),
      timestamp: new Date(alert.timestamp),
      status: alert.status,
      explanation: explanationOf(alert.explanation),
    })),
  };
}

function textsOf(labels: Readonly<Record<string, unknown>> | null): Record<string, string> {
  return Object.fromEntries(Object.entries(labels ?? {}).map(([name, value]) => [name, String(value)]));
}

/** Anybody may have written it, by SQL: what has not its shape is left out rather than sent. */
function explanationOf(value: unknown): Explanation | null {
  if (typeof value !== 'object' || value === null) return null;
  const given = value as Record<string, unknown>;
  if (typeof given.sentence !== 'string' || given.sentence === '') return null;
  const list = (items: unknown) =>
    Array.isArray(items) ? items.filter((item) => typeof item === 'object' && item !== null) : [];
  return {
    ...given,
    unit: typeof given.unit === 'string' ? given.unit : '',
    value: typeof given.value === 'number' ? given.value : null,
    baseline: typeof given.baseline === 'number' ? given.baseline : null,
    cause_sentence: typeof given.cause_sentence === 'string' ? given.cause_sentence : '',
    causes: list(given.causes),
    examples: list(given.examples),
    deployed: list(given.deployed),
    data_age_seconds: typeof given.data_age_seconds === 'number' ? given.data_age_seconds : null,
  } as unknown as Explanation;
}
