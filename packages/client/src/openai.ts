import {
  AnsweredModels,
  content,
  definedOnly,
  ModelCall,
  type ObserveOptions,
  type Recorder,
  text,
} from './models/observedCall.ts';
import { OpenAIAnswer } from './models/openaiAnswer.ts';
import { type Attempt, copyOf, observeMethod } from './models/sdkClient.ts';

export type { ObserveOptions, Recorder } from './models/observedCall.ts';

export interface ObserveOpenAIOptions extends ObserveOptions {
  /**
   * Asks for the tokens of streamed chats (`stream_options.include_usage`) where the application did not, and keeps the
   * additional chunk that brings them to itself. True for OpenAI's own API when absent; other servers may not know it.
   */
  readonly streamUsage?: boolean;
}

/** The resources of an OpenAI client whose calls are observed. */
interface OpenAILike {
  readonly baseURL?: string;
  readonly chat?: { readonly completions?: object };
  readonly completions?: object;
  readonly responses?: object;
  readonly embeddings?: object;
}

/**
 * A copy of an OpenAI client (also an AzureOpenAI one) that tells Nowcast of each chat, response, completion and
 * embedding: model, latency, time to the first token, tokens, finish reason, errors. Types, helpers and results stay as
 * they are. A call that the application ends itself counts as no error; `metadata.aborted` tells it.
 *
 * @throws TypeError when the SDK is older than its `withOptions` (version 5)
 */
export function observeOpenAI<Client extends object>(
  client: Client,
  nowcast: Recorder,
  options: ObserveOpenAIOptions = {},
): Client {
  const models = new AnsweredModels();
  return copyOf(client, (copy) => {
    const { baseURL, chat, completions, responses, embeddings } = copy as OpenAILike;
    const streamUsage = options.streamUsage ?? isOpenAI(baseURL);
    const begin = (operation: string) => (params: Record<string, unknown>, signal?: AbortSignal) => {
      const call = new ModelCall(
        nowcast,
        {
          model_version: text(params.model) ?? 'unknown',
          provider: options.provider ?? 'openai',
          metadata: definedOnly({
            operation,
            prompt: options.captureContent
              ? content(params.messages ?? params.input ?? params.prompt)
              : undefined,
          }),
        },
        new OpenAIAnswer(options.captureContent === true),
        models,
        signal,
        options,
      );
      const takesUsage = operation !== 'embeddings' && params.stream === true && !('input' in params);
      return streamUsage && takesUsage ? withUsage(call, params) : { call, params };
    };
    observeMethod(chat?.completions, 'create', begin('chat'));
    observeMethod(completions, 'create', begin('text_completion'));
    observeMethod(responses, 'create', begin('chat'));
    observeMethod(embeddings, 'create', begin('embeddings'));
  });
}

function withUsage(call: ModelCall, params: Record<string, unknown>): Attempt {
  const given = params.stream_options as { readonly include_usage?: unknown } | null | undefined;
  if (given?.include_usage !== undefined) return { call, params };
  return {
    call,
    params: { ...params, stream_options: { ...given, include_usage: true } },
    // Without being asked for, it would surprise code that reads choices[0] of every chunk.
    isHidden: (chunk) => {
      const { choices, usage } = Object(chunk) as { readonly choices?: unknown; readonly usage?: unknown };
      return Array.isArray(choices) && choices.length === 0 && usage !== null && usage !== undefined;
    },
  };
}

function isOpenAI(baseURL: string | undefined): boolean {
  return baseURL !== undefined && /^https:\/\/(?:[\w-]+\.)?api\.openai\.com(?:\/|$)/.test(baseURL);
}
