/** Figures as people read them. Every one is written with its unit; the window stands beside it. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compactFormat = new Intl.NumberFormat('en', {
  notation: 'compact',
  minimumSignificantDigits: 2,
  maximumSignificantDigits: 3,
});

export function count(value: number): string {
  return whole.format(value);
}

/** For tight places: 12.3K. */
export function compact(value: number): string {
  return value < 10_000 ? whole.format(value) : compactFormat.format(value);
}

/** "1 request", "1,234 requests". */
export function quantity(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** An outage of everything has dozens of names. */
const mostNames = 4;

/** "a, b, c, d and 11 more" */
export function inFew(names: readonly string[]): string {
  const more = names.length - mostNames;
  return more > 1 ? `${names.slice(0, mostNames).join(', ')} and ${more} more` : names.join(', ');
}

/** Two significant digits below ten, so that 0.04 % is not 0. */
export function percent(value: number): string {
  return `${significant(value)} %`;
}

/** Milliseconds up to a second, seconds beyond. */
export function latency(ms: number): string {
  // Below each other: 1.3 s and 1.0 s.
  if (ms >= 1_000) return ms < 100_000 ? `${(ms / 1_000).toFixed(1)} s` : `${whole.format(ms / 1_000)} s`;
  return `${significant(ms)} ms`;
}

export function score(value: number): string {
  return value.toFixed(3);
}

export function dollars(value: number): string {
  if (value === 0) return '$0';
  if (value < 0.01) return `$${Number(value.toPrecision(2))}`;
  if (value < 1_000) return `$${value.toFixed(2)}`;
  return `$${value < 1e6 ? whole.format(value) : compactFormat.format(value)}`;
}

/** "–" where nothing is known. */
export function orDash(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value);
}

/** "under 1 s", "12 s", "4 min", "3 h", "2 days". */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 1) return 'under 1 s';
  if (seconds < 90) return `${Math.floor(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 90) return `${Math.floor(minutes)} min`;
  const hours = minutes / 60;
  if (hours < 36) return `${Math.floor(hours)} h`;
  return quantity(Math.floor(hours / 24), 'day');
}

/** "0 B", "1.5 KiB", "38 GiB". */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${significant(value / 1024 ** power)} ${units[power]}`;
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const clockSeconds = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const day = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' });

/** Local time of day, with the day where it is not today's. */
export function timeOfDay(at: number, now: number = Date.now()): string {
  return withDay(clock.format(at), at, now);
}

/** The same to the second. */
export function momentOfDay(at: number, now: number): string {
  return withDay(clockSeconds.format(at), at, now);
}

function withDay(time: string, at: number, now: number): string {
  const sameDay = new Date(at).toDateString() === new Date(now).toDateString();
  return sameDay ? time : `${day.format(at)}, ${time}`;
}

export function timeWithSeconds(at: number): string {
  return clockSeconds.format(at);
}

function significant(value: number): string {
  if (value === 0) return '0';
  if (Math.abs(value) < 10) return String(Number(value.toPrecision(2)));
  if (Math.abs(value) < 100) return String(Number(value.toPrecision(3)));
  return whole.format(value);
}
