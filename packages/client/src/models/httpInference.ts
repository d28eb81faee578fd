import type { EventContext, InferenceEvent, Measurement, ObservedCall } from '../event.ts';
import type { Recorder } from './observedCall.ts';

export type { Recorder } from './observedCall.ts';

/** What is used of a request, in whatever framework. */
export interface RequestLike {
  readonly headers: { readonly [name: string]: string | string[] | undefined };
}

/** What a route's inference is, or how its request tells: asked once the answer is there, so bodies are parsed. */
export type CallOf<Request> = ObservedCall | ((request: Request) => ObservedCall);

/** What is said of every inference inside a request. */
export type ContextOf<Request> = EventContext | ((request: Request) => EventContext);

export interface Describable<Request> {
  /** What the handler knows of its inference, such as its confidence; later fields add to earlier ones. */
  readonly describe: (request: Request, fields: Partial<InferenceEvent>) => void;
}

export interface Contextual {
  context<Result>(fields: EventContext, run: () => Result): Result;
}

interface OpenRequest {
  readonly measured: Measurement;
  fields: Partial<InferenceEvent> | undefined;
}

const unknownModel = 'unknown';

/** Requests that are inferences, from their head to their answer. Nothing here throws. */
export class HttpInferences<Request extends RequestLike> {
  readonly #nowcast: Recorder;
  readonly #callOf: CallOf<Request>;
  readonly #open = new WeakMap<object, OpenRequest>();

  constructor(nowcast: Recorder, callOf: CallOf<Request>) {
    this.#nowcast = nowcast;
    this.#callOf = callOf;
  }

  begin(request: Request): void {
    this.#open.set(request, {
      measured: this.#nowcast.start({ model_version: unknownModel }),
      fields: undefined,
    });
  }

  describe(request: Request, fields: Partial<InferenceEvent>): void {
    const open = this.#open.get(request);
    if (open !== undefined)
      open.fields = { ...open.fields, ...fields, metadata: { ...open.fields?.metadata, ...fields.metadata } };
  }

  /** A request that was refused (4xx) is the caller's mistake and no inference, unless it was described as one. */
  end(request: Request, status: number): void {
    const open = this.#open.get(request);
    this.#open.delete(request);
    if (open === undefined || (status >= 400 && status < 500 && open.fields === undefined)) return;
    open.measured.succeed(() => ({
      ...(status >= 500 ? { is_error: true, error_message: `answered ${status}` } : {}),
      ...this.#fieldsOf(request, open, { http_status: status >= 400 ? status : undefined }),
    }));
  }

  /** The caller has gone before the end: no failure of the model. */
  abort(request: Request): void {
    const open = this.#open.get(request);
    open?.measured.succeed(() => this.#fieldsOf(request, open, { aborted: true }));
  }

  fail(request: Request, error: unknown): void {
    const open = this.#open.get(request);
    const { statusCode } = Object(error) as { readonly statusCode?: unknown };
    const isRefusal = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
    if (open === undefined || isRefusal) return;
    open.measured.fail(error, this.#fieldsOf(request, open, {}));
  }

  #fieldsOf(
    request: Request,
    { fields }: OpenRequest,
    more: Record<string, unknown>,
  ): Partial<InferenceEvent> {
    const call = this.#call(request);
    const size = Number(request.headers['content-length'] ?? Number.NaN);
    const traceId = /^[\da-f]{2}-([\da-f]{32})-/.exec(String(request.headers.traceparent))?.[1];
    const metadata: Record<string, unknown> = { ...call.metadata, ...fields?.metadata };
    for (const name in more) if (more[name] !== undefined) metadata[name] = more[name];
    return {
      ...(Number.isSafeInteger(size) ? { input_size_bytes: size } : {}),
      ...(traceId === undefined ? {} : { trace_id: traceId }),
      ...call,
      ...fields,
      metadata,
    };
  }

  #call(request: Request): ObservedCall {
    return described(this.#callOf, request, { model_version: unknownModel });
  }
}

export function fieldsFor<Request>(contextOf: ContextOf<Request>, request: Request): EventContext {
  return described(contextOf, request, {});
}

/**
 * The application's own description may fail, on a body that was never parsed or without a user for instance: the request
 * is answered and counts.
 */
function described<Request, Told extends EventContext>(
  told: Told | ((request: Request) => Told),
  request: Request,
  otherwise: Told,
): Told {
  if (typeof told !== 'function') return told;
  try {
    return told(request);
  } catch (error) {
    return { ...otherwise, metadata: { undescribed: String(error) } };
  }
}
