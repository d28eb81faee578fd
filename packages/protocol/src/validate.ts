import { eventFields, type FieldName, fieldNames, type ValidEvent } from './fields.ts';
import { parseTimestampMicros } from './timestamp.ts';

/** Why an event is refused: the field, what was given and the rule, in one sentence. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

export interface ValidationLimits {
  /** Time of arrival, microseconds since 1970 UTC: the default of `timestamp`. */
  readonly nowMicros: number;
  /** Older events are refused: their partition is gone or about to go. */
  readonly oldestMicros: number;
  /** Events further ahead are refused: a wrong clock must not write into partitions of the future. */
  readonly newestMicros: number;
  /** Bytes of the JSON text of `metadata`. */
  readonly maxMetadataBytes: number;
  readonly maxMetadataDepth: number;
  /** Keys of all its objects together. */
  readonly maxMetadataKeys: number;
}

export type Validation =
  | {
      readonly event: ValidEvent;
      readonly warnings: readonly string[] | undefined;
      readonly error?: undefined;
    }
  | { readonly error: FieldError };

/**
 * Checks one event. Unknown fields lose nothing: they move into `metadata` and are named in the warnings, so
 * that a typo is seen.
 */
export function validateEvent(input: unknown, limits: ValidationLimits): Validation {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return { error: { field: '', message: `an event must be a JSON object, got ${describe(input)}` } };
  }
  const raw = input as Record<string, unknown>;
  const event = emptyEvent(limits.nowMicros);
  let unknown: string[] | undefined;
  for (const name in raw) {
    if (!Object.hasOwn(eventFields, name)) {
      unknown ??= [];
      unknown.push(name);
      continue;
    }
    const value = raw[name];
    if (value === null || value === undefined) continue;
    const message = assign(event, name as FieldName, value, limits);
    if (message !== undefined) return { error: { field: name, message } };
  }
  if (event.model_version === '') return { error: missing('model_version', raw) };
  if (Number.isNaN(event.inference_time_ms)) return { error: missing('inference_time_ms', raw) };

  const metadata = raw.metadata;
  if (unknown !== undefined || (metadata !== null && metadata !== undefined)) {
    const kept: Record<string, unknown> = { ...(metadata as Record<string, unknown> | null | undefined) };
    // A field that the caller set in metadata itself wins: nothing given is overwritten.
    for (const name of unknown ?? []) {
      if (!Object.hasOwn(kept, name)) {
        Object.defineProperty(kept, name, { value: raw[name], enumerable: true });
      }
    }
    const message = assignMetadata(event, kept, limits);
    if (message !== undefined) {
      const field = unknown !== undefined && metadata === undefined ? unknown[0]! : 'metadata';
      return { error: { field, message } };
    }
  }
  return { event, warnings: unknown?.map((name) => `unknown field '${clip(name)}' was kept in metadata`) };
}

/** One shape for every event keeps the writer's loops monomorphic. */
function emptyEvent(nowMicros: number): ValidEvent {
  return {
    timestampMicros: nowMicros,
    model_version: '',
    inference_time_ms: Number.NaN,
    confidence_score: null,
    input_size_bytes: null,
    prediction_class: null,
    is_error: false,
    error_message: null,
    metadata: null,
    user_id: null,
    feature: null,
    variant: null,
    session_id: null,
    trace_id: null,
    provider: null,
    input_tokens: null,
    output_tokens: null,
    cached_input_tokens: null,
    cost_usd: null,
    value_usd: null,
    compute_ms: null,
    ttft_ms: null,
    quality_score: null,
    feedback: null,
  };
}

/** Writes a checked value into the event; returns the sentence that says what is wrong with it, if anything. */
function assign(
  event: ValidEvent,
  name: FieldName,
  value: unknown,
  limits: ValidationLimits,
): string | undefined {
  const rule = rules[name];
  switch (rule.kind) {
    case 'text':
      if (typeof value !== 'string') return `${name} must be a string, got ${describe(value)}`;
      if (value.length > rule.maxLength || value.length < rule.minLength) {
        return `${name} must have ${rule.minLength} to ${rule.maxLength} characters, got ${value.length}`;
      }
      if (unfitText.test(value) && !isStorableText(value)) return `${name} ${textRule}`;
      break;
    case 'number':
      if (typeof value !== 'number' || !(value >= rule.minimum && value <= rule.maximum)) {
        return `${name} must be a number from ${rule.minimum} to ${rule.maximum}, got ${describe(value)}`;
      }
      break;
    case 'integer':
      if (
        typeof value !== 'number' ||
        !Number.isInteger(value) ||
        value < rule.minimum ||
        value > rule.maximum
      ) {
        return `${name} must be an integer from ${rule.minimum} to ${rule.maximum}, got ${describe(value)}`;
      }
      break;
    case 'boolean':
      if (typeof value !== 'boolean') return `${name} must be true or false, got ${describe(value)}`;
      break;
    case 'timestamp':
      return assignTimestamp(event, value, limits);
    case 'object':
      // Stored after all fields are seen, together with the unknown ones.
      if (typeof value !== 'object' || Array.isArray(value)) {
        return `${name} must be a JSON object, got ${describe(value)}`;
      }
      return undefined;
  }
  (event as unknown as Record<string, unknown>)[name] = value;
  return undefined;
}

