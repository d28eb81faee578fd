import { dayMs, fiveMs, hourMs, minuteMs, type Timeline } from './timeline.ts';

/** A series younger than this has no usual traffic yet. */
const leastHistoryMs = 15 * minuteMs;
/** Around the same time of another day: traffic does not keep to the minute. */
const aroundMs = 30 * minuteMs;
const stretchMs = 15 * minuteMs;

/**
 * Events to be expected in a stretch of time: by the hour before and, if that is less, by the same time of yesterday or a
 * week ago, whichever is more, so that an evening or a weekend is no silence, and a Monday no Sunday. Undefined for a
 * young series.
 *
 * @param referenceMs what came until then is ordinary
 */
export function expectedEvents(
  timeline: Timeline,
  fromMs: number,
  untilMs: number,
  referenceMs = fromMs,
): number | undefined {
  const { firstMs } = timeline;
  if (firstMs === undefined || firstMs > referenceMs - leastHistoryMs) return undefined;
  // Whole minutes: the one that holds the reference would be counted in full.
  const lastMs = Math.floor(referenceMs / minuteMs) * minuteMs;
  const sinceMs = Math.max(Math.floor(firstMs / minuteMs) * minuteMs, lastMs - hourMs);
  const recent = timeline.requestsBetween(sinceMs, lastMs) / Math.max(minuteMs, lastMs - sinceMs);
  const otherDays = [dayMs, 7 * dayMs].flatMap((agoMs) => {
    const [since, until] = [fromMs - agoMs - aroundMs, untilMs - agoMs + aroundMs];
    return firstMs <= since ? [lowestRate(timeline, since, until)] : [];
  });
  const rate = otherDays.length === 0 ? recent : Math.min(recent, Math.max(...otherDays));
  return rate * (untilMs - fromMs);
}

/** Of the quarters of an hour in a stretch of time, the rate of the emptiest. */
function lowestRate(timeline: Timeline, sinceMs: number, untilMs: number): number {
  let lowest = Number.POSITIVE_INFINITY;
  // Beyond three hours the emptiest quarter was found or there is none.
  for (let atMs = sinceMs; atMs + stretchMs <= Math.min(untilMs, sinceMs + 3 * hourMs); atMs += stretchMs) {
    lowest = Math.min(lowest, timeline.requestsBetween(atMs, atMs + stretchMs) / stretchMs);
  }
  return lowest;
}

/**
 * How long the series ordinarily pauses: the third longest run without an event among minutes of the last hour, five
 * minutes of the last day and hours of two weeks. The third, so that two outages do not count as its habit; of a younger
 * series the second or the first.
 */
export function ordinaryPauseMs(timeline: Timeline, untilMs: number): number {
  const ageMs = untilMs - (timeline.firstMs ?? untilMs);
  const rank = ageMs < 3 * hourMs ? 0 : ageMs < 12 * hourMs ? 1 : 2;
  const ordinary = (busy: readonly number[], unitMs: number) => pausesOf(busy, unitMs)[rank] ?? 0;
  return Math.max(
    ordinary(timeline.busyMinutes(untilMs - hourMs, untilMs), minuteMs),
    ordinary(timeline.busyFives(untilMs - dayMs, untilMs), fiveMs),
    ordinary(timeline.busyHours(untilMs - 14 * dayMs, untilMs), hourMs),
  );
}

/** The longest first. */
function pausesOf(busy: readonly number[], unitMs: number): number[] {
  const pauses: number[] = [];
  for (let index = 1; index < busy.length; index++) {
    const pause = busy[index]! - busy[index - 1]! - unitMs;
    if (pause > 0) pauses.push(pause);
  }
  return pauses.sort((a, b) => b - a);
}

/** Whether the events that are missing here came elsewhere instead: a rollout, another replica. */
export function wentElsewhere(
  timeline: Timeline,
  total: Timeline,
  fromMs: number,
  nowMs: number,
  missing: number,
  referenceMs: number,
): boolean {
  if (timeline === total) return false;
  const expected = expectedEvents(total, fromMs, nowMs, referenceMs);
  if (expected === undefined) return false;
  return total.requestsBetween(fromMs, nowMs) > expected - missing / 2;
}
