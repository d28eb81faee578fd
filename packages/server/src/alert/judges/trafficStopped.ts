import { formatDuration, formatNumber } from '../../process/detect/words.ts';
import { numberOf } from '../condition.ts';
import { calm, type Outcome, type Rule, type Subject, unknown } from '../judge.ts';
import { hourMs } from '../timeline.ts';
import { expectedEvents, ordinaryPauseMs, wentElsewhere } from '../traffic.ts';

/** When nobody at all sends anything, one alert says so, and not one a model. */
const allSilentMs = 20_000;
/** After this the traffic before the silence is no longer known. */
const longestSilenceMs = 23 * hourMs;

/** No event where so many were to be expected: by far longer than this series ordinarily pauses. */
export function judgeTrafficStopped(
  rule: Rule,
  { labels, timeline, around }: Subject,
  nowMs: number,
): Outcome {
  const lastMs = timeline.lastEventMs;
  if (lastMs === undefined) return unknown;
  const leastMs = numberOf(rule, 'min_silence_seconds', 60) * 1000;
  if (nowMs - lastMs < leastMs) return calm;
  if (nowMs - lastMs > longestSilenceMs) return unknown;
  const isTotal = timeline === around.total;
  const everybodyMs = nowMs - (around.total.lastEventMs ?? nowMs);
  if (!isTotal && around.models > 1 && everybodyMs >= allSilentMs) return unknown;
  // With a single model its own alert says it all.
  if (isTotal && around.models < 2) return calm;
  // What nobody watched is no silence.
  const fromMs = Math.max(lastMs, around.watchedSinceMs);
  const silenceMs = nowMs - fromMs;
  if (silenceMs < leastMs || around.isBlind) return unknown;
  const referenceMs = Math.min(fromMs, lastMs + 1);
  const expected = expectedEvents(timeline, fromMs, nowMs, referenceMs);
  if (expected === undefined) return unknown;
  if (expected < numberOf(rule, 'expected_events', 30)) return calm;
  if (silenceMs < 2 * ordinaryPauseMs(timeline, lastMs)) return calm;
  if (wentElsewhere(timeline, around.total, fromMs, nowMs, expected, referenceMs)) return calm;
  const silence = formatDuration(silenceMs);
  const usual = formatNumber((expected / silenceMs) * 60_000);
  return {
    judgement: 'breach',
    alertType: 'no_data',
    message: isTotal
      ? `No events from any of ${around.models} models for ${silence}, usually ${usual} a minute; Nowcast itself works, so the senders or the way to them stand still.`
      : `No events of ${labels.model_version} for ${silence}, usually ${usual} a minute${around.models > 1 ? '; other models go on' : '; Nowcast itself works'}.`,
    figures: {
      silence_seconds: Math.round(silenceMs / 1000),
      expected_events: Math.round(expected),
      last_event_at: new Date(lastMs).toISOString(),
    },
    sinceMs: lastMs,
    asked: { metric: 'traffic', sinceMs: lastMs, baselineSinceMs: lastMs - hourMs, baselineUntilMs: lastMs },
  };
}
