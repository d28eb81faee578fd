import { judgeErrorBurn } from './judges/errorBurn.ts';
import { judgeErrorFailure } from './judges/errorFailure.ts';
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
}

/** The question that an explanation answers. */
interface Asked {
  readonly metric: 'error_rate' | 'latency' | 'confidence' | 'quality' | 'traffic' | 'tokens' | 'cost';
  readonly sinceMs: number;
  readonly baselineSinceMs: number;
  readonly baselineUntilMs: number;
}

interface Breach {
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
  error_burn: judgeErrorBurn,
  error_failure: judgeErrorFailure,
};

/** Whether the rule's condition holds for this series now. Pure: the same figures give the same answer, live and in a backtest. */
export function judgeRule(rule: Rule, subject: Subject, nowMs: number): Outcome {
  return judges[rule.kind]?.(rule, subject, nowMs) ?? unknown;
}
