import { AnthropicAnswer } from './models/anthropicAnswer.ts';
import {
  AnsweredModels,
  content,
  definedOnly,
  ModelCall,
  type ObserveOptions,
  type Recorder,
  text,
} from './models/observedCall.ts';
import { copyOf, observeMethod } from './models/sdkClient.ts';

export type { ObserveOptions, Recorder } from './models/observedCall.ts';

/** The resources of an Anthropic client whose calls are observed. */
interface AnthropicLike {
  readonly messages?: object;
  readonly beta?: { readonly messages?: object };
}

/**
 * A copy of an Anthropic client that tells Nowcast of each message: model, latency, time to the first token, tokens (those
 * of the cache included and told apart), stop reason, errors. Types, helpers and results stay as they are. A call that the
 * application ends itself counts as no error; `metadata.aborted` tells it.
 *
 * @throws TypeError when the SDK is older than its `withOptions`
 */
export function observeAnthropic<Client extends object>(
  client: Client,
  nowcast: Recorder,
  options: ObserveOptions = {},
): Client {
  const models = new AnsweredModels();
  return copyOf(client, (copy) => {
    const { messages, beta } = copy as AnthropicLike;
    const begin = (params: Record<string, unknown>, signal?: AbortSignal) => ({
      params,
      call: new ModelCall(
        nowcast,
        {
          model_version: text(params.model) ?? 'unknown',
          provider: options.provider ?? 'anthropic',
          metadata: definedOnly({
            operation: 'chat',
            prompt: options.captureContent
              ? content({ system: params.system, messages: params.messages })
              : undefined,
          }),
        },
        new AnthropicAnswer(options.captureContent === true),
        models,
        signal,
        options,
      ),
    });
    observeMethod(messages, 'create', begin);
    observeMethod(beta?.messages, 'create', begin);
  });
}
