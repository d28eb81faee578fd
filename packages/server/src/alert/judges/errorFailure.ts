import { binomialSurprise, clusteredSurprise } from '../../process/detect/binomial.ts';
import { formatDuration, formatNumber, formatPercent } from '../../process/detect/words.ts';
import { numberOf, numbersOf } from '../condition.ts';
import { calm, type Outcome, type Rule, type Subject } from '../judge.ts';
import { nameOf, usually } from '../naming.ts';

/** A model that always failed at half of its events is not failing suddenly at two thirds. */
const leastRatio = 3;

/**
 * Sudden failure, seen within seconds: so many of the events that arrived in one of a few short windows failed as chance
 * would hardly ever bring about at the model's usual share, and at how much that share ordinarily wavers.
 */
export function judgeErrorFailure(rule: Rule, { labels, timeline }: Subject, nowMs: number): Outcome {
  const { arrivals } = timeline;
  const windows = numbersOf(rule, 'windows_seconds', [5, 10, 30, 60]);
  const longest = Math.max(...windows);
  if (arrivals.lastErrorAtMs === undefined || arrivals.lastErrorAtMs < nowMs - (longest + 1) * 1000)
    return calm;
  const neededSurprise = -Math.log10(numberOf(rule, 'p_value', 1e-8));
  const leastShare = numberOf(rule, 'min_error_rate', 0.1);
  const baseline = timeline.baseline(nowMs);
  const usual = baseline.errorShare;
  const bound = baseline.errorShareBound;
  const wavering = timeline.errorWavering(nowMs);
  // Half of the way to total failure always is news: a share of 60 % cannot triple, and clusters may be yesterday's outage.
  const halfway = (1 + usual) / 2;
  const wantedShare = Math.max(leastShare, Math.min(leastRatio * usual, halfway));
  for (const seconds of windows) {
    const { requests, errors } = arrivals.recent(seconds, nowMs);
    if (errors < Math.max(rule.minEvents, 1) || errors < wantedShare * requests) continue;
    const isNews =
      clusteredSurprise(errors, requests, bound, wavering, true) >= neededSurprise ||
      (errors >= halfway * requests &&
        binomialSurprise(errors, requests, Math.max(usual, halfway / 2), true) >= neededSurprise);
    if (!isNews) continue;
    const share = errors / requests;
    return {
      judgement: 'breach',
      alertType: 'error_rate',
      message: `${formatPercent(share)} of the events of ${nameOf(labels)} failed in the last ${formatDuration(seconds * 1000)} (${formatNumber(errors)} of ${formatNumber(requests)}), ${usually(baseline)}.`,
      figures: {
        error_rate_pct: share * 100,
        usual_error_rate_pct: usual * 100,
        errors,
        requests,
        window_seconds: seconds,
      },
      sinceMs: arrivals.firstErrorMs(seconds, nowMs) ?? nowMs,
      asked: {
        metric: 'error_rate',
        sinceMs: nowMs - seconds * 1000,
        baselineSinceMs: baseline.sinceMs,
        baselineUntilMs: nowMs - longest * 1000,
      },
    };
  }
  return calm;
}
