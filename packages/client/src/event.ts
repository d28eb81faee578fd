/** One inference, as Nowcast stores it; its fields are described at `/docs` of a running server. */
export interface InferenceEvent {
  /** When the inference ended, RFC 3339; the time of `track()` when absent. */
  timestamp?: string | null;
  model_version: string;
  inference_time_ms: number;
  confidence_score?: number | null;
  input_size_bytes?: number | null;
  prediction_class?: string | null;
  is_error?: boolean | null;
  error_message?: string | null;
  metadata?: Record<string, unknown> | null;
  user_id?: string | null;
  feature?: string | null;
  variant?: string | null;
  session_id?: string | null;
  trace_id?: string | null;
  provider?: string | null;
  input_tokens?: number | null;
  output_tokens?: number | null;
  cached_input_tokens?: number | null;
  cost_usd?: number | null;
  value_usd?: number | null;
  compute_ms?: number | null;
  ttft_ms?: number | null;
  quality_score?: number | null;
  feedback?: number | null;
}

/** What can be said of every inference inside `nowcast.context(...)`. */
export type EventContext = Partial<Omit<InferenceEvent, 'timestamp' | 'inference_time_ms'>>;

/** A call that is measured: what is known of it before it runs. */
export type ObservedCall = Omit<InferenceEvent, 'inference_time_ms'>;

/** A call under way. Only its first end counts. */
export interface Measurement {
  /** The first part of the answer is here; only the first call counts. */
  firstToken(): void;
  /** @param fields what the end has told, or how to find it out: what that throws is not the application's trouble */
  succeed(fields?: Partial<InferenceEvent> | (() => Partial<InferenceEvent> | undefined)): void;
  /** @param fields what is known all the same */
  fail(error: unknown, fields?: Partial<InferenceEvent>): void;
}

/** A verdict that comes after its event, which is found by `trace_id`. */
export interface Feedback {
  trace_id: string;
  /** 0 to 1. */
  quality_score?: number;
  /** The user's thumb: -1, 0 or 1. */
  feedback?: -1 | 0 | 1;
}
