import { formatDuration, formatNumber } from '../../process/detect/words.ts';
import { numberOf } from '../condition.ts';
import { calm, type Outcome, type Rule, type Subject, unknown } from '../judge.ts';
import { nameOf } from '../naming.ts';
import { dayMs, hourMs, minuteMs, type Timeline } from '../timeline.ts';
import type { Totals } from '../totals.ts';

/** Where little comes, the window widens until it holds enough events, at most to an hour. */
const widerMs = [15 * minuteMs, hourMs];
/** The last minute has to see that it goes on, by so many events. */
const leastRecent = 20;

/** p95 of the last minutes far above the model's own usual one. */
export function judgeLatency(rule: Rule, { labels, timeline }: Subject, nowMs: number): Outcome {
  const usualMs = usualP95Ms(timeline, nowMs);
  if (usualMs === undefined) return unknown;
  const windowMs = [numberOf(rule, 'window_seconds', 300) * 1000, ...widerMs].find(
    (each) => timeline.window(each, nowMs).requests >= Math.max(rule.minEvents, 1),
  );
  if (windowMs === undefined) return unknown;
  const boundMs = Math.max(
    usualMs * numberOf(rule, 'factor', 2),
    usualMs + numberOf(rule, 'min_difference_ms', 100),
  );
  const now = timeline.window(windowMs, nowMs);
  const nowP95Ms = p95Ms(now);
  if (nowP95Ms <= boundMs) return calm;
  const recent = timeline.window(minuteMs, nowMs);
  if (recent.requests >= leastRecent && p95Ms(recent) <= boundMs) return calm;
  const baseline = timeline.baseline(nowMs);
  return {
    judgement: 'breach',
    alertType: 'high_latency',
    message: `p95 latency of ${nameOf(labels)} is ${formatNumber(nowP95Ms)} ms in the last ${formatDuration(windowMs)}, usually ${formatNumber(usualMs)} ms (${formatNumber(now.requests)} events).`,
    figures: {
      p95_latency_ms: nowP95Ms,
      usual_p95_latency_ms: usualMs,
      requests: now.requests,
      window_seconds: windowMs / 1000,
    },
    sinceMs: nowMs - windowMs,
    asked: {
      metric: 'latency',
      sinceMs: nowMs - windowMs,
      baselineSinceMs: baseline.sinceMs,
      baselineUntilMs: nowMs - windowMs,
    },
  };
}

const p95Ms = ({ p95SumMs, requests }: Totals) => p95SumMs / requests;

/** The usual one of two weeks or, if it is higher, of this time yesterday: what is slow each noon is no news. */
function usualP95Ms(timeline: Timeline, nowMs: number): number | undefined {
  const usual = timeline.baseline(nowMs).p95Ms;
  if (usual === undefined || (timeline.firstMs ?? nowMs) > nowMs - dayMs - hourMs) return usual;
  const yesterday = timeline.addFives(nowMs - dayMs - hourMs / 2, nowMs - dayMs + hourMs / 2);
  return yesterday.requests < 100 ? usual : Math.max(usual, p95Ms(yesterday));
}
