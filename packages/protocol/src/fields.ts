/**
 * The one table of an event's fields. Validation, TypeScript types, OpenAPI and the column order of COPY all
 * come from it; adding a field is one line here and one column in a migration.
 */

type Kind =
  | 'text'
  | 'number' // double precision
  | 'integer'
  | 'boolean'
  | 'object' // jsonb
  | 'timestamp'; // RFC 3339 text, stored with microseconds

interface FieldRule {
  readonly kind: Kind;
  readonly description: string;
  readonly required?: true;
  /** Inclusive bounds of a number or integer. */
  readonly minimum?: number;
  readonly maximum?: number;
  /** Length of a text in UTF-16 code units. */
  readonly minLength?: number;
  readonly maxLength?: number;
}

/** Four bytes on disk; PostgreSQL's `integer`. */
const maxInteger = 2_147_483_647;
/** 11.5 days in milliseconds: longer than any inference, and the end of the latency histogram. */
export const maxLatencyMs = 1e9;
/** Keys of summaries stand in an index, whose entries PostgreSQL limits to about 2.7 kB. */
const keyText = { kind: 'text', maxLength: 200 } as const;

export const eventFields = {
  timestamp: {
    kind: 'timestamp',
    description: 'When the inference ended, RFC 3339; the time of arrival when absent.',
  },
  model_version: {
    ...keyText,
    required: true,
    minLength: 1,
    description: 'Model and version that answered.',
  },
  inference_time_ms: {
    kind: 'number',
    required: true,
    minimum: 0,
    maximum: maxLatencyMs,
    description: 'Duration of the inference in milliseconds.',
  },
  confidence_score: {
    kind: 'number',
    minimum: 0,
    maximum: 1,
    description: 'Confidence of the prediction, 0 to 1.',
  },
  input_size_bytes: {
    kind: 'integer',
    minimum: 0,
    maximum: maxInteger,
    description: 'Size of the input in bytes.',
  },
  prediction_class: { kind: 'text', maxLength: 8192, description: 'Predicted class or label.' },
  is_error: { kind: 'boolean', description: 'Whether the inference failed; false when absent.' },
  error_message: { kind: 'text', maxLength: 65_536, description: 'What went wrong.' },
  metadata: { kind: 'object', description: 'Anything else, as a JSON object.' },
  user_id: { kind: 'text', maxLength: 8192, description: 'Who the inference was for.' },
  feature: { ...keyText, description: 'Feature of the product that asked.' },
  variant: { ...keyText, description: 'Arm of an experiment.' },
  session_id: { kind: 'text', maxLength: 8192, description: 'Session or conversation.' },
  trace_id: { kind: 'text', maxLength: 8192, description: 'Trace; later feedback finds the event by it.' },
  provider: { kind: 'text', maxLength: 8192, description: 'Who served the model.' },
  input_tokens: {
    kind: 'integer',
    minimum: 0,
    maximum: maxInteger,
    description: 'Tokens read, cached ones included.',
  },
  output_tokens: { kind: 'integer', minimum: 0, maximum: maxInteger, description: 'Tokens written.' },
  cached_input_tokens: {
    kind: 'integer',
    minimum: 0,
    maximum: maxInteger,
    description: 'Tokens read from the cache.',
  },
  cost_usd: { kind: 'number', minimum: 0, maximum: 1e9, description: 'Cost of the call in US dollars.' },
  value_usd: {
    kind: 'number',
    minimum: -1e9,
    maximum: 1e9,
    description: 'What the call was worth in US dollars.',
  },
  compute_ms: {
    kind: 'number',
    minimum: 0,
    maximum: maxLatencyMs,
    description: 'Compute time in milliseconds.',
  },
  ttft_ms: {
    kind: 'number',
    minimum: 0,
    maximum: maxLatencyMs,
    description: 'Time to the first token in milliseconds.',
  },
  quality_score: {
    kind: 'number',
    minimum: 0,
    maximum: 1,
    description: 'Verdict of a judge or a check, 0 to 1.',
  },
  feedback: { kind: 'integer', minimum: -1, maximum: 1, description: 'Thumb of the user: -1, 0 or 1.' },
} as const satisfies Record<string, FieldRule>;

export type FieldName = keyof typeof eventFields;

type ValueOf<K extends Kind> = K extends 'text' | 'timestamp'
  ? string
  : K extends 'number' | 'integer'
    ? number
    : K extends 'boolean'
      ? boolean
      : Record<string, unknown>;

type Rules = typeof eventFields;
type RequiredName = { [F in FieldName]: Rules[F] extends { required: true } ? F : never }[FieldName];

/** What a client sends: the article's fields and the optional ones; null counts as absent. */
export type InferenceEvent = { [F in RequiredName]: ValueOf<Rules[F]['kind']> } & {
  [F in Exclude<FieldName, RequiredName>]?: ValueOf<Rules[F]['kind']> | null;
};

/** An event that passed validation: every column but `id`, absent ones null. */
export type ValidEvent = { [F in Exclude<RequiredName, never>]: ValueOf<Rules[F]['kind']> } & {
  [F in Exclude<FieldName, RequiredName | 'timestamp' | 'is_error' | 'metadata'>]: ValueOf<
    Rules[F]['kind']
  > | null;
} & {
  /** Microseconds since 1970-01-01 UTC, an integer. */
  timestampMicros: number;
  is_error: boolean;
  /** JSON text of the metadata object. */
  metadata: string | null;
};

export const fieldNames = Object.keys(eventFields) as FieldName[];

export function ruleOf(field: FieldName): FieldRule {
  return eventFields[field];
}
