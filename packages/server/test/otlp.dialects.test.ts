import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HttpError } from '../src/ingest/httpError.ts';
import { isWanted } from '../src/ingest/otlp/attributes.ts';
import { readJsonSpans } from '../src/ingest/otlp/json.ts';
import { ModelCalls } from '../src/ingest/otlp/modelCalls.ts';
import { readProtobufSpans } from '../src/ingest/otlp/protobuf.ts';
import { microsOf, millisBetween } from '../src/ingest/otlp/span.ts';
import { protobufSpans } from './support/otlp.ts';

type Value = string | number | boolean | readonly string[];

const startMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const nanos = (ms: number) => String(BigInt(ms) * 1_000_000n);

function anyValue(value: Value): unknown {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') {
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  }
  return { arrayValue: { values: value.map((stringValue) => ({ stringValue })) } };
}

const attributesOf = (attributes: Record<string, Value>) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));

function span(attributes: Record<string, Value>, more: Record<string, unknown> = {}) {
  return {
    traceId: 'aa',
    spanId: 'bb',
    startTimeUnixNano: nanos(startMs),
    endTimeUnixNano: nanos(startMs + 2_000),
    attributes: attributesOf(attributes),
    ...more,
  };
}

const request = (spans: unknown[], resource: Record<string, Value> = {}) => ({
  resourceSpans: [{ resource: { attributes: attributesOf(resource) }, scopeSpans: [{ spans }] }],
});

function read(spans: unknown[], resource: Record<string, Value> = {}, calls = new ModelCalls()) {
  return calls.read(readJsonSpans(request(spans, resource), isWanted));
}

