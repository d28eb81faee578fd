import type { ValidEvent } from '@nowcast/protocol';
import { calcPrice, type PriceCalculation } from '@pydantic/genai-prices';

/** Tokens of one call. `input` holds all that were read, those of the cache included. */
export interface Tokens {
  readonly input?: number | null | undefined;
  readonly output?: number | null | undefined;
  readonly cached?: number | null | undefined;
  /** Written to the provider's cache, which some charge more for. */
  readonly cacheWrite?: number | null | undefined;
}

/** Dollars a token, or a model whose price depends on more than that, or none known. */
type Price = LinearPrice | { readonly kind: 'asked each time'; readonly found: Found } | undefined;

interface LinearPrice {
  readonly kind: 'linear';
  readonly perCall: number;
  readonly input: number;
  readonly output: number;
  readonly cached: number;
  readonly cacheWrite: number;
}

/** A model in the price list, and the name by which it was found there. */
interface Found {
  readonly calculation: PriceCalculation;
  readonly name: string;
}

/** Names come from outside: whoever invents them must not fill memory. */
const maxRemembered = 2_000;
const remembered = new Map<string, Price>();

/** Spellings that the price list does not know: OpenTelemetry's name of xAI. */
const providerAliases = new Map([['x_ai', 'x-ai']]);
/** Their models run nowhere else under the same name, so the name alone tells whose price it is. */
const closedModelProviders = new Set(['openai', 'anthropic']);

/**
 * What a call cost in US dollars, by the public list prices of @pydantic/genai-prices; null when model or provider is not
 * in it or no tokens are known.
 */
export function priceOf(event: ValidEvent): number | null {
  const { input_tokens, output_tokens } = event;
  if (input_tokens === null && output_tokens === null) return null;
  const tokens = {
    input: input_tokens,
    output: output_tokens,
    cached: event.cached_input_tokens,
    cacheWrite: cacheWriteOf(event.metadata),
  };
  return costOf(event.provider, event.model_version, tokens, event.timestampMicros / 1000);
}

/** Tokens written to the cache have no column of their own: nowcast-client tells them in the metadata. */
function cacheWriteOf(metadata: string | null): number | undefined {
  if (metadata?.includes('"cache_write_tokens"') !== true) return undefined;
  const { cache_write_tokens } = JSON.parse(metadata) as { readonly cache_write_tokens?: unknown };
  return typeof cache_write_tokens === 'number' && cache_write_tokens >= 0 ? cache_write_tokens : undefined;
}

/** @param atMs some prices have changed, or change with the hour: when the call was made */
export function costOf(
  provider: string | null | undefined,
  model: string | undefined,
  tokens: Tokens,
  atMs: number,
): number | null {
  const { input, output, cached, cacheWrite } = tokens;
  if (model === undefined || ((input ?? null) === null && (output ?? null) === null)) return null;
  const price = rememberedPrice(provider ?? undefined, model, atMs);
  if (price === undefined) return null;
  const inputTokens = input ?? 0;
  const written = output ?? 0;
  // Parts of the whole, whatever a sender says.
  const fromCache = Math.min(cached ?? 0, inputTokens);
  const toCache = Math.min(cacheWrite ?? 0, inputTokens - fromCache);
  if (price.kind === 'linear') {
    return (
      price.perCall +
      (inputTokens - fromCache - toCache) * price.input +
      fromCache * price.cached +
      toCache * price.cacheWrite +
      written * price.output
    );
  }
  return totalOf(price.found, inputTokens, written, fromCache, toCache, atMs);
}

function rememberedPrice(provider: string | undefined, model: string, atMs: number): Price {
  const key = `${provider ?? ''}\0${model}`;
  if (remembered.has(key)) return remembered.get(key);
  const price = findPrice(provider, model, atMs);
  if (remembered.size >= maxRemembered) remembered.clear();
  remembered.set(key, price);
  return price;
}

function findPrice(provider: string | undefined, model: string, atMs: number): Price {
  const providerId = provider === undefined ? undefined : (providerAliases.get(provider) ?? provider);
  const calculation = calcPrice({ input_tokens: 1 }, model, {
    ...(providerId === undefined ? {} : { providerId }),
    timestamp: new Date(atMs),
  });
  if (calculation === null) return undefined;
  if (provider === undefined && !closedModelProviders.has(calculation.provider.id)) return undefined;
  const found = { calculation, name: model };
  return linearPriceOf(found, atMs) ?? { kind: 'asked each time', found };
}

/** The library takes 24 µs a call; most prices are so many dollars a token, which takes none. */
function linearPriceOf(found: Found, atMs: number): LinearPrice | undefined {
  const { prices } = found.calculation.model;
  const dependsOnMore = Array.isArray(prices) || Object.values(prices).some((one) => typeof one !== 'number');
  if (dependsOnMore) return undefined;
  const perCall = totalOf(found, 0, 0, 0, 0, atMs);
  const million = 1e6;
  return {
    kind: 'linear',
    perCall,
    input: (totalOf(found, million, 0, 0, 0, atMs) - perCall) / million,
    output: (totalOf(found, 0, million, 0, 0, atMs) - perCall) / million,
    cached: (totalOf(found, million, 0, million, 0, atMs) - perCall) / million,
    cacheWrite: (totalOf(found, million, 0, 0, million, atMs) - perCall) / million,
  };
}

function totalOf(
  { calculation: { provider, model }, name }: Found,
  input: number,
  output: number,
  cached: number,
  cacheWrite: number,
  atMs: number,
): number {
  const usage = {
    input_tokens: input,
    output_tokens: output,
    cache_read_tokens: cached,
    cache_write_tokens: cacheWrite,
  };
  // One model to look through instead of the provider's hundreds.
  const only = { ...provider, models: [model] };
  return calcPrice(usage, name, { provider: only, timestamp: new Date(atMs) })?.total_price ?? 0;
}
