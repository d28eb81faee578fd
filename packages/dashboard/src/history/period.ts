/** Which stretch of the past is shown, and by what. Days are names: a day is held as its start in UTC. Pure. */

export type Unit = 'day' | 'week' | 'month';
export type Last = '30d' | '90d' | '1y';

export interface Stretch {
  readonly unit: Unit;
  /** Undefined where the days were chosen one by one. */
  readonly last: Last | undefined;
  readonly from: number;
  /** The day after the last one. */
  readonly until: number;
}

export const dayMs = 86_400_000;
/** What a chart can still show, and a request can still ask for. */
const maxDays = 3_660;

const lasts: Record<Last, number> = { '30d': 30, '90d': 90, '1y': 365 };

export const units: readonly { readonly value: Unit; readonly label: string }[] = [
  { value: 'day', label: 'Days' },
  { value: 'week', label: 'Weeks' },
  { value: 'month', label: 'Months' },
];

export const presets: readonly { readonly value: Last; readonly label: string; readonly name: string }[] = [
  { value: '30d', label: '30 d', name: 'last 30 days' },
  { value: '90d', label: '90 d', name: 'last 90 days' },
  { value: '1y', label: '1 y', name: 'last year' },
];

export interface StretchParams {
  readonly by: string | null;
  readonly last: string | null;
  readonly from: string | null;
  readonly to: string | null;
}

/** @param today start of the day that is under way; what a URL lacks or has wrong is made up for */
export function readStretch({ by, last, from, to }: StretchParams, today: number): Stretch {
  const unit: Unit = by === 'week' || by === 'month' ? by : 'day';
  const [first, end] = [parseDay(from), parseDay(to)];
  if (first !== undefined && end !== undefined && first <= end) {
    const until = end + dayMs;
    return { unit, last: undefined, from: Math.max(first, until - maxDays * dayMs), until };
  }
  const known: Last = last === '90d' || last === '1y' ? last : '30d';
  return { unit, last: known, from: today - lasts[known] * dayMs, until: today };
}

/** The same number of days before it or after it. */
export function moved({ from, until }: Stretch, by: -1 | 1): { readonly from: number; readonly to: number } {
  const length = until - from;
  return { from: from + by * length, to: until + by * length - dayMs };
}

/** First days of the stretch's periods, oldest first; the first one may begin before the stretch. */
export function periodStarts({ unit, from, until }: Stretch): readonly number[] {
  const starts: number[] = [];
  for (let start = startOf(unit, from); start < until; start = nextStart(unit, start)) starts.push(start);
  return starts;
}

export function startOf(unit: Unit, day: number): number {
  if (unit === 'day') return day;
  const date = new Date(day);
  if (unit === 'month') return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
  // Weeks begin on Monday, as PostgreSQL's do.
  return day - ((date.getUTCDay() + 6) % 7) * dayMs;
}

export function nextStart(unit: Unit, start: number): number {
  if (unit === 'day') return start + dayMs;
  if (unit === 'week') return start + 7 * dayMs;
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** Start of the day that a moment is in. */
export function dayOf(at: number): number {
  return Math.floor(at / dayMs) * dayMs;
}

/** "2026-11-26" */
export function isoDay(day: number): string {
  return new Date(day).toISOString().slice(0, 10);
}

export function parseDay(text: string | null): number | undefined {
  if (text === null || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const day = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(day) || isoDay(day) !== text ? undefined : day;
}

const formats = {
  day: new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' }),
  weekday: new Intl.DateTimeFormat('en-GB', {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    timeZone: 'UTC',
  }),
  month: new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric', timeZone: 'UTC' }),
  full: new Intl.DateTimeFormat('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    timeZone: 'UTC',
  }),
};

/** "26 Nov" */
export function dayName(day: number): string {
  return formats.day.format(day);
}

/** "26 Nov 2026" */
export function fullDayName(day: number): string {
  return formats.full.format(day);
}

/** "Thu, 26 Nov 2026", "week of 23 Nov 2026", "Nov 2026" */
export function periodName(unit: Unit, start: number): string {
  if (unit === 'month') return formats.month.format(start);
  return unit === 'week' ? `week of ${formats.full.format(start)}` : formats.weekday.format(start);
}