describe('each dialect says the same', () => {
  const common = { input_tokens: 1000, output_tokens: 50, cached_input_tokens: 400, inference_time_ms: 2000 };

  test.each<[string, Record<string, Value>, Record<string, unknown>]>([
    [
      'GenAI conventions, newest',
      {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'anthropic',
        'gen_ai.request.model': 'claude-sonnet-4',
        'gen_ai.response.model': 'claude-sonnet-4-20250514',
        'gen_ai.usage.input_tokens': 1000,
        'gen_ai.usage.output_tokens': 50,
        'gen_ai.usage.cache_read.input_tokens': 400,
        'gen_ai.usage.cache_write.input_tokens': 100,
        'gen_ai.usage.reasoning.output_tokens': 20,
        'gen_ai.response.time_to_first_chunk': 0.3,
        'gen_ai.response.finish_reasons': ['stop'],
        'gen_ai.conversation.id': 's',
        'gen_ai.workflow.name': 'f',
        'enduser.id': 'u',
      },
      {
        model_version: 'claude-sonnet-4-20250514',
        provider: 'anthropic',
        ttft_ms: 300,
        user_id: 'u',
        session_id: 's',
        feature: 'f',
        // 500 at $3, 400 read from the cache at $0.30, 100 written to it at $3.75, 50 out at $15 a million.
        cost_usd: expect.closeTo(0.002745, 9),
        metadata: expect.objectContaining({
          cache_write_tokens: 100,
          reasoning_tokens: 20,
          finish_reasons: ['stop'],
        }),
      },
    ],
    [
      'GenAI conventions, older',
      {
        'gen_ai.system': 'openai',
        'gen_ai.request.model': 'gpt-4o',
        'gen_ai.usage.prompt_tokens': 1000,
        'gen_ai.usage.completion_tokens': 50,
        'gen_ai.usage.cache_read_input_tokens': 400,
      },
      { model_version: 'gpt-4o', provider: 'openai' },
    ],
    [
      'OpenInference',
      {
        'openinference.span.kind': 'LLM',
        'llm.provider': 'openai',
        'llm.system': 'openai',
        'llm.model_name': 'gpt-4o',
        'llm.token_count.prompt': 1000,
        'llm.token_count.completion': 50,
        'llm.token_count.prompt_details.cache_read': 400,
        'llm.cost.total': 0.25,
        'session.id': 's',
        'user.id': 'u',
        'llm.finish_reason': 'length',
      },
      {
        model_version: 'gpt-4o',
        provider: 'openai',
        cost_usd: 0.25,
        session_id: 's',
        user_id: 'u',
        metadata: expect.objectContaining({ finish_reasons: ['length'] }),
      },
    ],
    [
      'OpenLLMetry',
      {
        'llm.request.type': 'chat',
        'gen_ai.system': 'OpenAI',
        'gen_ai.request.model': 'gpt-4o',
        'gen_ai.response.model': 'gpt-4o-2024-08-06',
        'gen_ai.usage.input_tokens': 1000,
        'gen_ai.usage.output_tokens': 50,
        'gen_ai.usage.cache_read_input_tokens': 400,
        'llm.usage.total_tokens': 1050,
        'traceloop.association.properties.user_id': 'u',
        'traceloop.association.properties.session_id': 's',
        'traceloop.workflow.name': 'f',
      },
      { model_version: 'gpt-4o-2024-08-06', user_id: 'u', session_id: 's', feature: 'f' },
    ],
    [
      'Vercel AI SDK, legacy names',
      {
        'operation.name': 'ai.streamText.doStream f',
        'ai.operationId': 'ai.streamText.doStream',
        'ai.model.id': 'gpt-4o',
        'ai.model.provider': 'openai.chat',
        'ai.usage.inputTokens': 1000,
        'ai.usage.outputTokens': 50,
        'ai.usage.inputTokenDetails.cacheReadTokens': 400,
        'ai.usage.inputTokenDetails.cacheWriteTokens': 30,
        'ai.usage.outputTokenDetails.reasoningTokens': 12,
        'ai.response.msToFirstChunk': 312.5,
        'ai.response.finishReason': 'stop',
        'ai.telemetry.functionId': 'f',
        'ai.telemetry.metadata.userId': 'u',
        'ai.telemetry.metadata.sessionId': 's',
      },
      {
        model_version: 'gpt-4o',
        provider: 'openai',
        ttft_ms: 312.5,
        feature: 'f',
        user_id: 'u',
        session_id: 's',
        metadata: expect.objectContaining({ cache_write_tokens: 30, reasoning_tokens: 12 }),
      },
    ],
    [
      'Vercel AI SDK 7',
      {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'gpt-4o',
        'gen_ai.usage.input_tokens': 1000,
        'gen_ai.usage.output_tokens': 50,
        'gen_ai.usage.cache_read.input_tokens': 400,
        'gen_ai.client.operation.time_to_first_chunk': 0.5,
        'gen_ai.agent.name': 'f',
        'ai.settings.context.userId': 'u',
      },
      { ttft_ms: 500, feature: 'f', user_id: 'u' },
    ],
  ])('%s', (_dialect, attributes, expected) => {
    expect(read([span(attributes)])).toMatchObject([{ ...common, ...expected }]);
  });

  test('what an application sets by itself wins over every dialect, on the span and on the resource', () => {
    const [event] = read(
      [
        span({
          'gen_ai.operation.name': 'chat',
          'gen_ai.request.model': 'm',
          'gen_ai.agent.name': 'agent',
          'nowcast.feature': 'search',
          'nowcast.value_usd': 0.5,
        }),
      ],
      { 'nowcast.variant': 'b', 'nowcast.feature': 'whole service' },
    );
    expect(event).toMatchObject({ feature: 'search', variant: 'b', value_usd: 0.5 });
  });

  test('a service is the feature where nothing else is', () => {
    const call = span({ 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'm' });
    expect(read([call], { 'service.name': 'shop' })).toMatchObject([{ feature: 'shop' }]);
    expect(read([call], { 'service.name': 'unknown_service:node' })[0]!.feature).toBeUndefined();
  });

  test('a first token is also told by an event of the span', () => {
    const events = [{ name: 'First Token Stream Event', timeUnixNano: nanos(startMs + 120) }];
    const call = span({ 'openinference.span.kind': 'LLM', 'llm.model_name': 'm' }, { events });
    expect(read([call])).toMatchObject([{ ttft_ms: 120 }]);
  });

  test('cached tokens that exceed the input were counted apart from it', () => {
    const call = span({
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'm',
      'gen_ai.usage.input_tokens': 10,
      'gen_ai.usage.cache_read.input_tokens': 90,
    });
    expect(read([call])).toMatchObject([{ input_tokens: 100, cached_input_tokens: 90 }]);
  });
});

