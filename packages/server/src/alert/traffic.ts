import { dayMs, fiveMs, hourMs, minuteMs, type Timeline } from './timeline.ts';

/** A series younger than this has no usual traffic yet. */
const leastHistoryMs = 15 * minuteMs;
/** Around the same time of another day: traffic does not keep to the minute. */
const aroundMs = 30 * minuteMs;

/**
 * Events to be expected in a stretch of time: the least of what the hour before, the same time yesterday and the same
 * time a week ago make likely, so that what ebbs away in the evening is not missed. Undefined for a young series.
 */
export function expectedEvents(
  timeline: Timeline,
  fromMs: number,
  untilMs: number,
  referenceMs = fromMs,
): number | undefined {
  const { firstMs } = timeline;
  if (firstMs === undefined || firstMs > referenceMs - leastHistoryMs) return undefined;
  const lengthMs = untilMs - fromMs;
  const hourBefore = Math.max(firstMs, referenceMs - hourMs);
  // Whole minutes: the one that holds the reference would be counted in full.
  const lastMinute = Math.floor(referenceMs / minuteMs) * minuteMs;
  const recent =
    timeline.requestsBetween(hourBefore, lastMinute) /
    Math.max(minuteMs, lastMinute - Math.floor(hourBefore / minuteMs) * minuteMs);
  const rates = [recent];
  for (const agoMs of [dayMs, 7 * dayMs]) {
    const [since, until] = [fromMs - agoMs - aroundMs, untilMs - agoMs + aroundMs];
    if (firstMs <= since) rates.push(timeline.requestsBetween(since, until) / (until - since));
  }
  return Math.min(...rates) * lengthMs;
}

/**
 * How long the series ordinarily pauses: the third longest run without an event among minutes of the last hour, five
 * minutes of the last day and hours of two weeks. The third, so that two outages do not count as its habit.
 */
export function ordinaryPauseMs(timeline: Timeline, untilMs: number): number {
  return Math.max(
    thirdLongest(timeline.busyMinutes(untilMs - hourMs, untilMs), minuteMs),
    thirdLongest(timeline.busyFives(untilMs - dayMs, untilMs), fiveMs),
    thirdLongest(timeline.busyHours(untilMs - 14 * dayMs, untilMs), hourMs),
  );
}

function thirdLongest(busy: readonly number[], unitMs: number): number {
  const pauses: number[] = [];
  for (let index = 1; index < busy.length; index++) {
    const pause = busy[index]! - busy[index - 1]! - unitMs;
    if (pause > 0) pauses.push(pause);
  }
  return pauses.sort((a, b) => b - a)[2] ?? 0;
}

/** Whether the events that are missing here came elsewhere instead: a rollout, another replica. */
export function wentElsewhere(
  timeline: Timeline,
  total: Timeline,
  fromMs: number,
  nowMs: number,
  missing: number,
): boolean {
  if (timeline === total) return false;
  const expected = expectedEvents(total, fromMs, nowMs);
  if (expected === undefined) return false;
  return total.requestsBetween(fromMs, nowMs) > expected - missing / 2;
}
