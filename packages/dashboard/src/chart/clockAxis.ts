import { timeOfDay } from '../data/format.ts';
import type { TimeAxis } from './timeAxis.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** Spans, and how far apart their ticks are. */
const spacings: readonly (readonly [spanMs: number, spacingMs: number])[] = [
  [12 * minute, 2 * minute],
  [30 * minute, 5 * minute],
  [2 * hour, 10 * minute],
  [8 * hour, hour],
  [30 * hour, 4 * hour],
  [Number.POSITIVE_INFINITY, day],
];

const weekday = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric' });

/** An axis of local times, its last bucket under way. */
export function clockAxis(starts: readonly number[], stepMs: number): TimeAxis {
  return {
    ticks: timeTicks(starts[0] ?? 0, starts.at(-1) ?? 0),
    tick: (at) => (stepMs >= hour ? weekday.format(at) : timeOfDay(at, at)),
    short: (start) => timeOfDay(start),
    span: (start) => `${timeOfDay(start)} to ${timeOfDay(start + stepMs, start)}`,
    underWayMs: stepMs,
  };
}

/** Round local times between two times. */
function timeTicks(first: number, last: number): readonly number[] {
  const spacing = spacings.find(([span]) => last - first <= span)![1];
  const ticks: number[] = [];
  const midnight = new Date(first).setHours(0, 0, 0, 0);
  for (let step = 0; ; step++) {
    const at =
      spacing === day
        ? // A day is not always 24 hours long.
          new Date(midnight).setDate(new Date(midnight).getDate() + step)
        : midnight + step * spacing;
    if (at > last) return ticks;
    if (at >= first) ticks.push(at);
  }
}
