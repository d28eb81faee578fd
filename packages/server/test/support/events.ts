import type { InferenceEvent } from '@nowcast/protocol';
import fc from 'fast-check';

export function event(fields: Partial<InferenceEvent> = {}): InferenceEvent {
  return { model_version: 'v1', inference_time_ms: 100, ...fields };
}

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const key = fc.constantFrom('a', 'b', "o'brien", 'tab\there', '');

/** Lifelike and hostile values of every field that summaries read; times spread over the last two days. */
export const arbitraryEvent: fc.Arbitrary<InferenceEvent> = fc.record({
  timestamp: fc
    .integer({ min: 0, max: 2 * 86_400 * 1000 })
    .map((ago) => new Date(Date.now() - ago).toISOString()),
  model_version: fc.constantFrom('v1', 'v2', 'naïve model \\N 模型', "it's"),
  inference_time_ms: fc.oneof(
    fc.double({ min: 0, max: 1e9, noNaN: true }),
    fc.double({ min: 1, max: 2_000, noNaN: true }),
    fc.constantFrom(0, 5e-324, 1e-320, 0.001, 1, 1e9, 0.00102),
  ),
  confidence_score: optional(
    fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.29, 1)),
  ),
  input_size_bytes: optional(fc.nat()),
  is_error: fc.boolean(),
  feature: optional(key),
  variant: optional(key),
  input_tokens: optional(fc.nat()),
  output_tokens: optional(fc.nat()),
  cached_input_tokens: optional(fc.nat()),
  cost_usd: optional(fc.double({ min: 0, max: 100, noNaN: true })),
  value_usd: optional(fc.double({ min: -100, max: 100, noNaN: true })),
  compute_ms: optional(fc.double({ min: 0, max: 1e6, noNaN: true })),
  ttft_ms: optional(fc.double({ min: 0, max: 1e6, noNaN: true })),
  quality_score: optional(fc.double({ min: 0, max: 1, noNaN: true })),
  feedback: optional(fc.constantFrom(-1, 0, 1)),
});
