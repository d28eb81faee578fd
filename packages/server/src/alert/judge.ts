import { judgeClientSilent } from './judges/clientSilent.ts';
import { judgeErrorBurn } from './judges/errorBurn.ts';
import { judgeErrorFailure } from './judges/errorFailure.ts';
import { judgeLatency } from './judges/latency.ts';
import { judgeMetricDrop } from './judges/metricDrop.ts';
import { judgeMonitor } from './judges/monitor.ts';
import { judgeThreshold } from './judges/threshold.ts';
import { judgeTrafficCollapsed } from './judges/trafficCollapsed.ts';
import { judgeTrafficStopped } from './judges/trafficStopped.ts';
import type { Judgement } from './state.ts';
import type { Timeline } from './timeline.ts';

export type Labels = Readonly<Record<string, string>>;
type Severity = 'warning' | 'critical';

/** A row of `alert_rules`, in the units of this code. */
export interface Rule {
  readonly name: string;
  readonly kind: string;
  /** Validated by the database; what it leaves out has the kind's default. */
  readonly condition: Readonly<Record<string, unknown>>;
  readonly severity: Severity;
  /** Fewer events (of errors: bad ones) judge nothing. */
  readonly minEvents: number;
  readonly forMs: number;
  readonly keepFiringMs: number;
  readonly version: number;
}

/** What a rule is judged by: one series and what is known around it. */
export interface Subject {
  readonly labels: Labels;
  readonly timeline: Timeline;
  readonly around: Surroundings;
  /** The first bad moment of the alert that is open for this rule and series: what was usual before it counts. */
  readonly openSinceMs?: number | undefined;
}

/** What is the same for all series at one moment. */
export interface Surroundings {
  /** All models together. */
  readonly total: Timeline;
  /** Since when somebody has looked without a break: nothing that was not looked at is silence. */
  readonly watchedSinceMs: number;
  /** What is wrong with Nowcast itself, in words. */
  readonly problems: readonly string[];
  /** Events may come and not be seen: silence says nothing. */
  readonly isBlind: boolean;
  /** How many models there are. */
  readonly models: number;
}

/** The question that an explanation answers. */
interface Asked {
  readonly metric: 'error_rate' | 'latency' | 'confidence' | 'quality' | 'traffic' | 'tokens' | 'cost';
  readonly sinceMs: number;
  readonly baselineSinceMs: number;
  readonly baselineUntilMs: number;
}

export interface Breach {
  readonly judgement: 'breach';
  readonly alertType: string;
  /** One plain sentence with figures. */
  readonly message: string;
  readonly figures: Readonly<Record<string, number | string | null>>;
  /** The first bad moment. */
  readonly sinceMs: number;
  readonly asked?: Asked;
}

export type Outcome = Breach | { readonly judgement: Exclude<Judgement, 'breach'> };

export const calm: Outcome = { judgement: 'calm' };
export const unknown: Outcome = { judgement: 'unknown' };

type Judge = (rule: Rule, subject: Subject, nowMs: number) => Outcome;

const judges: Readonly<Record<string, Judge>> = {
  client_silent: judgeClientSilent,
  error_burn: judgeErrorBurn,
  error_failure: judgeErrorFailure,
  latency: judgeLatency,
  metric_drop: judgeMetricDrop,
  monitor: judgeMonitor,
  threshold: judgeThreshold,
  traffic_collapsed: judgeTrafficCollapsed,
  traffic_stopped: judgeTrafficStopped,
};

/** Whether the rule's condition holds for this series now. Pure: the same figures give the same answer, live and in a backtest. */
export function judgeRule(rule: Rule, subject: Subject, nowMs: number): Outcome {
  return judges[rule.kind]?.(rule, subject, nowMs) ?? unknown;
}
