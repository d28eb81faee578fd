/** A row of `alert_rules`, as the page edits it. */
export interface AlertRule {
  readonly name: string;
  readonly kind: string;
  readonly condition: Readonly<Record<string, unknown>>;
  readonly severity: 'warning' | 'critical';
  readonly minEvents: number;
  readonly forSeconds: number;
  readonly keepFiringSeconds: number;
  readonly repeatIntervalSeconds: number;
  readonly enabled: boolean;
  /** "default", "config" (the file nowcast.config.ts), "user". */
  readonly source: string;
}

export function readRule(row: Readonly<Record<string, unknown>>): AlertRule {
  const { condition } = row;
  return {
    name: String(row.name),
    kind: String(row.kind),
    condition: typeof condition === 'object' && condition !== null ? { ...condition } : {},
    severity: row.severity === 'critical' ? 'critical' : 'warning',
    minEvents: Number(row.min_events),
    forSeconds: Number(row.for_seconds),
    keepFiringSeconds: Number(row.keep_firing_seconds),
    repeatIntervalSeconds: Number(row.repeat_interval_seconds),
    enabled: row.enabled === true,
    source: String(row.source),
  };
}

/** What is written, and what a backtest is asked about; the backtest knows nothing of repeating and switching off. */
export function ruleColumns(rule: AlertRule) {
  return {
    name: rule.name,
    kind: rule.kind,
    condition: rule.condition,
    severity: rule.severity,
    min_events: rule.minEvents,
    for_seconds: rule.forSeconds,
    keep_firing_seconds: rule.keepFiringSeconds,
  };
}
