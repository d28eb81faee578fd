/**
 * RFC 3339 to integer microseconds since 1970 UTC, truncating finer digits: the minute, the day and the stored
 * value all come from this one integer, so that `23:59:59.9999999` cannot be rounded into the next day by
 * somebody else. A blank may stand for `T`; without a zone the time is UTC.
 *
 * @returns undefined when the text is no such timestamp or names a date that does not exist.
 */
export function parseTimestampMicros(text: string): number | undefined {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, zoneHour, zoneMinute] = match;
  const hours = Number(hour);
  const seconds = Number(second);
  // 60 is a leap second, which PostgreSQL and Date both carry into the next minute: refused as ambiguous.
  if (hours > 23 || Number(minute) > 59 || seconds > 59) return undefined;
  const midnight = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const date = new Date(midnight);
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  if (Number(zoneHour ?? 0) > 15 || Number(zoneMinute ?? 0) > 59) return undefined;
  const zoneMinutes =
    sign === undefined ? 0 : (Number(zoneHour) * 60 + Number(zoneMinute ?? 0)) * (sign === '-' ? -1 : 1);
  const wholeSeconds = midnight / 1000 + hours * 3600 + (Number(minute) - zoneMinutes) * 60 + seconds;
  const micros = fraction === undefined ? 0 : Number(fraction.slice(0, 6).padEnd(6, '0'));
  return wholeSeconds * 1_000_000 + micros;
}

const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?(?:[Zz]|([+-])(\d\d):?(\d\d)?)?$/;

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

/**
 * `2026-11-23 14:02:27.123456+00`, as COPY reads it. The text of the last minute is kept: events come in order,
 * and `Date.toISOString` is the dearest part otherwise.
 */
export function copyTimestamp(timestampMicros: number): string {
  const minute = minuteOf(timestampMicros);
  if (minute !== cachedMinute) {
    cachedMinute = minute;
    const iso = new Date(minute / 1000).toISOString();
    cachedMinuteText = `${iso.slice(0, 10)} ${iso.slice(11, 17)}`;
  }
  const rest = timestampMicros - minute;
  const seconds = Math.floor(rest / 1_000_000);
  const micros = rest - seconds * 1_000_000;
  const text = `${cachedMinuteText}${seconds < 10 ? '0' : ''}${seconds}`;
  return micros === 0 ? `${text}+00` : `${text}.${String(micros).padStart(6, '0')}+00`;
}
let cachedMinute = Number.NaN;
let cachedMinuteText = '';

/** `2026-11-23T14:02:27.123456+00:00`, as PostgreSQL's to_jsonb writes it: trailing zeros cut, no `Z`. */
export function jsonTimestamp(timestampMicros: number): string {
  const text = copyTimestamp(timestampMicros).replace(' ', 'T').slice(0, -3);
  return `${text.includes('.') ? text.replace(/0+$/, '') : text}+00:00`;
}
