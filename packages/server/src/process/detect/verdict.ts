/** What a detector says of one point. */
export interface Verdict {
  /** How unusual, comparable between series: 0 as usual, towards 1 the rarer. A going episode ranks below its start. */
  readonly score: number;
  /** An alarm: a new episode begins here, or the going one becomes clearly worse. At most the budget a week on clean traffic. */
  readonly anomaly: boolean;
  /** This point alone is rarer than the budget allows, whether its episode is new or not: what keeps an alert open. */
  readonly unusual: boolean;
  /** One sentence for a person. */
  readonly reason: string;
  /** What was expected at this point; undefined before anything is known. */
  readonly expected: number | undefined;
}

export interface DetectorOptions {
  /** False alarms that may be raised in a week of clean traffic; see `parseBudget`. Default 1. */
  readonly falseAlarmsPerWeek?: number;
  /** Which side is bad; default both for values, up for rates. */
  readonly direction?: 'up' | 'down' | 'both';
  /** No alarm for a smaller change, as a share of the expected value. Default 0.1 for rates, 0 for values. */
  readonly minimumRelativeChange?: number;
  /** What the sentence calls the value, such as "p95 latency". Default "value". */
  readonly name?: string;
  /** What comes after its numbers, such as "ms". */
  readonly unit?: string;
  /** The value cannot be negative, so nothing negative is expected either. */
  readonly isNonNegative?: boolean;
}
