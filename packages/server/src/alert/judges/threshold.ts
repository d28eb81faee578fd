import { formatDuration, formatNumber } from '../../process/detect/words.ts';
import { numberOf, textOf } from '../condition.ts';
import { type Breach, calm, type Outcome, type Rule, type Subject, unknown } from '../judge.ts';
import { nameOf } from '../naming.ts';
import { minuteMs } from '../timeline.ts';
import type { Totals } from '../totals.ts';

interface Metric {
  /** What a sentence calls it. */
  readonly title: string;
  readonly unit: string;
  /** Counts by time, so that no events are a value too; others are means of events. */
  readonly isRate?: true;
  readonly asked: NonNullable<Breach['asked']>['metric'];
  readonly count: (totals: Totals) => number;
  readonly value: (totals: Totals, minutes: number) => number;
}

const requests = ({ requests: count }: Totals) => count;
const latency = (title: string, value: (totals: Totals) => number): Metric => ({
  title,
  unit: ' ms',
  asked: 'latency',
  count: requests,
  value: (totals) => value(totals) / totals.requests,
});

const metrics: Readonly<Record<string, Metric>> = {
  requests_per_minute: {
    title: 'Requests a minute',
    unit: '',
    isRate: true,
    asked: 'traffic',
    count: requests,
    value: (t, minutes) => t.requests / minutes,
  },
  error_rate_pct: {
    title: 'Error rate',
    unit: ' %',
    asked: 'error_rate',
    count: requests,
    value: (t) => (100 * t.errors) / t.requests,
  },
  avg_latency_ms: latency('Mean latency', (t) => t.latencySumMs),
  p50_latency_ms: latency('Median latency', (t) => t.p50SumMs),
  p95_latency_ms: latency('p95 latency', (t) => t.p95SumMs),
  p99_latency_ms: latency('p99 latency', (t) => t.p99SumMs),
  avg_confidence: {
    title: 'Mean confidence',
    unit: '',
    asked: 'confidence',
    count: (t) => t.confidenceCount,
    value: (t) => t.confidenceSum / t.confidenceCount,
  },
  avg_quality: {
    title: 'Mean quality',
    unit: '',
    asked: 'quality',
    count: (t) => t.qualityCount,
    value: (t) => t.qualitySum / t.qualityCount,
  },
  tokens_per_request: {
    title: 'Tokens a request',
    unit: '',
    asked: 'tokens',
    count: requests,
    value: (t) => t.tokens / t.requests,
  },
  cost_usd_per_hour: {
    title: 'Cost',
    unit: ' USD an hour',
    isRate: true,
    asked: 'cost',
    count: requests,
    value: (t, minutes) => (60 * t.costUsd) / minutes,
  },
};

const words: Readonly<Record<string, string>> = {
  '>': 'above',
  '>=': 'at or above',
  '<': 'below',
  '<=': 'at or below',
};

/** A bound that somebody set. */
export function judgeThreshold(rule: Rule, { labels, timeline, around }: Subject, nowMs: number): Outcome {
  const name = textOf(rule, 'metric');
  const metric = metrics[name];
  if (metric === undefined) return unknown;
  const windowMs = numberOf(rule, 'window_seconds', 300) * 1000;
  const totals = timeline.window(windowMs, nowMs);
  const comparator = textOf(rule, 'comparator', '>');
  const bound = numberOf(rule, 'value', 0);
  // The window begins with a whole minute.
  const sinceMs = Math.floor((nowMs - windowMs) / minuteMs) * minuteMs;
  // What was not watched from its beginning is no less than the bound for sure.
  const isWhole = around.watchedSinceMs <= sinceMs && (timeline.firstMs ?? nowMs) <= sinceMs;
  if (
    metric.isRate
      ? comparator.startsWith('<') && !isWhole
      : metric.count(totals) < Math.max(1, rule.minEvents)
  )
    return unknown;
  const value = metric.value(totals, (nowMs - sinceMs) / minuteMs);
  if (!holds(value, comparator, bound)) return calm;
  return {
    judgement: 'breach',
    alertType: 'threshold',
    message: `${metric.title} of ${nameOf(labels)} is ${formatNumber(value)}${metric.unit} in the last ${formatDuration(windowMs)}, ${words[comparator]} ${formatNumber(bound)}${metric.unit}.`,
    figures: { metric: name, value, bound, requests: totals.requests, window_seconds: windowMs / 1000 },
    sinceMs: nowMs - windowMs,
    asked: {
      metric: metric.asked,
      sinceMs: nowMs - windowMs,
      baselineSinceMs: timeline.baseline(nowMs).sinceMs,
      baselineUntilMs: nowMs - windowMs,
    },
  };
}

function holds(value: number, comparator: string, bound: number): boolean {
  switch (comparator) {
    case '>':
      return value > bound;
    case '>=':
      return value >= bound;
    case '<':
      return value < bound;
    default:
      return value <= bound;
  }
}
