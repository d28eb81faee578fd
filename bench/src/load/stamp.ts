/**
 * The time of sending, carried inside the event to whoever receives it: 15 digits of monotonic microseconds
 * in `session_id`, written over a placeholder in the prepared request.
 */
const MARK = Buffer.from('"session_id":"t');
const DIGITS = 15;

export const STAMP_PLACEHOLDER = `t${'0'.repeat(DIGITS)}`;

/** Where the digits of each stamped event begin. */
export function stampOffsets(request: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = request.indexOf(MARK); at >= 0; at = request.indexOf(MARK, at + 1))
    offsets.push(at + MARK.length);
  return offsets;
}

export function writeStamp(request: Buffer, offsets: number[], ms: number): void {
  const digits = String(Math.round(ms * 1_000)).padStart(DIGITS, '0');
  for (const offset of offsets) request.write(digits, offset, DIGITS, 'latin1');
}

/** Milliseconds of the first stamp between `from` and `to`, or NaN where there is none. */
export function readStamp(bytes: Buffer, from: number, to: number): number {
  const at = bytes.indexOf(MARK, from);
  if (at < 0 || at + MARK.length + DIGITS > to) return Number.NaN;
  let value = 0;
  for (let index = at + MARK.length; index < at + MARK.length + DIGITS; index++) {
    value = value * 10 + bytes[index]! - 48;
  }
  return value / 1_000;
}
