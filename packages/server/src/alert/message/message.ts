import type { Severity, Step } from '../outbox/plan.ts';

/** Texts with moments in them: each channel writes those as its readers see time. */
export type Value = string | Date;

export interface Fact {
  readonly label: string;
  readonly value: Value;
}

export interface ExampleLine {
  readonly at: Date | null;
  readonly text: string;
}

/** What kind of trouble it is: each reads differently. */
export type Trouble = 'threshold' | 'anomaly' | 'no_data' | 'monitor';

/** News as every channel tells it; pure text, not escaped for anybody. */
export interface Message {
  /** Of the whole conversation: the same from the beginning to the end, unique over all installations in practice. */
  readonly key: string;
  readonly step: Step;
  readonly tone: Severity | 'resolved' | 'info';
  readonly trouble: Trouble | null;
  /** One line; says what it is without the rest. */
  readonly headline: string;
  /** What changed, by how much, since when; empty when the headline has said it. */
  readonly lead: string;
  /** Who explains it, in words. */
  readonly cause: string;
  readonly facts: readonly Fact[];
  /** What else belongs to it, a line each. */
  readonly others: readonly string[];
  readonly examples: readonly ExampleLine[];
  readonly deployed: readonly Fact[];
  /** What to do first. */
  readonly advice: string;
  readonly freshness: string;
  /** Why it comes late; empty when it does not. */
  readonly late: string;
  readonly since: Date;
  readonly until: Date | null;
  readonly links: readonly { readonly text: string; readonly url: string }[];
  /** For machines. */
  readonly subject: Subject | null;
}

interface Subject {
  readonly incidentId: string;
  readonly severity: Severity;
  readonly title: string;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly models: readonly string[];
  readonly rules: readonly string[];
  readonly alertCount: number;
  readonly acknowledged: boolean;
  readonly acknowledgedBy: string | null;
  readonly alerts: readonly {
    readonly id: number;
    readonly rule: string | null;
    readonly type: string;
    readonly severity: Severity;
    readonly message: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly since: Date;
    readonly status: string;
  }[];
  readonly explanation: unknown;
}
