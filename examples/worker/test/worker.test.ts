import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
// What a bundler for Cloudflare or Vercel takes of the package.
import * as edge from '../../../packages/client/src/edge.ts';
import { startTestServer, type TestServer } from '../../../packages/server/test/support/server.ts';

vi.mock('nowcast-client', () => edge);
const { default: worker } = await import('../src/worker.js');

let nowcast: TestServer;
let model: http.Server;
let modelUrl: string;
beforeAll(async () => {
  nowcast = await startTestServer({
    NOWCAST_INGEST_KEY: 'an-ingest-key-of-16-or-more',
    NOWCAST_SERVICE_KEY: 'a-service-key-of-16-or-more',
  });
  model = http.createServer((request, response) => {
    if (request.url === '/broken') response.writeHead(503).end();
    else response.end('{"label":"positive","score":0.97}');
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  modelUrl = `http://127.0.0.1:${(model.address() as AddressInfo).port}`;
});
afterAll(async () => {
  model.close();
  await nowcast.close();
});

/** As the platform runs a worker: it may be frozen once it has answered and what is `awaited` has settled. */
async function run(environment: object = {}, awaited: Promise<unknown>[] = []): Promise<Response> {
  const response = await worker.fetch(
    new Request('https://worker.example/', { method: 'POST', body: 'a fine product' }),
    {
      TELEMETRY_URL: nowcast.url,
      TELEMETRY_KEY: 'an-ingest-key-of-16-or-more',
      MODEL_URL: modelUrl,
      ...environment,
    },
    { waitUntil: (promise) => awaited.push(promise) },
  );
  return response;
}

async function rows() {
  const { body } = await nowcast.get('/rest/v1/inference_logs?order=id', {
    apikey: 'a-service-key-of-16-or-more',
  });
  return body;
}

test('each request is stored by the time the platform may freeze the worker', async () => {
  const awaited: Promise<unknown>[] = [];
  expect(await (await run({}, awaited)).json()).toEqual({ label: 'positive', score: 0.97 });
  await Promise.all(awaited);
  expect((await run({ MODEL_URL: `${modelUrl}/broken` }, awaited)).status).toBe(502);
  await Promise.all(awaited);
  expect(await rows()).toMatchObject([
    {
      model_version: 'sentiment-v3',
      feature: 'reviews',
      prediction_class: 'positive',
      confidence_score: 0.97,
      is_error: false,
    },
    { model_version: 'sentiment-v3', is_error: true, error_message: 'the model answered 503' },
  ]);
});

test('with Nowcast down the worker answers as before, without waiting for it', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  expect((await run({ TELEMETRY_URL: 'http://127.0.0.1:1' })).status).toBe(200);
  // Said once, after the answer.
  await expect.poll(() => warn.mock.calls.length).toBe(1);
  warn.mockRestore();
});
