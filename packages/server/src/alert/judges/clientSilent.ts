import { formatDuration, formatNumber } from '../../process/detect/words.ts';
import { numberOf } from '../condition.ts';
import { calm, type Outcome, type Rule, type Subject, unknown } from '../judge.ts';
import { hourMs } from '../timeline.ts';
import { expectedEvents, ordinaryPauseMs, wentElsewhere } from '../traffic.ts';

const longestSilenceMs = 23 * hourMs;
/** Whoever came for a quarter of an hour and left was a visitor. */
const leastKnownMs = 3 * hourMs;
/** When everybody is silent it is not the client. */
const allSilentMs = 20_000;

/** One sender is silent while others go on. */
export function judgeClientSilent(rule: Rule, { labels, timeline, around }: Subject, nowMs: number): Outcome {
  const lastMs = timeline.lastEventMs;
  if (lastMs === undefined) return unknown;
  const leastMs = numberOf(rule, 'min_silence_seconds', 300) * 1000;
  if (nowMs - lastMs < leastMs) return calm;
  if (nowMs - lastMs > longestSilenceMs) return unknown;
  if (nowMs - (around.total.lastEventMs ?? 0) >= allSilentMs) return unknown;
  const fromMs = Math.max(lastMs, around.watchedSinceMs);
  const silenceMs = nowMs - fromMs;
  if (silenceMs < leastMs || around.isBlind) return unknown;
  if ((timeline.firstMs ?? nowMs) > lastMs - leastKnownMs) return unknown;
  const referenceMs = Math.min(fromMs, lastMs + 1);
  const expected = expectedEvents(timeline, fromMs, nowMs, referenceMs);
  if (expected === undefined) return unknown;
  if (expected < numberOf(rule, 'expected_events', 50)) return calm;
  if (silenceMs < 2 * ordinaryPauseMs(timeline, lastMs)) return calm;
  if (wentElsewhere(timeline, around.total, fromMs, nowMs, expected, referenceMs)) return calm;
  return {
    judgement: 'breach',
    alertType: 'client_silent',
    message: `The sender ${labels.client} is silent for ${formatDuration(silenceMs)}, usually ${formatNumber((expected / silenceMs) * 60_000)} events a minute; other senders go on.`,
    figures: {
      silence_seconds: Math.round(silenceMs / 1000),
      expected_events: Math.round(expected),
      last_event_at: new Date(lastMs).toISOString(),
    },
    sinceMs: lastMs,
    asked: { metric: 'traffic', sinceMs: lastMs, baselineSinceMs: lastMs - hourMs, baselineUntilMs: lastMs },
  };
}
