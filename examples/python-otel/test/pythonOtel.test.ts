import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SpanStatusCode } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../../../packages/server/test/support/server.ts';
import { findPython } from '../../support/python.ts';

const run = promisify(execFile);
const app = fileURLToPath(new URL('../app.py', import.meta.url));

const python = await findPython('app.py', ['opentelemetry.exporter.otlp.proto.http', 'opentelemetry.sdk']);

let nowcast: TestServer;
beforeAll(async () => {
  nowcast = await startTestServer();
});
afterAll(() => nowcast.close());

/** Ten calls of three users, the last of which fails. */
async function expectTenCalls(): Promise<void> {
  const { body } = await nowcast.get('/rest/v1/inference_logs?feature=eq.search&order=timestamp');
  expect(body).toHaveLength(10);
  expect(body[0]).toMatchObject({
    model_version: 'gpt-4o-2024-08-06',
    provider: 'openai',
    user_id: 'user-0',
    input_tokens: 20,
    output_tokens: 5,
    is_error: false,
    metadata: { service: 'shop' },
  });
  expect(body[0].inference_time_ms).toBeGreaterThan(19);
  expect(body[0].cost_usd).toBeGreaterThan(0);
  expect(body[9]).toMatchObject({ is_error: true, error_message: 'the question is empty' });
}

test.skipIf(python === undefined)('app.py’s calls are stored, with their price', async () => {
  await run(python!, [app, '10'], { env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: nowcast.url } });
  await expectTenCalls();
});

test.skipIf(python === undefined)('the snippet of the README is stored', async () => {
  const readme = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');
  const snippet =
    /```python\n(from opentelemetry[\s\S]*?)```/.exec(readme)?.[1] ?? 'raise Exception("not found")';
  await run(python!, ['-c', snippet.replace('http://127.0.0.1:4318', nowcast.url)]);
  // It names no version: it counts for the one that answered app.py, if that came before.
  const { body } = await nowcast.get('/rest/v1/inference_logs?feature=is.null');
  expect(body).toMatchObject([{ model_version: expect.stringMatching(/^gpt-4o/), input_tokens: 20 }]);
});

// The same spans by the same protocol, so that a break is seen where Python is not.
test.skipIf(python !== undefined)('the spans of app.py are stored when another SDK sends them', async () => {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'shop' }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${nowcast.url}/v1/traces` }))],
  });
  const tracer = provider.getTracer('shop');
  const firstMs = Date.now() - 1_000;
  for (let number = 0; number < 10; number++) {
    const startTime = firstMs + number * 30;
    const attributes = {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-4o',
      'user.id': `user-${number % 3}`,
      'nowcast.feature': 'search',
    };
    const span = tracer.startSpan('chat gpt-4o', { startTime, attributes });
    if (number === 9) span.setStatus({ code: SpanStatusCode.ERROR, message: 'the question is empty' });
    else {
      span.setAttribute('gen_ai.response.model', 'gpt-4o-2024-08-06');
      span.setAttribute('gen_ai.usage.input_tokens', 20);
      span.setAttribute('gen_ai.usage.output_tokens', 5);
    }
    span.end(startTime + 20);
  }
  await provider.shutdown();
  await expectTenCalls();
});
