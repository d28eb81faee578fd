import { createOpenAI } from '@ai-sdk/openai';
import {
  APICallError,
  embed,
  generateText,
  stepCountIs,
  streamText,
  tool,
  wrapEmbeddingModel,
  wrapLanguageModel,
} from 'ai';
import { MockLanguageModelV3, simulateReadableStream } from 'ai/test';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { nowcastMiddleware, type ObserveOptions, observeModel } from '../../src/ai.ts';
import { withProvider } from '../support/withProvider.ts';

const set = withProvider();
let openai: ReturnType<typeof createOpenAI>;
beforeAll(() => {
  openai = createOpenAI({ apiKey: 'k', baseURL: set.provider.url });
});

const prompt = 'a secret question';
const usage = {
  prompt_tokens: 20,
  completion_tokens: 5,
  total_tokens: 25,
  prompt_tokens_details: { cached_tokens: 16 },
  completion_tokens_details: { reasoning_tokens: 2 },
};
const head = { id: 'chatcmpl-1', created: 1, model: 'gpt-4o-2024-08-06' };
const call = (id: string) => ({ id, type: 'function', function: { name: 'weather', arguments: '{}' } });

function completion(message: object, finish_reason = 'stop') {
  return {
    json: {
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }],
      usage,
    },
  };
}

function chunk(delta: object, finish_reason: string | null = null) {
  return {
    data: { ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] },
  };
}
const hello = [
  chunk({ role: 'assistant', content: '' }),
  chunk({ content: 'Hel' }),
  chunk({ content: 'lo' }),
];
const end = [
  chunk({}, 'stop'),
  { data: { ...head, object: 'chat.completion.chunk', choices: [], usage } },
  { data: '[DONE]' },
];

const measured = {
  model_version: 'gpt-4o-2024-08-06',
  provider: 'openai',
  inference_time_ms: expect.any(Number),
  input_tokens: 20,
  cached_input_tokens: 16,
  output_tokens: 5,
};
const observed = (options = {}) => observeModel(openai.chat('gpt-4o'), set.recorded.nowcast, options);