describe('each call counts once', () => {
  const usage = { 'gen_ai.request.model': 'm', 'gen_ai.usage.input_tokens': 7 };
  const llm = { 'openinference.span.kind': 'LLM', 'llm.model_name': 'm' };

  test.each<[string, Record<string, Value>]>([
    ['an agent', { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.system': 'openai', ...usage }],
    ['a tool', { 'gen_ai.operation.name': 'execute_tool', ...usage }],
    ["the AI SDK's whole call", { 'ai.operationId': 'ai.generateText', 'gen_ai.system': 'openai', ...usage }],
    ['an operation unheard of, without a model', { 'gen_ai.operation.name': 'handoff' }],
    ['a chain', { 'openinference.span.kind': 'CHAIN', 'llm.model_name': 'm' }],
    ['a workflow', { 'traceloop.span.kind': 'workflow', 'gen_ai.system': 'openai', ...usage }],
    ['a request', { 'http.request.method': 'POST', 'url.path': '/' }],
  ])('%s is no call to a model', (_what, attributes) => {
    expect(read([span(attributes)])).toEqual([]);
  });

  test('a call around another one is passed over, in one request and across two', () => {
    const inner = span(llm, {
      spanId: 'in',
      parentSpanId: 'mid',
      attributes: attributesOf({ ...llm, 'user.id': 'inner' }),
    });
    const middle = span({ 'url.path': '/' }, { spanId: 'mid', parentSpanId: 'out' });
    const outer = span(llm, { spanId: 'out' });
    expect(read([inner, middle, outer])).toMatchObject([{ user_id: 'inner' }]);

    const calls = new ModelCalls();
    expect(read([{ ...inner, parentSpanId: 'out' }], {}, calls)).toHaveLength(1);
    expect(read([outer], {}, calls)).toEqual([]);
  });

  test('a chain of calls is one call, however long; one that names itself its parent is one too', () => {
    const chain = Array.from({ length: 100_000 }, (_, index) => ({
      ...span(llm),
      spanId: `${index}`,
      parentSpanId: `${index + 1}`,
    }));
    expect(read(chain)).toHaveLength(1);
    expect(read([span(llm, { spanId: 'self', parentSpanId: 'self' })])).toHaveLength(1);
  });

  test('a failed call counts for the version that answered to its name last', () => {
    const chat = { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'gpt-4o' };
    const events = read([
      span({ ...chat, 'gen_ai.response.model': 'gpt-4o-2024-08-06' }),
      span({ ...chat, 'error.type': 'timeout' }),
      // A router answers with another model: its name says nothing about the next call.
      span({ ...chat, 'gen_ai.request.model': 'auto', 'gen_ai.response.model': 'gpt-4o-mini' }),
      span({ ...chat, 'gen_ai.request.model': 'auto', 'error.type': 'timeout' }),
    ]);
    expect(events.map(({ model_version }) => model_version)).toEqual([
      'gpt-4o-2024-08-06',
      'gpt-4o-2024-08-06',
      'gpt-4o-mini',
      'auto',
    ]);
  });
});

test('what was said is not read, under whatever name it comes', () => {
  const secret = 'my secret';
  const [event] = read([
    span(
      {
        'gen_ai.operation.name': 'chat',
        'gen_ai.request.model': 'm',
        'gen_ai.input.messages': secret,
        'gen_ai.output.messages': secret,
        'gen_ai.system_instructions': secret,
        'gen_ai.prompt.0.content': secret,
        'gen_ai.completion.0.content': secret,
        'gen_ai.tool.call.arguments': secret,
        'llm.input_messages.0.message.content': secret,
        'input.value': secret,
        'output.value': secret,
        'llm.prompt_template.variables': secret,
        'retrieval.documents.0.document.content': secret,
        'traceloop.entity.input': secret,
        'ai.prompt.messages': secret,
        'ai.response.text': secret,
        'ai.request.headers.authorization': secret,
        'ai.telemetry.metadata.question': secret,
        'mlflow.spanInputs': secret,
        'langfuse.observation.output': secret,
        'myapp.userQuestion': secret,
        'app.prompt_text': secret,
        'app.long': 'x'.repeat(201),
        metadata: secret,
        tenant: 'acme',
        'app.request_id': '77',
        'app.retries': 2,
      },
      {
        events: [{ name: 'gen_ai.user.message', attributes: attributesOf({ content: secret }) }],
      },
    ),
  ]);
  expect(JSON.stringify(event)).not.toContain(secret);
  expect(event!.metadata).toMatchObject({ tenant: 'acme', 'app.request_id': '77', 'app.retries': 2 });
  expect(event!.metadata).not.toHaveProperty(['app.long']);
});

test('times are exact to the microsecond, durations to the nanosecond', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 62n }),
      fc.bigInt({ min: 0n, max: 8_640_000n * 10n ** 9n }),
      (start, duration) => {
        const half = (value: bigint) => ({ high: Number(value >> 32n), low: Number(value & 0xffff_ffffn) });
        expect(BigInt(microsOf(half(start)))).toBe(start / 1000n);
        expect(millisBetween(half(start), half(start + duration))).toBe(Number(duration) / 1e6);
      },
    ),
  );
});

