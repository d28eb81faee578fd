import type { FastifyInstance } from 'fastify';
import { failureAnswer } from '../ingest/answer.ts';
import { sendFailure } from '../ingest/otlp/answer.ts';
import type { Access } from './access.ts';
import { assertLoopback } from './loopback.ts';

/** What a caller must be allowed to do. `read by its door`: the door refuses in its own protocol's words. */
export type Need =
  | 'public'
  | 'ingest'
  | 'read'
  | 'read by its door'
  | 'service'
  | 'nobody but the server itself';

/**
 * What each route needs. A route that is missing here needs a service key, and a test names it: one cannot be opened
 * by forgetting it.
 */
const needs: Readonly<Record<string, Need>> = {
  '/telemetry/inference': 'ingest',
  '/telemetry/inference/batch': 'ingest',
  '/telemetry/feedback': 'ingest',
  // The canary's: its door knows the key that this process has made for itself.
  '/telemetry/canary': 'nobody but the server itself',
  '/v1/traces': 'ingest',
  '/v1/logs': 'ingest',
  '/v1/metrics': 'ingest',
  '/rest/v1': 'read by its door',
  '/rest/v1/': 'read by its door',
  '/rest/v1/*': 'read by its door',
  '/alerts/channels': 'service',
  '/alerts/channels/test': 'service',
  // Tells clients that there are no accounts.
  '/auth/v1/*': 'public',
  '/alerts/backtest': 'service',
  '/history/query': 'service',
  '/metrics': 'read',
  '/health': 'public',
  '/ready': 'public',
  '/openapi.json': 'public',
  // The page and its assets hold nothing of anybody's; what the page shows it fetches with a key.
  '/': 'public',
  '/*': 'public',
  // Preflights of browsers, which carry no key.
  '*': 'public',
};

export function needOf(url: string): Need | undefined {
  return Object.hasOwn(needs, url) ? needs[url] : undefined;
}

export interface GuardedRoute {
  readonly method: string;
  readonly url: string;
}

/** Scripts and connections from here only, no plug-ins, no frames around the page. Charts style their elements. */
const securityHeaders = {
  'content-security-policy':
    "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/**
 * Puts what must hold for every route before the routes. To be called before CORS and before any route.
 *
 * @returns the routes as they are registered
 */
export function guardRoutes(app: FastifyInstance, access: Access): readonly GuardedRoute[] {
  const routes: GuardedRoute[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ method: one, url });
  });
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(securityHeaders);
    reply.header('x-request-id', request.id);
    try {
      // A rebound name shows in Host, also where nothing secret is answered and in a preflight.
      if (access.open) assertLoopback(request.headers);
      if (request.method !== 'OPTIONS') check(request.routeOptions.url, request.headers);
      done();
    } catch (error) {
      // Exporters read another format.
      if (request.url.startsWith('/v1/')) {
        sendFailure(request, reply, error);
        return;
      }
      const { statusCode, body, retryAfterSeconds } = failureAnswer(error, request.log);
      if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
      reply.code(statusCode).send(body);
    }
  });
  return routes;

  function check(url: string | undefined, headers: Parameters<Access['assertMay']>[1]): void {
    // No route: it is answered with the page or with 404.
    const need = url === undefined ? 'public' : (needOf(url) ?? 'service');
    if (need === 'ingest') access.assertMayWrite(headers, 0);
    else if (need === 'read' || need === 'service') access.assertMay(need, headers);
  }
}
