import { AiAnswer } from './models/aiAnswer.ts';
import {
  AnsweredModels,
  content,
  definedOnly,
  ModelCall,
  type ObserveOptions,
  type Recorder,
} from './models/observedCall.ts';

export type { ObserveOptions, Recorder } from './models/observedCall.ts';

/** What is used of the AI SDK's models (versions 5 and up): of all kinds, those that this package observes. */
interface ModelLike {
  readonly modelId: string;
  readonly provider: string;
}

interface CallOptions {
  readonly prompt?: unknown;
  readonly values?: unknown;
  readonly abortSignal?: AbortSignal;
}

type Method = (options: CallOptions) => PromiseLike<unknown>;

interface StreamResult {
  readonly stream: ReadableStream<unknown>;
}

/**
 * A model of the Vercel AI SDK that tells Nowcast of each call: model, latency, time to the first token, tokens, finish
 * reason, errors. Give it to `generateText`, `streamText`, `embed` and the others as it is: each step and each retry is one
 * event. A call that the application ends itself counts as no error; `metadata.aborted` tells it.
 */
export function observeModel<Model extends ModelLike>(
  model: Model,
  nowcast: Recorder,
  options: ObserveOptions = {},
): Model {
  const models = new AnsweredModels();
  const begin = (operation: string, { prompt, values, abortSignal }: CallOptions) =>
    new ModelCall(
      nowcast,
      {
        model_version: model.modelId,
        provider: options.provider ?? providerOf(model.provider),
        metadata: definedOnly({
          operation,
          prompt: options.captureContent ? content(prompt ?? values) : undefined,
        }),
      },
      new AiAnswer(options.captureContent === true),
      models,
      abortSignal,
    );

  const whole =
    (operation: string, run: Method): Method =>
    async (callOptions) => {
      const call = begin(operation, callOptions);
      try {
        const answer = await run.call(model, callOptions);
        call.answer(answer);
        return answer;
      } catch (error) {
        call.fail(error);
        throw error;
      }
    };

  const streamed =
    (run: Method): Method =>
    async (callOptions) => {
      const call = begin('chat', callOptions);
      try {
        const result = (await run.call(model, callOptions)) as StreamResult;
        return { ...result, stream: observeStream(result.stream, call) };
      } catch (error) {
        call.fail(error);
        throw error;
      }
    };

  return new Proxy(model, {
    // Providers' models have private fields, which only they themselves reach.
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name === 'doGenerate') return whole('chat', value as Method);
      if (name === 'doStream') return streamed(value as Method);
      if (name === 'doEmbed') return whole('embeddings', value as Method);
      return value.bind(target);
    },
  });
}

function observeStream(stream: ReadableStream<unknown>, call: ModelCall): ReadableStream<unknown> {
  const reader = stream.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          call.end();
          controller.close();
        } else {
          call.read(value);
          controller.enqueue(value);
        }
      } catch (error) {
        call.fail(error);
        controller.error(error);
      }
    },
    cancel(reason) {
      call.end(true);
      return reader.cancel(reason);
    },
  });
}

/** The AI SDK names the provider's API too: openai.chat, anthropic.messages. */
function providerOf(name: string): string {
  return name.replace(/\.[\w-]+$/, '');
}