test('an id is hexadecimal in small letters, however it came, and of zeroes alone none', () => {
  const [trace, parent, own] = ['5b8efff798038103d269b633813fc60c', 'eee19b7ec3c1b174', '00f067aa0ba902b7'];
  const chat = { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'gpt-4o' };
  const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
  for (const spelt of [(hex: string) => hex.toUpperCase(), base64]) {
    const ids = { traceId: spelt(trace), spanId: spelt(own), parentSpanId: spelt(parent) };
    const [read] = readJsonSpans(request([span(chat, ids)]), isWanted)[0]!.spans;
    expect(read).toMatchObject({ traceId: trace, spanId: own, parentSpanId: parent });
  }
  // A root that says so by zeroes is nobody's child, not the child of another one.
  const zeroes = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), parentSpanId: '0'.repeat(16) };
  const body = request([span(chat, zeroes), span(chat, { ...zeroes, spanId: own })]);
  for (const spans of [readJsonSpans(body, isWanted), readProtobufSpans(protobufSpans(body), isWanted)]) {
    const events = new ModelCalls().read(spans);
    expect(
      events.map(({ trace_id, metadata }) => [trace_id, (metadata as Record<string, unknown>).span_id]),
    ).toEqual([
      [undefined, undefined],
      [undefined, own],
    ]);
  }
});

describe('both encodings', () => {
  const value = fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => (Number.isInteger(x) ? 0.5 : x)),
    fc.array(fc.string(), { maxLength: 3 }),
  );
  const name = fc.oneof(
    fc.constantFrom('gen_ai.operation.name', 'gen_ai.usage.input_tokens', 'user.id', 'gen_ai.input.messages'),
    fc.string({ maxLength: 20 }),
  );
  const attributes = fc.dictionary(name, value, { maxKeys: 6, noNullPrototype: true });
  const id = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex'));
  const time = fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String);
  const spans = fc.array(
    fc.record({
      traceId: id,
      spanId: id,
      parentSpanId: fc.oneof(fc.constant(''), id),
      name: fc.string(),
      startTimeUnixNano: time,
      endTimeUnixNano: time,
      attributes: attributes.map(attributesOf),
      events: fc.array(
        fc.record({ timeUnixNano: time, name: fc.string(), attributes: attributes.map(attributesOf) }),
        { maxLength: 2 },
      ),
      status: fc.record({ code: fc.constantFrom(0, 1, 2), message: fc.string() }),
    }),
    { maxLength: 4 },
  );

  test('are read alike', () => {
    fc.assert(
      fc.property(spans, attributes, (some, resource) => {
        const body = request(some, resource);
        expect(readProtobufSpans(protobufSpans(body), isWanted)).toEqual(readJsonSpans(body, isWanted));
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ['longer than its message', [0x0a, 0x02, 0x12, 0x05, 0x08, 0x80, 0x01, 0x08, 0x01]],
    ['longer than the body', [0x0a, 0x7f, 0x12]],
    ['of no type', [0x0f]],
  ])('refuse a field %s', (_what, bytes) => {
    expect(() => readProtobufSpans(Buffer.from(bytes), isWanted)).toThrow('the body is no OTLP protobuf');
  });

  test('refuse what is broken with 400, and fail in no other way', () => {
    fc.assert(
      fc.property(
        spans,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        fc.nat(),
        (some, changes, cut) => {
          const body = protobufSpans(request(some));
          for (const [at, byte] of changes) if (body.length > 0) body[at % body.length] = byte;
          try {
            new ModelCalls().read(readProtobufSpans(body.subarray(0, body.length - (cut % 3)), isWanted));
          } catch (error) {
            expect(error).toBeInstanceOf(HttpError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('take whatever value an attribute has', () => {
    const names = fc.constantFrom(
      'nowcast.model_version',
      'nowcast.provider',
      'nowcast.input_tokens',
      'nowcast.cost_usd',
      'gen_ai.request.model',
      'gen_ai.response.model',
      'gen_ai.provider.name',
      'gen_ai.usage.input_tokens',
      'gen_ai.usage.cache_read.input_tokens',
      'gen_ai.response.finish_reasons',
      'user.id',
    );
    fc.assert(
      fc.property(fc.dictionary(names, value, { noNullPrototype: true }), (some) => {
        expect(read([span({ 'gen_ai.operation.name': 'chat', ...some })])).toHaveLength(1);
      }),
      { numRuns: 300 },
    );
  });

  test('refuse any JSON of another shape with 400', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(6), (junk, depth) => {
        const shapes = [
          junk,
          { resourceSpans: junk },
          { resourceSpans: [{ resource: junk }] },
          { resourceSpans: [{ scopeSpans: junk }] },
          request([junk]),
          request([{ attributes: junk }]),
          request([{ attributes: [{ key: 'user.id', value: junk }], startTimeUnixNano: junk }]),
        ];
        try {
          new ModelCalls().read(readJsonSpans(shapes[depth], isWanted));
        } catch (error) {
          expect(error).toBeInstanceOf(HttpError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
