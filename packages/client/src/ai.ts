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
  readonly abortSignal?: AbortSignal | undefined;
}

type Method = (options: CallOptions) => PromiseLike<unknown>;

interface StreamResult {
  readonly stream: ReadableStream<unknown>;
}

interface Wrapped {
  readonly params: CallOptions;
  readonly model: ModelLike;
}

/** For `wrapLanguageModel` and `wrapEmbeddingModel`, whose results keep their types. */
export interface NowcastMiddleware {
  readonly specificationVersion: 'v3';
  wrapGenerate<Result>(call: Wrapped & { doGenerate(): PromiseLike<Result> }): Promise<Result>;
  wrapStream<Result extends StreamResult>(
    call: Wrapped & { doStream(): PromiseLike<Result> },
  ): Promise<Result>;
  wrapEmbed<Result>(call: Wrapped & { doEmbed(): PromiseLike<Result> }): Promise<Result>;
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
  const calls = new AiCalls(nowcast, options);
  return new Proxy(model, {
    // Providers' models have private fields, which only they themselves reach.
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const run: Method = value.bind(target);
      if (name === 'doGenerate') return (params: CallOptions) => calls.whole('chat', target, params, run);
      if (name === 'doStream')
        return (params: CallOptions) =>
          calls.streamed(target, params, run as (params: CallOptions) => PromiseLike<StreamResult>);
      if (name === 'doEmbed') return (params: CallOptions) => calls.whole('embeddings', target, params, run);
      return run;
    },
  });
}

/** The same as a middleware: `wrapLanguageModel({ model, middleware: nowcastMiddleware(nowcast) })`. */
export function nowcastMiddleware(nowcast: Recorder, options: ObserveOptions = {}): NowcastMiddleware {
  const calls = new AiCalls(nowcast, options);
  return {
    specificationVersion: 'v3',
    wrapGenerate: ({ doGenerate, params, model }) => calls.whole('chat', model, params, doGenerate),
    wrapStream: ({ doStream, params, model }) => calls.streamed(model, params, doStream),
    wrapEmbed: ({ doEmbed, params, model }) => calls.whole('embeddings', model, params, doEmbed),
  };
}

class AiCalls {
  readonly #nowcast: Recorder;
  readonly #options: ObserveOptions;
  readonly #models = new AnsweredModels();

  constructor(nowcast: Recorder, options: ObserveOptions) {
    this.#nowcast = nowcast;
    this.#options = options;
  }

  async whole<Result>(
    operation: string,
    model: ModelLike,
    params: CallOptions,
    run: (params: CallOptions) => PromiseLike<Result>,
  ): Promise<Result> {
    const call = this.#begin(operation, model, params);
    try {
      const answer = await run(params);
      call.answer(answer);
      return answer;
    } catch (error) {
      call.fail(error);
      throw error;
    }
  }

  async streamed<Result extends StreamResult>(
    model: ModelLike,
    params: CallOptions,
    run: (params: CallOptions) => PromiseLike<Result>,
  ): Promise<Result> {
    const call = this.#begin('chat', model, params);
    try {
      const result = await run(params);
      call.beginsStream(params.abortSignal);
      return { ...result, stream: observeStream(result.stream, call) };
    } catch (error) {
      call.fail(error);
      throw error;
    }
  }

  #begin(operation: string, model: ModelLike, { prompt, values, abortSignal }: CallOptions): ModelCall {
    const { provider, captureContent } = this.#options;
    return new ModelCall(
      this.#nowcast,
      {
        model_version: model.modelId,
        provider: provider ?? providerOf(model.provider),
        metadata: definedOnly({
          operation,
          prompt: captureContent ? content(prompt ?? values) : undefined,
        }),
      },
      new AiAnswer(captureContent === true),
      this.#models,
      abortSignal,
      this.#options,
    );
  }
}

function observeStream(stream: ReadableStream<unknown>, call: ModelCall): ReadableStream<unknown> {
  const reader = stream.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await call.waitFor(() => reader.read());
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
