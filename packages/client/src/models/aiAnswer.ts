import { type AnswerReader, count, definedOnly, type Fields, grow, text } from './observedCall.ts';

/** A number in version 5 of the AI SDK, told apart since version 6. */
type Tokens =
  | unknown
  | { readonly total?: unknown; readonly cacheRead?: unknown; readonly cacheWrite?: unknown };

interface Usage {
  readonly inputTokens?: Tokens;
  readonly outputTokens?: Tokens;
  readonly cachedInputTokens?: unknown;
  readonly reasoningTokens?: unknown;
  /** Of an embedding. */
  readonly tokens?: unknown;
}

/** A result of doGenerate or doEmbed, or a part of doStream's stream. */
interface Part {
  readonly type?: unknown;
  readonly usage?: Usage;
  readonly finishReason?: unknown;
  readonly response?: { readonly id?: unknown; readonly modelId?: unknown };
  readonly id?: unknown;
  readonly modelId?: unknown;
  readonly delta?: unknown;
  readonly error?: unknown;
  readonly content?: readonly { readonly type?: unknown; readonly text?: unknown }[];
}

/** Reads what models of the Vercel AI SDK give back (https://ai-sdk.dev, its language model specification). */
export class AiAnswer implements AnswerReader {
  readonly #keepsContent: boolean;
  #id: string | undefined;
  #model: string | undefined;
  #usage: Usage | undefined;
  #finishReason: string | undefined;
  #toolCalls = 0;
  #completion = '';
  failure: unknown;

  constructor(keepsContent: boolean) {
    this.#keepsContent = keepsContent;
  }

  read(value: unknown): boolean {
    const part = Object(value) as Part;
    if (part.usage !== undefined) this.#usage = part.usage;
    this.#finishReason = finishReasonOf(part.finishReason) ?? this.#finishReason;
    const head = part.type === 'response-metadata' ? part : part.response;
    this.#id = text(head?.id) ?? this.#id;
    this.#model = text(head?.modelId) ?? this.#model;
    if (part.type === 'error') this.failure = part.error ?? part;
    if (part.type === 'tool-call') this.#toolCalls++;
    if (part.type === 'text-delta') this.#keep(part.delta);
    for (const one of part.content ?? []) {
      if (one.type === 'tool-call') this.#toolCalls++;
      if (one.type === 'text') this.#keep(one.text);
    }
    return part.type === 'tool-call' || text(part.type)?.endsWith('-delta') === true;
  }

  fields(): Fields {
    const usage = this.#usage;
    const read = partsOf(usage?.inputTokens);
    const written = partsOf(usage?.outputTokens);
    const input = count(read.total ?? usage?.tokens);
    const output = count(written.total);
    const cached = count(read.cacheRead ?? usage?.cachedInputTokens);
    return {
      ...(this.#model === undefined ? {} : { model_version: this.#model }),
      ...(input === undefined ? {} : { input_tokens: input }),
      ...(output === undefined ? {} : { output_tokens: output }),
      ...(cached === undefined ? {} : { cached_input_tokens: cached }),
      metadata: definedOnly({
        response_id: this.#id,
        finish_reasons: this.#finishReason === undefined ? undefined : [this.#finishReason],
        tool_calls: this.#toolCalls || undefined,
        cache_write_tokens: count(read.cacheWrite) || undefined,
        reasoning_tokens: count(written.reasoning ?? usage?.reasoningTokens) || undefined,
        completion: this.#completion || undefined,
      }),
    };
  }

  #keep(more: unknown): void {
    if (this.#keepsContent) this.#completion = grow(this.#completion, more);
  }
}

function partsOf(tokens: Tokens): Record<string, unknown> {
  return typeof tokens === 'object' && tokens !== null
    ? (tokens as Record<string, unknown>)
    : { total: tokens };
}

function finishReasonOf(reason: unknown): string | undefined {
  return text(reason) ?? text((reason as { readonly unified?: unknown } | undefined)?.unified);
}
