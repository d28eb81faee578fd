import { formatNumber, formatPercent } from '../../process/detect/words.ts';
import { numberOf } from '../condition.ts';
import { calm, type Outcome, type Rule, type Subject, unknown } from '../judge.ts';
import { nameOf } from '../naming.ts';
import { dayMs, fiveMs, hourMs, type Timeline } from '../timeline.ts';
import { expectedEvents, wentElsewhere } from '../traffic.ts';

/** Below half of the lowest five minutes that were ordinary lately: bursts and lulls are not a collapse. */
const shareOfLowest = 0.5;
const silentMs = 45_000;

/** A small rest of the traffic that was to be expected in the last five minutes. */
export function judgeTrafficCollapsed(
  rule: Rule,
  { labels, timeline, around, openSinceMs }: Subject,
  nowMs: number,
): Outcome {
  const fromMs = nowMs - fiveMs;
  if (around.watchedSinceMs > fromMs || around.isBlind) return unknown;
  const isTotal = timeline === around.total;
  if (isTotal && around.models < 2) return calm;
  // What is usual is learnt from the time before it began.
  const referenceMs = Math.min(fromMs, openSinceMs ?? fromMs);
  if (nowMs - referenceMs > dayMs) return unknown;
  const expected = expectedEvents(timeline, fromMs, nowMs, referenceMs);
  if (expected === undefined) return unknown;
  if (expected < numberOf(rule, 'expected_events', 100)) return calm;
  const { requests } = timeline.arrivals.recent(fiveMs / 1000, nowMs);
  const remaining = numberOf(rule, 'remaining_share', 0.2);
  // Nothing at all is another alert's news.
  if (nowMs - (timeline.lastEventMs ?? 0) >= silentMs) return openSinceMs === undefined ? calm : unknown;
  if (requests >= remaining * expected) return calm;
  if (requests >= shareOfLowest * lowestFive(timeline, referenceMs, nowMs)) return calm;
  if (wentElsewhere(timeline, around.total, fromMs, nowMs, expected - requests, referenceMs)) return calm;
  return {
    judgement: 'breach',
    alertType: 'low_traffic',
    message: `Traffic of ${nameOf(labels)} fell to ${formatPercent(requests / expected)} of the usual: ${formatNumber(requests)} events in the last 5 min instead of about ${formatNumber(expected)}.`,
    figures: { requests, expected_events: Math.round(expected), window_seconds: fiveMs / 1000 },
    sinceMs: openSinceMs ?? fromMs,
    asked: {
      metric: 'traffic',
      sinceMs: fromMs,
      baselineSinceMs: referenceMs - hourMs,
      baselineUntilMs: referenceMs,
    },
  };
}

/** The lowest five minutes of the hour before and, a day ago, of the hours around this one. */
function lowestFive(timeline: Timeline, referenceMs: number, nowMs: number): number {
  const { firstMs = nowMs } = timeline;
  const lowest = (sinceMs: number, untilMs: number) =>
    timeline.lowestFive(Math.max(sinceMs, firstMs), untilMs);
  return Math.min(
    lowest(referenceMs - hourMs, referenceMs),
    firstMs < nowMs - dayMs ? lowest(nowMs - dayMs, nowMs - dayMs + hourMs) : Number.POSITIVE_INFINITY,
  );
}
