import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as forExpress from '../src/express.ts';
import * as forFastify from '../src/fastify.ts';
import { type Recorded, record } from './support/recorded.ts';

let recorded: Recorded;
beforeAll(async () => {
  recorded = await record();
});
afterAll(() => recorded.close());
// A test that records what it does not look at would be found by the next one.
afterEach(async () => expect(await recorded.events()).toEqual([]));

/** Called by a service once a request has reached its handler and stays there. */
let onHang: () => void;

interface Service {
  readonly url: string;
  close(): Promise<void>;
}

/** Fails for whoever is not logged in, as an application's own code does. */
function contextOf({ headers }: forExpress.RequestLike) {
  const user = headers['x-user'];
  if (user === undefined) throw new Error('nobody is logged in');
  return { user_id: String(user) };
}

/** A model service as its users write it, once in each framework. */
const services = {
  async Express(): Promise<Service> {
    const { nowcast } = recorded;
    const app: Express = express();
    app.use(express.json());
    app.use(forExpress.requestContext(nowcast, contextOf));
    const inference = forExpress.observeRoute(nowcast, (request: express.Request) => ({
      model_version: request.body.model,
      feature: 'photos',
    }));
    app.post('/predict', inference.middleware, (request, response) => {
      const { kind } = request.body;
      if (kind === 'bad') response.status(422).json({});
      else if (kind === 'broken') throw new Error('the model is not loaded');
      else if (kind === 'hang') onHang();
      else {
        inference.describe(request, { confidence_score: 0.9 });
        inference.describe(request, { prediction_class: 'dog', metadata: { tiles: 4 } });
        response.json({ label: 'dog' });
      }
    });
    app.use((_error: unknown, _request: unknown, response: express.Response, _next: unknown) => {
      response.status(503).json({});
    });
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      async close() {
        server.close();
        server.closeAllConnections();
        await once(server, 'close');
      },
    };
  },

  async Fastify(): Promise<Service> {
    const { nowcast } = recorded;
    const app: FastifyInstance = fastify({ forceCloseConnections: true });
    app.addHook('onRequest', forFastify.requestContext(nowcast, contextOf));
    const inference = forFastify.observeRoute(
      nowcast,
      (request: forFastify.RequestLike & { body?: unknown }) => ({
        model_version: (request.body as { model: string }).model,
        feature: 'photos',
      }),
    );
    app.post<{ Body: { kind: string } }>('/predict', inference.route, async (request, reply) => {
      const { kind } = request.body;
      if (kind === 'bad') return reply.code(422).send({});
      if (kind === 'broken') throw Object.assign(new Error('the model is not loaded'), { statusCode: 503 });
      if (kind === 'hang') {
        onHang();
        return await new Promise(() => undefined);
      }
      inference.describe(request, { confidence_score: 0.9 });
      inference.describe(request, { prediction_class: 'dog', metadata: { tiles: 4 } });
      return { label: 'dog' };
    });
    return { url: await app.listen({ host: '127.0.0.1', port: 0 }), close: () => app.close() };
  },
};

const traceId = '5b8efff798038103d269b633813fc60c';

describe.each(Object.entries(services))('a route of %s', (_name, start) => {
  let service: Service;
  beforeAll(async () => {
    service = await start();
  });
  afterAll(() => service.close());

  const predict = (kind: string, signal?: AbortSignal, user: Record<string, string> = { 'x-user': 'u1' }) =>
    fetch(`${service.url}/predict`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...user,
        traceparent: `00-${traceId}-eee19b7ec3c1b174-01`,
      },
      body: JSON.stringify({ model: 'v1', kind }),
      ...(signal === undefined ? {} : { signal }),
    });

  test('is one inference a request, with what the handler says of it and whom it is for', async () => {
    expect((await predict('good')).status).toBe(200);
    expect(await recorded.events(1)).toMatchObject([
      {
        model_version: 'v1',
        feature: 'photos',
        user_id: 'u1',
        trace_id: traceId,
        inference_time_ms: expect.any(Number),
        input_size_bytes: 28,
        confidence_score: 0.9,
        prediction_class: 'dog',
        metadata: { tiles: 4 },
      },
    ]);
  });

  test('that fails is an error; a request that was refused is no inference', async () => {
    expect((await predict('bad')).status).toBe(422);
    expect((await predict('broken')).status).toBe(503);
    expect(await recorded.events(1)).toMatchObject([
      { model_version: 'v1', is_error: true, error_message: expect.any(String), user_id: 'u1' },
    ]);
  });

  test('whose caller goes is no error', async () => {
    const caller = new AbortController();
    const hanging = new Promise<void>((resolve) => {
      onHang = resolve;
    });
    const gone = predict('hang', caller.signal).catch(() => undefined);
    await hanging;
    caller.abort();
    await gone;
    const events = await recorded.events(1);
    expect(events).toMatchObject([{ model_version: 'v1', metadata: { aborted: true } }]);
    expect(events[0]).not.toHaveProperty('is_error');
  });

  test('whose user cannot be told is answered and counted all the same', async () => {
    expect((await predict('good', undefined, {})).status).toBe(200);
    expect(await recorded.events(1)).toMatchObject([
      { model_version: 'v1', metadata: { undescribed: 'Error: nobody is logged in', tiles: 4 } },
    ]);
  });

  test('whose description fails is counted all the same', async () => {
    expect((await fetch(`${service.url}/predict`, { method: 'POST' })).status).toBeGreaterThanOrEqual(500);
    expect(await recorded.events(1)).toMatchObject([
      { model_version: 'unknown', is_error: true, metadata: { undescribed: expect.any(String) } },
    ]);
  });
});
