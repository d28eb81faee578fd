import { formatDuration, formatNumber } from '../../process/detect/words.ts';
import { numberOf, textOf } from '../condition.ts';
import { calm, type Outcome, type Rule, type Subject, unknown } from '../judge.ts';
import { nameOf } from '../naming.ts';
import { minuteMs } from '../timeline.ts';
import type { Totals } from '../totals.ts';

/** So many standard errors below the usual: chance does not get there. */
const leastStandardErrors = 5;
const leastRecent = 20;

/** The mean confidence or quality of the last minutes is clearly below the model's own usual one. */
export function judgeMetricDrop(rule: Rule, { labels, timeline }: Subject, nowMs: number): Outcome {
  const metric = textOf(rule, 'metric') === 'quality' ? 'quality' : 'confidence';
  const baseline = timeline.baseline(nowMs);
  const usual = baseline[metric];
  if (usual === undefined) return unknown;
  const windowMs = numberOf(rule, 'window_seconds', 900) * 1000;
  const now = sumsOf(timeline.window(windowMs, nowMs), metric);
  if (now.count < Math.max(rule.minEvents, 2)) return unknown;
  const boundary = usual * (1 - numberOf(rule, 'min_relative_change', 0.1));
  if (now.mean > boundary) return calm;
  if (usual - now.mean < leastStandardErrors * Math.sqrt(now.variance / now.count)) return calm;
  const recent = sumsOf(timeline.window(2 * minuteMs, nowMs), metric);
  if (recent.count >= leastRecent && recent.mean > boundary) return calm;
  return {
    judgement: 'breach',
    alertType: `low_${metric}`,
    message: `Mean ${metric} of ${nameOf(labels)} is ${formatNumber(now.mean)} in the last ${formatDuration(windowMs)}, usually ${formatNumber(usual)} (${formatNumber(now.count)} events).`,
    figures: {
      [`avg_${metric}`]: now.mean,
      [`usual_avg_${metric}`]: usual,
      events: now.count,
      window_seconds: windowMs / 1000,
    },
    sinceMs: nowMs - windowMs,
    asked: {
      metric,
      sinceMs: nowMs - windowMs,
      baselineSinceMs: baseline.sinceMs,
      baselineUntilMs: nowMs - windowMs,
    },
  };
}

function sumsOf(
  totals: Totals,
  metric: 'confidence' | 'quality',
): { count: number; mean: number; variance: number } {
  const count = totals[`${metric}Count`];
  const mean = totals[`${metric}Sum`] / count;
  return { count, mean, variance: Math.max(0, totals[`${metric}SumSq`] / count - mean * mean) };
}