describe('generateText', () => {
  test('is recorded with model, tokens and context, and its text stays in the application', async () => {
    set.answer = () => completion({ content: 'a secret answer' });
    const { text } = await set.recorded.nowcast.context({ user_id: 'u1', feature: 'search' }, () =>
      generateText({ model: observed(), prompt }),
    );
    expect(text).toBe('a secret answer');
    const events = await set.recorded.events();
    expect(events).toMatchObject([
      {
        ...measured,
        user_id: 'u1',
        feature: 'search',
        metadata: {
          request_model: 'gpt-4o',
          finish_reasons: ['stop'],
          reasoning_tokens: 2,
          response_id: 'chatcmpl-1',
        },
      },
    ]);
    expect(JSON.stringify(events)).not.toContain('secret');
  });

  test('records each step of a conversation with tools', async () => {
    const first = set.provider.requests.length;
    set.answer = (number) =>
      number === first
        ? completion({ content: null, tool_calls: [call('c1'), call('c2')] }, 'tool_calls')
        : completion({ content: 'sunny' });
    const { text } = await generateText({
      model: observed({ captureContent: true }),
      prompt,
      tools: { weather: tool({ inputSchema: z.object({}), execute: async () => 'sun' }) },
      stopWhen: stepCountIs(3),
    });
    expect(text).toBe('sunny');
    expect(await set.recorded.events()).toMatchObject([
      {
        ...measured,
        metadata: { tool_calls: 2, finish_reasons: ['tool-calls'], prompt: expect.stringContaining(prompt) },
      },
      { ...measured, metadata: { finish_reasons: ['stop'], completion: 'sunny' } },
    ]);
  });

  test('that fails is recorded for each attempt, with the provider’s status, and the error is the SDK’s', async () => {
    set.answer = () => ({
      status: 429,
      json: { error: { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' } },
    });
    const failure = await generateText({ model: observed(), prompt, maxRetries: 0 }).catch(
      (error: unknown) => error,
    );
    expect(APICallError.isInstance(failure)).toBe(true);
    expect(await set.recorded.events()).toMatchObject([
      {
        model_version: 'gpt-4o',
        is_error: true,
        error_message: 'slow down',
        metadata: { error_status: 429 },
      },
    ]);
  });
});

describe('streamText', () => {
  test('has time to the first token and tokens', async () => {
    set.answer = () => ({ events: [...hello, ...end] });
    expect(await streamText({ model: observed(), prompt }).text).toBe('Hello');
    expect(await set.recorded.events()).toMatchObject([
      { ...measured, ttft_ms: expect.any(Number), metadata: { finish_reasons: ['stop'] } },
    ]);
  });

  test('that the application aborts is no error', async () => {
    set.answer = () => ({ events: [...hello, 'hang'] });
    const user = new AbortController();
    const { textStream } = streamText({ model: observed(), prompt, abortSignal: user.signal });
    for await (const text of textStream) if (text === 'lo') user.abort();
    const events = await set.recorded.events();
    expect(events).toMatchObject([{ ttft_ms: expect.any(Number), metadata: { aborted: true } }]);
    expect(events[0]).not.toHaveProperty('is_error');
  });

  test('that breaks off in the middle is an error', async () => {
    let hasRead = () => {};
    const read = new Promise<void>((resolve) => (hasRead = resolve));
    set.answer = () => ({ events: [...hello, read, 'reset'] });
    const { textStream } = streamText({ model: observed(), prompt, onError: () => undefined });
    const readAll = async () => {
      for await (const text of textStream) if (text === 'lo') hasRead();
    };
    await expect(readAll()).rejects.toThrow();
    expect(await set.recorded.events()).toMatchObject([{ is_error: true, ttft_ms: expect.any(Number) }]);
  });
});

test('embed has its tokens', async () => {
  set.answer = () => ({
    json: {
      object: 'list',
      model: 'text-embedding-3-small',
      data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
      usage: { prompt_tokens: 3, total_tokens: 3 },
    },
  });
  await embed({
    model: observeModel(openai.embedding('text-embedding-3-small'), set.recorded.nowcast),
    value: 'x',
  });
  expect(await set.recorded.events()).toMatchObject([
    {
      model_version: 'text-embedding-3-small',
      provider: 'openai',
      input_tokens: 3,
      metadata: { operation: 'embeddings' },
    },
  ]);
});

describe('nowcastMiddleware', () => {
  const usage3 = {
    inputTokens: { total: 20, noCache: 4, cacheRead: 16, cacheWrite: undefined },
    outputTokens: { total: 5, text: 5, reasoning: undefined },
  };
  const finishReason = { unified: 'stop' as const, raw: 'stop' };
  const wrapped = (model: MockLanguageModelV3, options: ObserveOptions = {}) =>
    wrapLanguageModel({ model, middleware: nowcastMiddleware(set.recorded.nowcast, options) });

  test('records whole answers, tool calls and failures of a wrapped model', async () => {
    const calls = [{ type: 'tool-call' as const, toolCallId: 'c1', toolName: 'weather', input: '{}' }];
    const text = [{ type: 'text' as const, text: 'sunny' }];
    const results = [calls, text].map((content) => ({ content, finishReason, usage: usage3, warnings: [] }));
    const model = wrapped(
      new MockLanguageModelV3({ modelId: 'mock-1', provider: 'mock.chat', doGenerate: results }),
    );
    const answered = await generateText({
      model,
      prompt,
      tools: { weather: tool({ inputSchema: z.object({}), execute: async () => 'sun' }) },
      stopWhen: stepCountIs(2),
    });
    expect(answered.text).toBe('sunny');
    const failing = wrapped(
      new MockLanguageModelV3({
        modelId: 'mock-1',
        doGenerate: async () => {
          throw new Error('overloaded');
        },
      }),
    );
    await expect(generateText({ model: failing, prompt, maxRetries: 0 })).rejects.toThrow('overloaded');
    const tokens = { model_version: 'mock-1', input_tokens: 20, cached_input_tokens: 16, output_tokens: 5 };
    expect(await set.recorded.events()).toMatchObject([
      { ...tokens, provider: 'mock', metadata: { tool_calls: 1, operation: 'chat' } },
      { ...tokens, provider: 'mock', metadata: { finish_reasons: ['stop'] } },
      { model_version: 'mock-1', is_error: true, error_message: 'overloaded' },
    ]);
  });

  test('records streams, also those that nobody reads', async () => {
    const model = new MockLanguageModelV3({
      modelId: 'mock-1',
      doStream: async () => ({
        stream: simulateReadableStream({
          initialDelayInMs: null,
          chunkDelayInMs: null,
          chunks: [
            { type: 'text-start', id: '1' },
            { type: 'text-delta', id: '1', delta: 'Hello' },
            { type: 'text-end', id: '1' },
            { type: 'finish', finishReason, usage: usage3 },
          ],
        }),
      }),
    });
    await wrapped(model, { idleTimeoutMs: 1 }).doStream({ prompt: [] });
    expect(await set.recorded.events(1)).toMatchObject([
      { model_version: 'mock-1', metadata: { aborted: true } },
    ]);
    expect(await streamText({ model: wrapped(model), prompt }).text).toBe('Hello');
    expect(await set.recorded.events()).toMatchObject([
      { ttft_ms: expect.any(Number), output_tokens: 5, metadata: { finish_reasons: ['stop'] } },
    ]);
  });

  test('records embeddings', async () => {
    set.answer = () => ({
      json: {
        object: 'list',
        model: 'text-embedding-3-small',
        data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
        usage: { prompt_tokens: 3, total_tokens: 3 },
      },
    });
    const model = wrapEmbeddingModel({
      model: openai.embedding('text-embedding-3-small'),
      middleware: nowcastMiddleware(set.recorded.nowcast),
    });
    await embed({ model, value: 'x' });
    expect(await set.recorded.events()).toMatchObject([
      { input_tokens: 3, metadata: { operation: 'embeddings' } },
    ]);
  });
});
