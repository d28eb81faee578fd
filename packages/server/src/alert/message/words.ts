/** `1 min`, `2 h 5 min`, `3 d`: as much as a person needs. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} d`;
}

/** `2026-03-01 02:11:05 UTC`. */
export function utc(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `31.4 %`, `1,204 ms`, `0.62`. */
export function quantity(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: digits }).format(value);
  return unit === '' ? number : `${number} ${unit}`;
}

/** Cut at whole characters, with an ellipsis. */
export function clip(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  let cut = text.slice(0, maxLength - 1);
  // Half of a surrogate pair is no character.
  if (/[\ud800-\udbff]$/.test(cut)) cut = cut.slice(0, -1);
  return `${cut.trimEnd()}…`;
}

/** One line, without control characters: what comes from events must not break a layout. */
export function oneLine(text: string, maxLength: number): string {
  return clip(text.replace(/[\p{Cc}\s]+/gu, ' ').trim(), maxLength);
}
