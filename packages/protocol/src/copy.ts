import type { ValidEvent } from './fields.ts';
import { dateTimePrefix, minuteOf } from './timestamp.ts';

/** Columns of a COPY line, in the order in which {@link CopyEncoder} writes them. */
export const copyColumns = [
  'id',
  'timestamp',
  'model_version',
  'inference_time_ms',
  'confidence_score',
  'input_size_bytes',
  'prediction_class',
  'is_error',
  'error_message',
  'metadata',
  'user_id',
  'feature',
  'variant',
  'session_id',
  'trace_id',
  'provider',
  'input_tokens',
  'output_tokens',
  'cached_input_tokens',
  'cost_usd',
  'value_usd',
  'compute_ms',
  'ttft_ms',
  'quality_score',
  'feedback',
] as const;

/** The column that lines of weighed events have beside these, last. */
export const weightColumn = 'sample_weight';

const tab = 0x09;
const newline = 0x0a;
const carriageReturn = 0x0d;
const dot = 0x2e;
const zero = 0x30;
const backslash = 0x5c;

const firstCapacity = 64 * 1024;
/** A UTF-16 code unit takes three bytes at most, and an escaped character two. */
const maxBytesPerCharacter = 3;
/** Every number, separator and the timestamp of a line, texts apart. */
const maxFixedBytesPerLine = 1024;

/**
 * Writes rows in COPY's text format (PostgreSQL manual, COPY, "Text Format") straight into bytes. Joining strings
 * instead made a third of the server's time garbage collection: a line has fifty parts.
 */
export class CopyEncoder {
  #bytes = new Uint8Array(firstCapacity);
  #length = 0;

  /** @param weight how many events the row stands for, null for itself alone; left out, the line lacks the column */
  add(id: number, event: ValidEvent, weight?: number | null): void {
    this.#reserve(maxFixedBytesPerLine);
    this.#integer(id);
    this.#bytes[this.#length++] = tab;
    this.#timestamp(event.timestampMicros);
    this.#text(event.model_version);
    this.#number(event.inference_time_ms);
    this.#number(event.confidence_score);
    this.#number(event.input_size_bytes);
    this.#text(event.prediction_class);
    this.#bytes[this.#length++] = tab;
    this.#bytes[this.#length++] = event.is_error ? 0x74 /* t */ : 0x66 /* f */;
    this.#text(event.error_message);
    this.#text(event.metadata);
    this.#text(event.user_id);
    this.#text(event.feature);
    this.#text(event.variant);
    this.#text(event.session_id);
    this.#text(event.trace_id);
    this.#text(event.provider);
    this.#number(event.input_tokens);
    this.#number(event.output_tokens);
    this.#number(event.cached_input_tokens);
    this.#number(event.cost_usd);
    this.#number(event.value_usd);
    this.#number(event.compute_ms);
    this.#number(event.ttft_ms);
    this.#number(event.quality_score);
    this.#number(event.feedback);
    if (weight !== undefined) this.#number(weight);
    this.#bytes[this.#length++] = newline;
  }

  /** Forgets what was not taken. */
  clear(): void {
    this.#length = 0;
  }

  /** The lines so far, as a copy; the encoder begins anew. */
  take(): Uint8Array {
    const lines = this.#bytes.slice(0, this.#length);
    this.clear();
    return lines;
  }

  #null(): void {
    this.#bytes[this.#length++] = backslash;
    this.#bytes[this.#length++] = 0x4e; // N
  }

  #number(value: number | null): void {
    this.#bytes[this.#length++] = tab;
    if (value === null) this.#null();
    else if (Number.isInteger(value) && value >= 0 && value < maxFastInteger) this.#integer(value);
    else this.#ascii(String(value));
  }

  #integer(value: number): void {
    if (value >= maxFastInteger) {
      this.#ascii(String(value));
      return;
    }
    let digits = 1;
    for (let bound = 10; bound <= value; bound *= 10) digits += 1;
    let rest = value;
    for (let at = this.#length + digits - 1; at >= this.#length; at -= 1) {
      const quotient = Math.floor(rest / 10);
      this.#bytes[at] = zero + (rest - quotient * 10);
      rest = quotient;
    }
    this.#length += digits;
  }

  #timestamp(timestampMicros: number): void {
    this.#ascii(dateTimePrefix(timestampMicros));
    const rest = timestampMicros - minuteOf(timestampMicros);
    const seconds = Math.floor(rest / 1_000_000);
    this.#digits(seconds, 2);
    this.#bytes[this.#length++] = dot;
    this.#digits(rest - seconds * 1_000_000, 6);
    this.#ascii('+00');
  }

  #digits(value: number, count: number): void {
    let rest = value;
    for (let at = this.#length + count - 1; at >= this.#length; at -= 1) {
      const quotient = Math.floor(rest / 10);
      this.#bytes[at] = zero + (rest - quotient * 10);
      rest = quotient;
    }
    this.#length += count;
  }

  #ascii(text: string): void {
    for (let index = 0; index < text.length; index += 1) this.#bytes[this.#length++] = text.charCodeAt(index);
  }

  #text(value: string | null): void {
    this.#bytes[this.#length++] = tab;
    if (value === null) {
      this.#null();
      return;
    }
    this.#reserve(value.length * maxBytesPerCharacter + maxFixedBytesPerLine);
    const start = this.#length;
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) {
        // Not plain ASCII: the platform's encoder takes the whole text.
        this.#length = start;
        this.#unicode(value);
        return;
      }
      if (code === backslash || code === tab || code === newline || code === carriageReturn) {
        this.#bytes[this.#length++] = backslash;
        this.#bytes[this.#length++] = escapeOf(code);
      } else {
        this.#bytes[this.#length++] = code;
      }
    }
  }

  #unicode(value: string): void {
    const escaped = escapeCopyText(value);
    this.#reserve(escaped.length * maxBytesPerCharacter + maxFixedBytesPerLine);
    this.#length += utf8.encodeInto(escaped, this.#bytes.subarray(this.#length)).written;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

const utf8 = new TextEncoder();
/** Beyond, dividing by ten is not exact in doubles. */
const maxFastInteger = 2 ** 52;

function escapeOf(code: number): number {
  if (code === tab) return 0x74; // t
  if (code === newline) return 0x6e; // n
  if (code === carriageReturn) return 0x72; // r
  return backslash;
}

/** Escapes what COPY's text format gives a meaning: the escape character itself, the delimiter and line ends. */
export function escapeCopyText(value: string): string {
  return value.replace(
    /[\\\t\n\r]/g,
    (character) => `\\${String.fromCharCode(escapeOf(character.charCodeAt(0)))}`,
  );
}
