import { gzipSync } from 'node:zlib';
import { type Span, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { protobufSpans } from './support/otlp.ts';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let pool: pg.Pool;
beforeAll(async () => {
  server = await startTestServer();
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
});
afterAll(async () => {
  await pool.end();
  await server.close();
});

async function stored(feature: string) {
  const { rows } = await pool.query('select * from inference_logs where feature = $1 order by id', [feature]);
  return rows;
}

/** The SDK's own ten seconds are little on a machine that stands still. */
const patienceMs = 60_000;

/** Traces with the real SDK until everything was exported. */
async function traced(
  Exporter: typeof JsonExporter | typeof ProtobufExporter,
  compression: 'gzip' | 'none',
  use: (tracer: Tracer) => void,
): Promise<void> {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'shop', 'nowcast.variant': 'blue' }),
    spanProcessors: [
      new BatchSpanProcessor(
        new Exporter({
          url: `${server.url}/v1/traces`,
          timeoutMillis: patienceMs,
          ...(compression === 'gzip' ? { compression: 'gzip' as never } : {}),
        }),
        { exportTimeoutMillis: patienceMs },
      ),
    ],
  });
  use(provider.getTracer('test'));
  await provider.forceFlush();
  await provider.shutdown();
}

const startedAt = Date.now() - 10_000;
const endedAt = startedAt + 1_234.5;

function call(
  tracer: Tracer,
  attributes: Record<string, string | number | string[]>,
  use?: (span: Span) => void,
) {
  const span = tracer.startSpan('chat gpt-4o', { startTime: startedAt, attributes });
  use?.(span);
  span.end(endedAt);
}

describe.each([
  ['protobuf', ProtobufExporter, 'none'],
  ['protobuf, gzip', ProtobufExporter, 'gzip'],
  ['JSON', JsonExporter, 'none'],
  ['JSON, gzip', JsonExporter, 'gzip'],
] as const)("OpenTelemetry's own SDK by %s", (how, Exporter, compression) => {
  test('stores a call with times, tokens, price and who asked, and nothing of what was said', async () => {
    const feature = `summaries ${how}`;
    await traced(Exporter, compression, (tracer) =>
      call(tracer, {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'gpt-4o',
        'gen_ai.response.model': 'gpt-4o-2024-08-06',
        'gen_ai.usage.input_tokens': 1000,
        'gen_ai.usage.output_tokens': 100,
        'gen_ai.usage.cache_read.input_tokens': 400,
        'gen_ai.response.time_to_first_chunk': 0.25,
        'gen_ai.response.finish_reasons': ['stop'],
        'gen_ai.conversation.id': 'conversation 7',
        'gen_ai.agent.name': feature,
        'gen_ai.input.messages': '[{"role":"user","content":"my secret"}]',
        'user.id': 'ada',
        tenant: 'acme',
      }),
    );
    const [row, ...more] = await stored(feature);
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      model_version: 'gpt-4o-2024-08-06',
      timestamp: new Date(endedAt),
      is_error: false,
      provider: 'openai',
      input_tokens: 1000,
      output_tokens: 100,
      cached_input_tokens: 400,
      ttft_ms: 250,
      user_id: 'ada',
      session_id: 'conversation 7',
      variant: 'blue',
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      metadata: {
        operation: 'chat',
        request_model: 'gpt-4o',
        finish_reasons: ['stop'],
        service: 'shop',
        tenant: 'acme',
        span_id: expect.stringMatching(/^[0-9a-f]{16}$/),
      },
    });
    expect(row.inference_time_ms).toBeCloseTo(1234.5, 3);
    // 600 at $2.50, 400 cached at $1.25 and 100 written at $10 a million.
    expect(row.cost_usd).toBeCloseTo(0.003, 10);
    expect(JSON.stringify(row)).not.toContain('secret');
  });

  test('stores a failed call with its error', async () => {
    const feature = `failures ${how}`;
    const attributes = {
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'gpt-4o',
      'gen_ai.agent.name': feature,
    };
    await traced(Exporter, compression, (tracer) => {
      call(tracer, attributes, (span) => {
        span.recordException({ name: 'RateLimitError', message: '429 slow down', stack: 'at secret()' });
        span.setStatus({ code: SpanStatusCode.ERROR });
      });
      call(tracer, { ...attributes, 'error.type': 'timeout' });
    });
    expect(await stored(feature)).toMatchObject([
      { is_error: true, error_message: 'RateLimitError: 429 slow down' },
      { is_error: true, error_message: 'timeout' },
    ]);
  });
});

