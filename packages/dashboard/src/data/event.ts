import { time } from './bucket.ts';

/** An inference as its row tells it. */
export interface InferenceEvent {
  readonly id: number;
  readonly at: number;
  readonly model: string;
  readonly latencyMs: number;
  readonly confidence: number | null;
  readonly predictionClass: string | null;
  readonly isError: boolean;
  readonly errorMessage: string | null;
  readonly feature: string | null;
  /** How many events the row stands for, where the server keeps a share of them. */
  readonly sampleWeight: number;
  /** Every column that this key may read. */
  readonly row: Readonly<Record<string, unknown>>;
}

export function readEvent(row: Readonly<Record<string, unknown>>): InferenceEvent {
  return {
    id: Number(row.id),
    at: time(row.timestamp),
    model: String(row.model_version),
    latencyMs: Number(row.inference_time_ms),
    confidence: row.confidence_score == null ? null : Number(row.confidence_score),
    predictionClass: text(row.prediction_class),
    isError: row.is_error === true,
    errorMessage: text(row.error_message),
    feature: text(row.feature),
    sampleWeight: row.sample_weight == null ? 1 : Number(row.sample_weight),
    row,
  };
}

function text(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}
