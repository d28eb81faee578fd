import { connect, type IncomingHttpHeaders } from 'node:http2';
import { Metadata } from '@grpc/grpc-js';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reservedPort } from './support/ports.ts';
import { startTestServer, type TestServer } from './support/server.ts';

/** Spans as the real SDK makes them. */
function spansOf(feature: string): ReadableSpan[] {
  const memory = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'shop' }),
    spanProcessors: [new SimpleSpanProcessor(memory)],
  });
  const attributes = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-4o',
    'gen_ai.usage.input_tokens': 20,
    'nowcast.feature': feature,
  };
  provider.getTracer('test').startSpan('chat gpt-4o', { attributes }).end();
  return memory.getFinishedSpans();
}

interface Exported {
  readonly code: number;
  readonly error: Error | undefined;
}

/** One export by the real exporter, through the real gRPC client. */
async function send(port: number, feature: string, options: object = {}): Promise<Exported> {
  const exporter = new OTLPTraceExporter({
    url: `http://127.0.0.1:${port}`,
    timeoutMillis: 60_000,
    ...options,
  });
  const exported = await new Promise<Exported>((resolve) =>
    exporter.export(spansOf(feature), ({ code, error }) => resolve({ code, error })),
  );
  await exporter.shutdown();
  return exported;
}

describe('OpenTelemetry by gRPC', () => {
  let server: TestServer;
  let port: number;
  beforeAll(async () => {
    port = await reservedPort();
    server = await startTestServer({ NOWCAST_OTLP_GRPC_PORT: String(port) });
  });
  afterAll(() => server.close());

  test.each(['none', 'gzip'])(
    'stores the spans of the real exporter, compression %s',
    async (compression) => {
      expect(await send(port, compression, { compression })).toMatchObject({ code: 0 });
      const { body } = await server.get(`/rest/v1/inference_logs?feature=eq.${compression}`);
      expect(body).toMatchObject([{ model_version: 'gpt-4o', provider: 'openai', input_tokens: 20 }]);
    },
  );

  test('refuses a name that a web page could have rebound, and services that are none', async () => {
    const call = async (authority: string, path: string) => {
      const session = connect(`http://127.0.0.1:${port}`);
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        ':authority': authority,
        'content-type': 'application/grpc',
      });
      stream.end(Buffer.alloc(5));
      const headers: IncomingHttpHeaders = await new Promise((resolve) => {
        let head: IncomingHttpHeaders = {};
        stream.on('response', (first) => {
          head = first;
        });
        stream.on('trailers', (last) => {
          head = { ...head, ...last };
        });
        stream.on('close', () => resolve(head));
        stream.resume();
      });
      session.close();
      return headers['grpc-status'];
    };
    const traces = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
    expect(await call(`127.0.0.1:${port}`, traces)).toBe('0');
    expect(await call('rebound.example', traces)).toBe('7');
    expect(await call(`127.0.0.1:${port}`, '/other.Service/Call')).toBe('12');
  });

  test('a second server at the same port starts all the same', async () => {
    const second = await startTestServer({
      NOWCAST_OTLP_GRPC_PORT: String(port),
      NOWCAST_LOG_LEVEL: 'silent',
    });
    expect((await second.get('/health')).status).toBe(200);
    await second.close();
  });
});

test('a message that is too large is refused with its limit, and the next one is taken', async () => {
  const port = await reservedPort();
  const server = await startTestServer({
    NOWCAST_OTLP_GRPC_PORT: String(port),
    NOWCAST_MAX_BODY_BYTES: '1024',
  });
  // 8 is RESOURCE_EXHAUSTED.
  expect(await send(port, 'x'.repeat(200_000))).toMatchObject({
    code: 1,
    error: { code: 8, message: expect.stringContaining('NOWCAST_MAX_BODY_BYTES') },
  });
  expect(await send(port, 'small')).toMatchObject({ code: 0 });
  await server.close();
});

test('with keys a call needs one, as metadata', async () => {
  const port = await reservedPort();
  const key = 'an-ingest-key-of-16-or-more';
  const server = await startTestServer({
    NOWCAST_OTLP_GRPC_PORT: String(port),
    NOWCAST_INGEST_KEY: key,
    NOWCAST_SERVICE_KEY: 'a-service-key-of-16-or-more',
  });
  const refused = await send(port, 'without');
  // 16 is UNAUTHENTICATED.
  expect(refused).toMatchObject({ code: 1, error: { code: 16, message: expect.stringContaining('key') } });
  const metadata = new Metadata();
  metadata.set('apikey', key);
  expect(await send(port, 'with', { metadata })).toMatchObject({ code: 0 });
  const { body } = await server.get('/rest/v1/inference_logs', { apikey: 'a-service-key-of-16-or-more' });
  expect(body).toMatchObject([{ feature: 'with' }]);
  await server.close();
});
