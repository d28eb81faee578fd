import { type AnswerReader, count, definedOnly, type Fields, grow, text } from './observedCall.ts';

interface Usage {
  readonly prompt_tokens?: unknown;
  readonly input_tokens?: unknown;
  readonly completion_tokens?: unknown;
  readonly output_tokens?: unknown;
  readonly prompt_tokens_details?: { readonly cached_tokens?: unknown } | null;
  readonly input_tokens_details?: { readonly cached_tokens?: unknown } | null;
  readonly completion_tokens_details?: { readonly reasoning_tokens?: unknown } | null;
  readonly output_tokens_details?: { readonly reasoning_tokens?: unknown } | null;
}

interface Message {
  readonly content?: unknown;
  readonly refusal?: unknown;
  readonly reasoning_content?: unknown;
  readonly tool_calls?: readonly { readonly id?: unknown }[] | null;
}

interface Choice {
  readonly message?: Message;
  readonly delta?: Message;
  readonly text?: unknown;
  readonly finish_reason?: unknown;
}

/** A chat completion or a chunk of one, a completion, an embedding, a response or an event of one. */
interface Part {
  readonly id?: unknown;
  readonly model?: unknown;
  readonly usage?: Usage | null;
  readonly choices?: readonly Choice[];
  readonly type?: unknown;
  readonly delta?: unknown;
  readonly response?: Part;
  readonly object?: unknown;
  readonly status?: unknown;
  readonly incomplete_details?: { readonly reason?: unknown } | null;
  readonly error?: { readonly code?: unknown; readonly message?: unknown } | null;
  readonly output?: readonly { readonly type?: unknown; readonly content?: unknown }[];
  readonly output_text?: unknown;
}

/** Reads the answers of OpenAI's APIs (https://platform.openai.com/docs/api-reference), whole or in parts. */
export class OpenAIAnswer implements AnswerReader {
  readonly #keepsContent: boolean;
  #id: string | undefined;
  #model: string | undefined;
  #usage: Usage | undefined;
  #finishReasons = new Set<string>();
  #toolCalls = 0;
  #completion = '';
  failure: unknown;

  constructor(keepsContent: boolean) {
    this.#keepsContent = keepsContent;
  }

  read(value: unknown): boolean {
    const part = Object(value) as Part;
    const event = text(part.type);
    if (event === 'error') this.failure = part;
    if (event?.startsWith('response.')) {
      if (part.response !== undefined) this.#readHead(part.response);
      const isContent = event.endsWith('.delta');
      if (event === 'response.output_text.delta') this.#keep(part.delta);
      return isContent;
    }
    this.#readHead(part);
    let isContent = false;
    for (const choice of part.choices ?? []) isContent = this.#readChoice(choice) || isContent;
    return isContent;
  }

  fields(): Fields {
    const usage = this.#usage;
    const inputDetails = usage?.prompt_tokens_details ?? usage?.input_tokens_details;
    const outputDetails = usage?.completion_tokens_details ?? usage?.output_tokens_details;
    const input = count(usage?.prompt_tokens ?? usage?.input_tokens);
    const output = count(usage?.completion_tokens ?? usage?.output_tokens);
    const cached = count(inputDetails?.cached_tokens);
    return {
      ...(this.#model === undefined ? {} : { model_version: this.#model }),
      ...(input === undefined ? {} : { input_tokens: input }),
      ...(output === undefined ? {} : { output_tokens: output }),
      ...(cached === undefined ? {} : { cached_input_tokens: cached }),
      metadata: definedOnly({
        response_id: this.#id,
        finish_reasons: this.#finishReasons.size > 0 ? [...this.#finishReasons] : undefined,
        tool_calls: this.#toolCalls || undefined,
        reasoning_tokens: count(outputDetails?.reasoning_tokens) || undefined,
        completion: this.#completion || undefined,
      }),
    };
  }

  #readHead(part: Part): void {
    this.#id ??= text(part.id);
    this.#model = text(part.model) ?? this.#model;
    if (part.usage) this.#usage = part.usage;
    if (part.object === 'response') this.#readResponse(part);
  }

  /** The whole of a response stands in its last event. */
  #readResponse({ status, incomplete_details, error, output, output_text }: Part): void {
    if (status === 'in_progress' || status === 'queued') return;
    if (status === 'failed') this.failure = error ?? { message: 'the response failed' };
    const calls = (output ?? []).filter(
      ({ type }) => type === 'function_call' || type === 'custom_tool_call',
    );
    this.#toolCalls = calls.length;
    const reason = text(incomplete_details?.reason) ?? (calls.length > 0 ? 'tool_calls' : 'stop');
    if (status === 'completed' || status === 'incomplete') this.#finishReasons.add(reason);
    if (this.#completion === '') this.#keep(output_text);
  }

  #readChoice({ message, delta, text: plain, finish_reason }: Choice): boolean {
    const said = message ?? delta;
    const finishReason = text(finish_reason);
    if (finishReason !== undefined) this.#finishReasons.add(finishReason);
    // A call's first chunk has its id, the others only more of its arguments.
    for (const call of said?.tool_calls ?? []) if (call.id) this.#toolCalls++;
    this.#keep(said?.content ?? plain);
    const written = [said?.content, said?.refusal, said?.reasoning_content, plain];
    return written.some((one) => text(one) !== undefined) || (said?.tool_calls?.length ?? 0) > 0;
  }

  #keep(more: unknown): void {
    if (this.#keepsContent) this.#completion = grow(this.#completion, more);
  }
}
