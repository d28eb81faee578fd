import { type AnswerReader, count, definedOnly, type Fields, grow, text } from './observedCall.ts';

interface Usage {
  readonly input_tokens?: unknown;
  readonly output_tokens?: unknown;
  readonly cache_read_input_tokens?: unknown;
  readonly cache_creation_input_tokens?: unknown;
}

interface Block {
  readonly type?: unknown;
  readonly text?: unknown;
}

/** A message, or an event of one. */
interface Part {
  readonly type?: unknown;
  readonly id?: unknown;
  readonly model?: unknown;
  readonly usage?: Usage | null;
  readonly stop_reason?: unknown;
  readonly content?: readonly Block[];
  readonly message?: Part;
  readonly delta?: { readonly stop_reason?: unknown; readonly text?: unknown };
  readonly content_block?: Block;
  readonly error?: unknown;
}

/** Reads Anthropic's messages, whole or as events (https://docs.anthropic.com/en/api/messages-streaming). */
export class AnthropicAnswer implements AnswerReader {
  readonly #keepsContent: boolean;
  #id: string | undefined;
  #model: string | undefined;
  #usage: Record<string, number> = {};
  #stopReason: string | undefined;
  #toolCalls = 0;
  #completion = '';
  failure: unknown;

  constructor(keepsContent: boolean) {
    this.#keepsContent = keepsContent;
  }

  read(value: unknown): boolean {
    const part = Object(value) as Part;
    switch (part.type) {
      case 'message_start':
        this.#readMessage(part.message ?? {});
        return false;
      case 'content_block_start':
        this.#readBlock(part.content_block ?? {});
        return false;
      case 'content_block_delta':
        this.#keep(part.delta?.text);
        return true;
      case 'message_delta':
        this.#stopReason = text(part.delta?.stop_reason) ?? this.#stopReason;
        this.#readUsage(part.usage);
        return false;
      case 'error':
        this.failure = part.error ?? part;
        return false;
      default:
        this.#readMessage(part);
        return false;
    }
  }

  fields(): Fields {
    const { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens } = this.#usage;
    // Anthropic counts the cache's tokens apart; for Nowcast they are part of the whole.
    const input =
      input_tokens === undefined
        ? undefined
        : input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0);
    return {
      ...(this.#model === undefined ? {} : { model_version: this.#model }),
      ...(input === undefined ? {} : { input_tokens: input }),
      ...(output_tokens === undefined ? {} : { output_tokens }),
      ...(cache_read_input_tokens === undefined ? {} : { cached_input_tokens: cache_read_input_tokens }),
      metadata: definedOnly({
        response_id: this.#id,
        finish_reasons: this.#stopReason === undefined ? undefined : [this.#stopReason],
        tool_calls: this.#toolCalls || undefined,
        cache_write_tokens: cache_creation_input_tokens || undefined,
        completion: this.#completion || undefined,
      }),
    };
  }

  #readMessage(message: Part): void {
    this.#id ??= text(message.id);
    this.#model = text(message.model) ?? this.#model;
    this.#stopReason = text(message.stop_reason) ?? this.#stopReason;
    this.#readUsage(message.usage);
    for (const block of message.content ?? []) this.#readBlock(block);
  }

  /** Later figures are sums of the whole message so far. */
  #readUsage(usage: Usage | null | undefined): void {
    for (const [name, value] of Object.entries(usage ?? {})) {
      const tokens = count(value);
      if (tokens !== undefined) this.#usage[name] = tokens;
    }
  }

  #readBlock(block: Block): void {
    if (block.type === 'tool_use' || block.type === 'server_tool_use') this.#toolCalls++;
    this.#keep(block.text);
  }

  #keep(more: unknown): void {
    if (this.#keepsContent) this.#completion = grow(this.#completion, more);
  }
}
