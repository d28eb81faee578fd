import type { ValidEvent } from './fields.ts';
import { copyTimestamp } from './timestamp.ts';

/** Columns of a COPY line, in the order in which {@link copyLine} writes them. */
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

/** One line of COPY's text format (PostgreSQL manual, COPY, "Text Format"), newline included. */
export function copyLine(id: number, event: ValidEvent): string {
  return `${id}\t${copyTimestamp(event.timestampMicros)}\t${text(event.model_version)}\t${event.inference_time_ms}\t${number(
    event.confidence_score,
  )}\t${number(event.input_size_bytes)}\t${text(event.prediction_class)}\t${event.is_error ? 't' : 'f'}\t${text(
    event.error_message,
  )}\t${text(event.metadata)}\t${text(event.user_id)}\t${text(event.feature)}\t${text(event.variant)}\t${text(
    event.session_id,
  )}\t${text(event.trace_id)}\t${text(event.provider)}\t${number(event.input_tokens)}\t${number(
    event.output_tokens,
  )}\t${number(event.cached_input_tokens)}\t${number(event.cost_usd)}\t${number(event.value_usd)}\t${number(
    event.compute_ms,
  )}\t${number(event.ttft_ms)}\t${number(event.quality_score)}\t${number(event.feedback)}\n`;
}

function number(value: number | null): string | number {
  return value === null ? '\\N' : value;
}

function text(value: string | null): string {
  if (value === null) return '\\N';
  return special.test(value) ? escapeCopyText(value) : value;
}

// What COPY's text format gives a meaning: the escape character itself, the delimiter and line ends.
const special = /[\\\t\n\r]/;

/** Escapes a text for COPY; it comes back byte for byte. */
export function escapeCopyText(value: string): string {
  return value.replace(/[\\\t\n\r]/g, (character) => escapes[character]!);
}
const escapes: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
