import type { TimeAxis } from '../chart/timeAxis.ts';
import { dayName, nextStart, periodName, type Unit } from './period.ts';

const maxTicks = 12;
const month = new Intl.DateTimeFormat('en-GB', { month: 'short', year: '2-digit', timeZone: 'UTC' });

/** An axis of days, weeks or months. */
export function dayAxis(unit: Unit, starts: readonly number[], today: number): TimeAxis {
  const last = starts.at(-1);
  const isUnderWay = last !== undefined && nextStart(unit, last) > today;
  const every = Math.ceil(starts.length / maxTicks);
  return {
    // Counted from the newest, which people look at.
    ticks: starts.filter((_, index) => (starts.length - 1 - index) % every === 0),
    tick: (start) => (unit === 'month' ? month.format(start) : dayName(start)),
    short: (start) => periodName(unit, start),
    span: (start) => periodName(unit, start),
    underWayMs: isUnderWay && starts.length > 1 ? last - starts.at(-2)! : undefined,
  };
}
