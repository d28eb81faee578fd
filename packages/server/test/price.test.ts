import { validateEvent } from '@nowcast/protocol';
import { calcPrice } from '@pydantic/genai-prices';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { costOf, priceOf } from '../src/process/price.ts';

const now = Date.UTC(2026, 0, 2);

function valid(fields: Record<string, unknown>) {
  const nowMicros = now * 1000;
  const { event } = validateEvent(
    { model_version: 'gpt-4o', inference_time_ms: 1, ...fields },
    {
      nowMicros,
      oldestMicros: 0,
      newestMicros: nowMicros,
      maxMetadataBytes: 1e4,
      maxMetadataDepth: 5,
      maxMetadataKeys: 1_000,
    },
  ) as Extract<ReturnType<typeof validateEvent>, { error?: undefined }>;
  return event;
}

describe('the price of an event', () => {
  test('counts cached tokens at their own price, once', () => {
    const tokens = { provider: 'openai', input_tokens: 1_000, output_tokens: 100 };
    expect(priceOf(valid(tokens))).toBeCloseTo(0.0035, 12);
    expect(priceOf(valid({ ...tokens, cached_input_tokens: 400 }))).toBeCloseTo(0.003, 12);
    // More cached than read is a sender's mistake, not a refund.
    expect(priceOf(valid({ ...tokens, cached_input_tokens: 9_000 }))).toBeCloseTo(0.00225, 12);
  });

  test('counts tokens written to the cache at their own price, where the metadata tells them', () => {
    const tokens = { provider: 'anthropic', model_version: 'claude-sonnet-4-0', input_tokens: 1_000 };
    const plain = priceOf(valid(tokens))!;
    expect(priceOf(valid({ ...tokens, metadata: { cache_write_tokens: 1_000 } }))).toBeCloseTo(
      plain * 1.25,
      12,
    );
    expect(priceOf(valid({ ...tokens, metadata: { note: '"cache_write_tokens"' } }))).toBe(plain);
  });

  test.each([
    ['no tokens', { provider: 'openai' }],
    ['a model that nobody sells', { provider: 'openai', model_version: 'ours-v2', input_tokens: 5 }],
    ['a provider that sells none of it', { provider: 'in-house', input_tokens: 5 }],
    ['an open model without a provider', { model_version: 'mistral-small', input_tokens: 5 }],
  ])('is unknown for %s', (_what, fields) => {
    expect(priceOf(valid(fields))).toBeNull();
  });

  test("needs no provider where the model's name tells it", () => {
    expect(priceOf(valid({ input_tokens: 1_000, output_tokens: 100 }))).toBeCloseTo(0.0035, 12);
  });

  test.each(['openai', 'azure.ai.openai'])('is found under the provider name %s', (provider) => {
    expect(priceOf(valid({ provider, input_tokens: 1_000 }))).toBeCloseTo(0.0025, 12);
  });

  test("is found under OpenTelemetry's name of xAI", () => {
    expect(priceOf(valid({ provider: 'x_ai', model_version: 'grok-3', input_tokens: 1_000 }))).toBeCloseTo(
      0.003,
      12,
    );
  });
});

test("equals the library's own answer, whatever the model and however many tokens", () => {
  const models = [
    ['openai', 'gpt-4o'],
    ['openai', 'text-embedding-3-small'],
    ['anthropic', 'claude-sonnet-4-20250514'],
    ['google', 'gemini-2.5-pro'],
    ['google', 'gemini-2.5-flash'],
    ['aws', 'anthropic.claude-3-5-sonnet-20241022-v2:0'],
    ['deepseek', 'deepseek-chat'],
    ['mistral', 'mistral-large-latest'],
  ] as const;
  const count = fc.nat(2_000_000);
  fc.assert(
    fc.property(
      fc.constantFrom(...models),
      count,
      count,
      count,
      count,
      fc.nat(86_400_000),
      ([providerId, model], fresh, cached, cacheWrite, output, intoDay) => {
        const input = fresh + cached + cacheWrite;
        const timestamp = new Date(now + intoDay);
        const usage = {
          input_tokens: input,
          output_tokens: output,
          cache_read_tokens: cached,
          cache_write_tokens: cacheWrite,
        };
        const expected = calcPrice(usage, model, { providerId, timestamp })!.total_price;
        const cost = costOf(providerId, model, { input, output, cached, cacheWrite }, timestamp.getTime())!;
        expect(Math.abs(cost - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, expected));
      },
    ),
    { numRuns: 300 },
  );
});
