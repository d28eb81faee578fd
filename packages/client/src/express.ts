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

interface ResponseLike {
  readonly statusCode: number;
  on(event: 'finish' | 'close', listener: () => void): unknown;
}

export type Middleware<Request> = (
  request: Request,
  response: ResponseLike,
  next: (error?: unknown) => void,
) => void;

export interface ObservedRoute<Request> extends Describable<Request> {
  /** Goes before the handler of the route. */
  readonly middleware: Middleware<Request>;
}

/**
 * Makes each request to a route of Express (or of whatever takes its middleware) one inference: latency, size of the
 * input, W3C trace id. 5xx is an error. 4xx is a request that was refused and no inference, unless it was described.
 */
export function observeRoute<Request extends RequestLike>(
  nowcast: Recorder,
  callOf: CallOf<Request>,
): ObservedRoute<Request> {
  const inferences = new HttpInferences(nowcast, callOf);
  return {
    middleware(request, response, next) {
      inferences.begin(request);
      response.on('finish', () => inferences.end(request, response.statusCode));
      // After `finish` it counts for nothing.
      response.on('close', () => inferences.abort(request));
      next();
    },
    describe: (request, fields) => inferences.describe(request, fields),
  };
}

/** Gives its fields, such as `user_id`, to every inference of the requests that pass. */
export function requestContext<Request extends RequestLike>(
  nowcast: Contextual,
  contextOf: ContextOf<Request>,
): Middleware<Request> {
  return (request, _response, next) => nowcast.context(fieldsFor(contextOf, request), () => next());
}
