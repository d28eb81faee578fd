import {
  type CallOf,
  type ContextOf,
  type Contextual,
  type Describable,
  fieldsFor,
  HttpInferences,
  type Recorder,
  type RequestLike,
} from './models/httpInference.ts';

export type {
  CallOf,
  ContextOf,
  Contextual,
  Describable,
  Recorder,
  RequestLike,
} from './models/httpInference.ts';

interface ReplyLike {
  readonly raw: {
    readonly statusCode: number;
    readonly writableFinished: boolean;
    on(event: 'close', listener: () => void): unknown;
  };
}

export interface ObservedRoute<Request> extends Describable<Request> {
  /** Options of the route: `app.post('/predict', inference.route, handler)`. */
  readonly route: {
    onRequest(request: Request, reply: ReplyLike, done: () => void): void;
    onError(request: Request, reply: ReplyLike, error: Error, done: () => void): void;
  };
}

/**
 * Makes each request to a route of Fastify one inference: latency, size of the input, W3C trace id, the error that the
 * handler threw. 4xx is a request that was refused and no inference, unless it was described.
 */
export function observeRoute<Request extends RequestLike>(
  nowcast: Recorder,
  callOf: CallOf<Request>,
): ObservedRoute<Request> {
  const inferences = new HttpInferences(nowcast, callOf);
  return {
    route: {
      onRequest(request, reply, done) {
        inferences.begin(request);
        // Fastify's own onRequestAbort hears only of callers that go before their request is whole.
        const { raw } = reply;
        raw.on('close', () =>
          raw.writableFinished ? inferences.end(request, raw.statusCode) : inferences.abort(request),
        );
        done();
      },
      onError(request, _reply, error, done) {
        inferences.fail(request, error);
        done();
      },
    },
    describe: (request, fields) => inferences.describe(request, fields),
  };
}

/** A hook that gives its fields, such as `user_id`, to every inference of a request: `app.addHook('onRequest', …)`. */
export function requestContext<Request extends RequestLike>(
  nowcast: Contextual,
  contextOf: ContextOf<Request>,
): (request: Request, reply: unknown, done: () => void) => void {
  return (request, _reply, done) => nowcast.context(fieldsFor(contextOf, request), done);
}
