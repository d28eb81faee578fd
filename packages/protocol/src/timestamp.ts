/**
 * RFC 3339 to integer microseconds since 1970 UTC, truncating finer digits: the minute, the day and the stored
 * value all come from this one integer, so that `23:59:59.9999999` cannot be rounded into the next day by
 * somebody else. A blank may stand for `T`; without a zone the time is UTC.
 *
 * @returns undefined when the text is no such timestamp or names a date that does not exist.
 */
export function parseTimestampMicros(text: string): number | undefined {
  // By hand: a regular expression with eleven groups made every tenth byte of garbage in a batch.
  const length = text.length;
  if (length < 19 || length > 40) return undefined;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  const separator = text[10];
  if (text[4] !== '-' || text[7] !== '-' || text[13] !== ':' || text[16] !== ':') return undefined;
  if (separator !== 'T' && separator !== ' ' && separator !== 't') return undefined;
  // 60 is a leap second, which PostgreSQL and Date both carry into the next minute: refused as ambiguous.
  if (Number.isNaN(year) || !(hour <= 23 && minute <= 59 && second <= 59)) return undefined;
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysOf(month, year))) return undefined;

  let at = 19;
  let micros = 0;
  if (text[at] === '.' || text[at] === ',') {
    const start = at + 1;
    at = start;
    while (at < length && isDigit(text.charCodeAt(at))) {
      if (at - start < 6) micros = micros * 10 + (text.charCodeAt(at) - 48);
      at += 1;
    }
    if (at === start) return undefined;
    for (let count = at - start; count < 6; count += 1) micros *= 10;
  }
  const zoneMinutes = at === length ? 0 : parseZoneMinutes(text, at);
  if (zoneMinutes === undefined) return undefined;
  const wholeSeconds = Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - zoneMinutes * 60;
  return wholeSeconds * 1_000_000 + micros;
}

/** `Z`, `+02`, `+0200` or `+02:00` to its end. */
function parseZoneMinutes(text: string, at: number): number | undefined {
  const first = text[at];
  if (first === 'Z' || first === 'z') return at + 1 === text.length ? 0 : undefined;
  if (first !== '+' && first !== '-') return undefined;
  const hours = digits(text, at + 1, 2);
  const rest = at + 3;
  const minutesAt = text[rest] === ':' ? rest + 1 : rest;
  const minutes = rest === text.length ? 0 : digits(text, minutesAt, 2);
  if (!(hours <= 15 && minutes <= 59) || (rest !== text.length && minutesAt + 2 !== text.length))
    return undefined;
  return (hours * 60 + minutes) * (first === '-' ? -1 : 1);
}

/** NaN where a character is no digit or missing. */
function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index += 1) {
    const code = text.charCodeAt(index);
    if (!isDigit(code)) return Number.NaN;
    value = value * 10 + (code - 48);
  }
  return value;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function daysOf(month: number, year: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

const microsPerMinute = 60_000_000;
const microsPerDay = 86_400_000_000;

/** Start of the minute that holds the time, in microseconds. */
export function minuteOf(timestampMicros: number): number {
  return Math.floor(timestampMicros / microsPerMinute) * microsPerMinute;
}

/** UTC day as `YYYYMMDD`, the suffix of the partition that holds it. */
export function dayOf(timestampMicros: number): string {
  const day = Math.floor(timestampMicros / microsPerDay);
  if (day !== cachedDay) {
    cachedDay = day;
    cachedDayText = new Date(day * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
  }
  return cachedDayText;
}
let cachedDay = Number.NaN;
let cachedDayText = '';

/** `2026-11-23 14:02:`. The text of the last minute is kept: events come in order, and `Date.toISOString` is dear. */
export function dateTimePrefix(timestampMicros: number): string {
  const minute = minuteOf(timestampMicros);
  if (minute !== cachedMinute) {
    cachedMinute = minute;
    const iso = new Date(minute / 1000).toISOString();
    cachedMinuteText = `${iso.slice(0, 10)} ${iso.slice(11, 17)}`;
  }
  return cachedMinuteText;
}
let cachedMinute = Number.NaN;
let cachedMinuteText = '';

/** `2026-11-23 14:02:27.123456+00`, as PostgreSQL reads it. */
export function sqlTimestamp(timestampMicros: number): string {
  const rest = timestampMicros - minuteOf(timestampMicros);
  const seconds = Math.floor(rest / 1_000_000);
  const micros = String(rest - seconds * 1_000_000).padStart(6, '0');
  return `${dateTimePrefix(timestampMicros)}${String(seconds).padStart(2, '0')}.${micros}+00`;
}

/** `2026-11-23T14:02:27.123456+00:00`, as PostgreSQL's to_jsonb writes it: trailing zeros cut, no `Z`. */
export function jsonTimestamp(timestampMicros: number): string {
  return `${sqlTimestamp(timestampMicros)
    .slice(0, -3)
    .replace(' ', 'T')
    .replace(/\.?0+$/, '')}+00:00`;
}
