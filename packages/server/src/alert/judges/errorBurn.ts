import { formatDuration, formatNumber, formatPercent } from '../../process/detect/words.ts';
import { numberOf } from '../condition.ts';
import { calm, type Outcome, type Rule, type Subject, unknown } from '../judge.ts';
import { nameOf, usually } from '../naming.ts';

/** An objective nobody set lies between: a model without an error ever would else burn at its first one. */
const leastObjective = 0.99;
const mostObjective = 0.999;
/** What a model always does is no news, whatever the objective: the share must be so many times the usual one. */
const leastRatio = 1.5;

/**
 * Burn rate of the error budget in two windows (Google SRE workbook, chapter 5): the long one says that it matters, the
 * short one that it goes on. Budget is 1 - objective; a burn rate of 1 uses it up exactly in the objective's period.
 */
export function judgeErrorBurn(rule: Rule, { labels, timeline }: Subject, nowMs: number): Outcome {
  const longMs = numberOf(rule, 'long_seconds', 3600) * 1000;
  const shortMs = numberOf(rule, 'short_seconds', 300) * 1000;
  const long = timeline.window(longMs, nowMs);
  if (long.requests === 0) return unknown;
  // What is younger than its short window has no windows yet; sudden failure is another rule's.
  if ((timeline.firstMs ?? nowMs) > nowMs - shortMs) return unknown;
  const neededRate = numberOf(rule, 'burn_rate', 14.4);
  const baseline = timeline.baseline(nowMs);
  const usual = baseline.errorShare;
  const isSet = typeof rule.condition.objective === 'number';
  const objective = numberOf(rule, 'objective', Math.min(mostObjective, Math.max(leastObjective, 1 - usual)));
  const budget = 1 - objective;
  const neededShare = Math.max(neededRate * budget, isSet ? 0 : leastRatio * baseline.errorShareBound);
  const needed = Math.max(rule.minEvents, 1);
  if (long.errors < needed || long.errors < neededShare * long.requests) return calm;
  const short = timeline.window(shortMs, nowMs);
  // The short window has to see that it goes on: a fifth of the errors that are asked for in the long one.
  if (short.errors < Math.max(1, needed / 5) || short.errors < neededShare * short.requests) return calm;
  const longShare = long.errors / long.requests;
  const shortShare = short.errors / short.requests;
  const rate = Math.min(longShare, shortShare) / budget;
  return {
    judgement: 'breach',
    alertType: 'error_rate',
    message: `${nameOf(labels)} uses its error budget up ${formatNumber(rate)} times too fast: ${formatPercent(longShare)} of ${formatNumber(long.requests)} events failed in the last ${formatDuration(longMs)} and ${formatPercent(shortShare)} in the last ${formatDuration(shortMs)}, ${usually(baseline)}; the objective is ${Number((objective * 100).toFixed(3))} %.`,
    figures: {
      burn_rate: rate,
      error_rate_pct: shortShare * 100,
      long_error_rate_pct: longShare * 100,
      usual_error_rate_pct: usual * 100,
      objective_pct: objective * 100,
      errors: long.errors,
      requests: long.requests,
      long_seconds: longMs / 1000,
      short_seconds: shortMs / 1000,
    },
    sinceMs: nowMs - shortMs,
    asked: {
      metric: 'error_rate',
      sinceMs: nowMs - shortMs,
      baselineSinceMs: baseline.sinceMs,
      baselineUntilMs: nowMs - longMs,
    },
  };
}