describe('POST /v1/traces', () => {
  const nanos = (ms: number) => `${BigInt(ms) * 1_000_000n}`;
  const span = (attributes: Record<string, unknown>, fields = {}) => ({
    traceId: '5b8efff798038103d269b633813fc60c',
    spanId: 'eee19b7ec3c1b174',
    startTimeUnixNano: nanos(Date.now() - 1000),
    endTimeUnixNano: nanos(Date.now()),
    attributes: Object.entries(attributes).map(([key, value]) => ({
      key,
      value: typeof value === 'number' ? { intValue: value } : { stringValue: value },
    })),
    ...fields,
  });
  const request = (...spans: unknown[]) => ({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
  const chat = (feature: string) => ({
    'gen_ai.operation.name': 'chat',
    'gen_ai.request.model': 'm',
    'nowcast.feature': feature,
  });

  test('passes over spans that call no model, without an error', async () => {
    const answer = await server.post('/v1/traces', request(span({ 'http.request.method': 'GET' })));
    expect(answer).toEqual({ status: 200, body: {} });
  });

  test('stores what an exporter repeats byte for byte once, and answers it alike', async () => {
    const body = JSON.stringify(
      request(
        span(chat('repeated')),
        span(chat('repeated'), { startTimeUnixNano: nanos(Date.now() + 5000) }),
      ),
    );
    const first = await server.post('/v1/traces', body);
    const again = await server.post('/v1/traces', gzipSync(body), { 'content-encoding': 'gzip' });
    expect(again).toEqual(first);
    expect(await stored('repeated')).toHaveLength(1);
  });

  test('names the spans that break a rule in its partial success, and stores the others', async () => {
    const answer = await server.post(
      '/v1/traces',
      request(span(chat('partial')), span({ 'gen_ai.operation.name': 'chat' })),
    );
    expect(answer.status).toBe(200);
    expect(answer.body.partialSuccess).toEqual({
      rejectedSpans: '1',
      errorMessage: expect.stringContaining('model_version is required'),
    });
    expect(await stored('partial')).toHaveLength(1);
  });

  test.each([
    ['no OTLP', '{"resourceSpans":7}', {}, 400, 3, 'resourceSpans must be an array'],
    ['no JSON', '{', {}, 400, 3, 'must be JSON'],
    ['another type', 'a=b', { 'content-type': 'text/plain' }, 415, 3, 'application/x-protobuf'],
    ['an unknown encoding', '{}', { 'content-encoding': 'zstd' }, 415, 3, 'gzip'],
    ['a bomb', gzipSync(Buffer.alloc(40_000_000)), { 'content-encoding': 'gzip' }, 413, 8, 'must not exceed'],
  ])('answers a google.rpc.Status to %s', async (_what, body, headers, status, code, message) => {
    const answer = await server.post('/v1/traces', body, headers);
    expect(answer).toEqual({ status, body: { code, message: expect.stringContaining(message) } });
  });

  test('answers a broken protobuf in protobuf', async () => {
    const answer = await fetch(`${server.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: new Uint8Array([0x0a, 0x7f, 0x01]),
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/x-protobuf');
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect([...bytes.subarray(0, 2)]).toEqual([0x08, 3]);
    expect(bytes.toString()).toContain('the body is no OTLP protobuf');
  });

  test('answers 503 with Retry-After while too much is waiting', async () => {
    const full = await startTestServer({ NOWCAST_MAX_PENDING_BYTES: '64KiB' });
    try {
      const answer = await fetch(`${full.url}/v1/traces`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request(span({ ...chat('full'), 'gen_ai.input.messages': 'x'.repeat(70_000) }))),
      });
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('1');
      expect(await answer.json()).toMatchObject({ code: 14 });
    } finally {
      await full.close();
    }
  });

  test('answers protobuf in protobuf: nothing when all is well, else the number and the reason', async () => {
    const send = async (...spans: unknown[]) => {
      const answer = await fetch(`${server.url}/v1/traces`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: new Uint8Array(protobufSpans(request(...spans))),
      });
      expect(answer.status).toBe(200);
      return Buffer.from(await answer.arrayBuffer());
    };
    expect(await send(span(chat('protobuf')))).toHaveLength(0);
    const told = await send(span({ 'gen_ai.operation.name': 'chat' }), span(chat('protobuf')));
    // partial_success (field 1) with rejected_spans = 1 (field 1) and error_message (field 2).
    expect([...told.subarray(0, 5)]).toEqual([0x0a, told.length - 2, 0x08, 1, 0x12]);
    expect(told.subarray(6).toString()).toContain('model_version is required');
    expect(await stored('protobuf')).toHaveLength(2);
  });

  test('answers 401 without a key, and 429 with Retry-After to one that sends too much', async () => {
    const limited = await startTestServer({ NOWCAST_INGEST_KEY: 'k', NOWCAST_RATE_LIMIT: '1' });
    try {
      expect(await limited.post('/v1/traces', request(span(chat('limited'))))).toMatchObject({
        status: 401,
        body: { code: 16 },
      });
      const headers = { authorization: 'Bearer k' };
      const spans = Array.from({ length: 50 }, () => span(chat('limited')));
      const send = () =>
        fetch(`${limited.url}/v1/traces`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(request(...spans)),
        });
      let answer = await send();
      while (answer.ok) answer = await send();
      expect(answer.status).toBe(429);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await answer.json()).toMatchObject({ code: 8 });
    } finally {
      await limited.close();
    }
  });
});

test.each([
  ['/v1/logs', { resourceLogs: [{ scopeLogs: [{ logRecords: [{}, {}] }] }] }, 'rejectedLogRecords'],
  [
    '/v1/metrics',
    { resourceMetrics: [{ scopeMetrics: [{ metrics: [{ sum: { dataPoints: [{}, {}] } }] }] }] },
    'rejectedDataPoints',
  ],
])('%s says that nothing of it is stored', async (path, body, rejectedName) => {
  const answer = await server.post(path, body);
  expect(answer).toEqual({
    status: 200,
    body: { partialSuccess: { [rejectedName]: '2', errorMessage: expect.stringContaining('not stored') } },
  });
});