function assignTimestamp(event: ValidEvent, value: unknown, limits: ValidationLimits): string | undefined {
  const micros = typeof value === 'string' ? parseTimestampMicros(value) : undefined;
  if (micros === undefined) {
    return `timestamp must be an RFC 3339 string such as 2026-01-31T12:00:00.000Z, got ${describe(value)}`;
  }
  if (micros < limits.oldestMicros) {
    const days = Math.round((limits.nowMicros - limits.oldestMicros) / 86_400_000_000);
    return `timestamp must lie within the last ${days} days (NOWCAST_HOT_DAYS), got ${describe(value)}`;
  }
  if (micros > limits.newestMicros) {
    return `timestamp must not lie more than 24 hours ahead, got ${describe(value)}`;
  }
  event.timestampMicros = micros;
  return undefined;
}

function assignMetadata(
  event: ValidEvent,
  metadata: Record<string, unknown>,
  limits: ValidationLimits,
): string | undefined {
  if (depthExceeds(metadata, limits.maxMetadataDepth)) {
    return `metadata must not nest deeper than ${limits.maxMetadataDepth} levels (NOWCAST_MAX_JSON_DEPTH)`;
  }
  const keys = countKeys(metadata);
  if (keys > limits.maxMetadataKeys) {
    return `metadata must not hold more than ${limits.maxMetadataKeys} keys (NOWCAST_MAX_JSON_KEYS), got ${keys}`;
  }
  const text = JSON.stringify(metadata);
  // Up to three bytes a character; counted only where that can matter.
  const bytes = text.length * 3 > limits.maxMetadataBytes ? Buffer.byteLength(text) : text.length;
  if (bytes > limits.maxMetadataBytes) {
    return `metadata must not exceed ${limits.maxMetadataBytes} bytes of JSON (NOWCAST_MAX_METADATA_BYTES), got ${bytes}`;
  }
  // JSON.stringify writes NUL and lone surrogates as escapes, which jsonb refuses.
  if (unfitEscape.test(text) && hasUnfitString(metadata)) return `metadata ${textRule}`;
  event.metadata = text;
  return undefined;
}

const textRule = 'must be valid Unicode without NUL characters (PostgreSQL cannot store them)';
// A quick look before the exact one: NUL, or any surrogate.
const unfitText = /[\0\ud800-\udfff]/;
const unfitEscape = /\\u(?:0000|d[89a-f])/i;

function isStorableText(text: string): boolean {
  return !text.includes('\0') && !loneSurrogate.test(text);
}
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

function hasUnfitString(value: unknown): boolean {
  if (typeof value === 'string') return !isStorableText(value);
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(hasUnfitString);
  return Object.entries(value).some(([key, inner]) => !isStorableText(key) || hasUnfitString(inner));
}

function depthExceeds(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) {
    if (depthExceeds((value as Record<string, unknown>)[key], levels - 1)) return true;
  }
  return false;
}

/** Of all objects in the value together. */
function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  for (const key in value) count += 1 + countKeys((value as Record<string, unknown>)[key]);
  return Array.isArray(value) ? count - value.length : count;
}

function missing(field: FieldName, raw: Record<string, unknown>): FieldError {
  const given = raw[field] === null ? 'null' : 'nothing';
  return {
    field,
    message: `${field} is required and must be a ${rules[field].kind === 'text' ? 'string' : 'number'}, got ${given}`,
  };
}

/** The kind of a value and, where it is short, the value. */
function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  switch (typeof value) {
    case 'string':
      return `the string ${JSON.stringify(clip(value))}`;
    case 'number':
    case 'boolean':
      return `the ${typeof value} ${String(value)}`;
    case 'object':
      return 'an object';
    default:
      return 'nothing';
  }
}

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

interface CompleteRule {
  readonly kind: (typeof eventFields)[FieldName]['kind'];
  readonly minimum: number;
  readonly maximum: number;
  readonly minLength: number;
  readonly maxLength: number;
}

/** The table with every bound filled in, so that the hot path asks no questions. */
const rules = Object.fromEntries(
  fieldNames.map((name) => [
    name,
    {
      minimum: Number.NEGATIVE_INFINITY,
      maximum: Number.POSITIVE_INFINITY,
      minLength: 0,
      maxLength: Number.POSITIVE_INFINITY,
      ...eventFields[name],
    },
  ]),
) as unknown as Record<FieldName, CompleteRule>;
