import type { Question } from '../explanation.ts';
import type { Query } from './bounded.ts';

const minuteMs = 60_000;
/** Summaries begin at full minutes: a window as short as this is counted from its rows, to the millisecond. */
const maxExactMs = 3 * minuteMs;
/** Of a longer window so many minutes are read, spread evenly. */
const maxMinutes = 400;

export interface Window {
  readonly since: Date;
  readonly until: Date;
  /** Beginnings of the minutes whose summaries stand for the window. */
  readonly minutes: readonly Date[];
  /** How long the minutes cover together. */
  readonly seconds: number;
}

export interface Windows {
  readonly before: Window;
  readonly after: Window;
  /** Whether the incident is too short for summaries. */
  readonly exact: boolean;
}

/** @throws RangeError */
export function windowsOf({ metric, since, until, baselineSince, baselineUntil }: Question): Windows {
  if (!(since < until)) throw new RangeError('until must be later than since');
  if (!(baselineSince < baselineUntil))
    throw new RangeError('baselineUntil must be later than baselineSince');
  const exact = until.getTime() - since.getTime() < maxExactMs;
  const isVolume = metric === 'traffic' || metric === 'cost';
  // What is compared by its amount needs whole minutes.
  const first = isVolume && !exact ? ceiling(since) : floor(since);
  const past = isVolume && !exact ? floor(until) : until.getTime();
  const beforeUntil = Math.min(baselineUntil.getTime(), floor(since));
  return {
    before: windowOf(baselineSince, new Date(Math.min(baselineUntil.getTime(), since.getTime())), {
      first: floor(baselineSince),
      past: floor(new Date(beforeUntil)),
    }),
    after: windowOf(since, until, { first, past }),
    exact,
  };
}

function windowOf(since: Date, until: Date, { first, past }: { first: number; past: number }): Window {
  const count = Math.max(0, Math.ceil((past - first) / minuteMs));
  const step = Math.max(1, count / maxMinutes);
  const minutes = Array.from(
    { length: Math.min(count, maxMinutes) },
    (_, index) => new Date(first + Math.floor(index * step) * minuteMs),
  );
  const covered = minutes.map((minute) => Math.min(minuteMs, past - minute.getTime()) / 1000);
  return { since, until, minutes, seconds: covered.reduce((sum, seconds) => sum + seconds, 0) };
}

const floor = (time: Date) => Math.floor(time.getTime() / minuteMs) * minuteMs;
const ceiling = (time: Date) => Math.ceil(time.getTime() / minuteMs) * minuteMs;

/** Seconds since something was received; null before the first event. */
export async function readDataAge(query: Query): Promise<number | null> {
  const [row] = await query<{ age: number | null }>(`
    select extract(epoch from clock_timestamp() - coalesce(
      (select created_at from nowcast.feed
       where relation = 'inference_logs' and min_timestamp is not null order by position desc limit 1),
      (select max(timestamp) from public.inference_logs where timestamp <= now())
    ))::double precision as age`);
  return row!.age === null ? null : Math.max(0, Math.round(row!.age * 1000) / 1000);
}
