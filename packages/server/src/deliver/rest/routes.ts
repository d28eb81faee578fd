/**
 * The REST door, `/rest/v1/*`: PostgREST's protocol as supabase-js speaks it. The way of a request (door.ts):
 * parse (parse.ts, filter.ts, prefer.ts) → typed query (ast.ts) → SQL with parameters (read.ts, write.ts,
 * call.ts) → run (readQueue.ts, database.ts) → answer (response.ts).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type BodyBudget, leaveBodies, ReceivedBody } from '../../ingest/receivedBody.ts';
import type { Scope } from '../published.ts';
import { type DoorOptions, parametersOf, RestDoor } from './door.ts';
import { RestError, toRestError } from './errors.ts';
import type { RestResponse } from './response.ts';

export interface RestDependencies extends DoorOptions {
  readonly bodies: BodyBudget;
  /** Undefined: no key, or a wrong one. */
  scopeOf(request: FastifyRequest): Scope | undefined;
}

export function registerRest(app: FastifyInstance, dependencies: RestDependencies): void {
  const door = new RestDoor(dependencies);
  app.addHook('onClose', async () => door.close());

  app.register(
    async (rest) => {
      const scopes = new WeakMap<FastifyRequest, Scope>();
      // The body goes to PostgreSQL as it came; only its keys are read here.
      leaveBodies(rest);
      rest.addHook('preValidation', async (request, reply) => {
        if (request.body === undefined) return;
        const { bodies } = dependencies;
        const { bytes } = await ReceivedBody.of(request, reply, bodies, MAX_BODY_BYTES);
        request.body = bytes.toString('utf8');
      });
      rest.setErrorHandler((error, request, reply) =>
        fail(error, scopes.get(request) ?? 'anon', request, reply),
      );
      rest.addHook('onRequest', async (request) => {
        const scope = dependencies.scopeOf(request);
        if (scope === undefined) throw unauthorized(request);
        scopes.set(request, scope);
      });
      for (const url of ['/', '/*']) {
        rest.route({
          method: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'],
          url,
          exposeHeadRoute: false,
          handler: async (request, reply) => send(await door.answer(request, scopes.get(request)!), reply),
        });
      }
    },
    { prefix: '/rest/v1' },
  );

  // supabase-js comes here only if the application signs somebody in.
  app.route({
    method: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'],
    url: '/auth/v1/*',
    exposeHeadRoute: false,
    handler: (_request, reply) =>
      reply.code(404).send({
        code: 404,
        error_code: 'not_found',
        msg: 'Nowcast has no user accounts: access is by key.',
      }),
  });
}

/** Of one write; a page of 1,000 rows at 5 kB each. */
const MAX_BODY_BYTES = 5 * 1024 * 1024;

/** The texts of Supabase's gateway, which stands before PostgREST there. */
function unauthorized(request: FastifyRequest): RestError {
  const given =
    request.headers.apikey !== undefined ||
    request.headers.authorization !== undefined ||
    parametersOf(request).has('apikey');
  const headers = { 'www-authenticate': 'Bearer' };
  return given
    ? new RestError(401, 'PGRST301', 'Invalid API key', {
        hint: 'Double check your Supabase `anon` or `service_role` API key.',
        headers,
      })
    : new RestError(401, 'PGRST302', 'No API key found in request', {
        hint: 'No `apikey` request header or url param was found.',
        headers,
      });
}

function send({ status, headers, body }: RestResponse, reply: FastifyReply): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

function fail(error: unknown, scope: Scope, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const answer = toRestError(error, scope);
  if (answer.status === 500) request.log.error({ err: error }, 'REST request failed');
  return reply
    .code(answer.status)
    .headers({ ...answer.headers, 'proxy-status': `PostgREST; error=${answer.code}` })
    .send(answer.toJSON());
}
