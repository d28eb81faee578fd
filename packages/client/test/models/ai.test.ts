import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, embed, generateText, stepCountIs, streamText, tool } from 'ai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { observeModel } from '../../src/ai.ts';
import { type Provider, type ProviderAnswer, startProvider } from '../support/provider.ts';
import { type Recorded, record } from '../support/recorded.ts';

let recorded: Recorded;
let provider: Provider;
let answer: (number: number) => ProviderAnswer;
let openai: ReturnType<typeof createOpenAI>;
beforeAll(async () => {
  recorded = await record();
  provider = await startProvider((_request, number) => answer(number));
  openai = createOpenAI({ apiKey: 'k', baseURL: provider.url });
});
afterAll(async () => {
  await recorded.close();
  await provider.close();
});
// A test that records what it does not look at would be found by the next one.
afterEach(async () => expect(await recorded.events()).toEqual([]));

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
const observed = (options = {}) => observeModel(openai.chat('gpt-4o'), recorded.nowcast, options);

describe('generateText', () => {
  test('is recorded with model, tokens and context, and its text stays in the application', async () => {
    answer = () => completion({ content: 'a secret answer' });
    const { text } = await recorded.nowcast.context({ user_id: 'u1', feature: 'search' }, () =>
      generateText({ model: observed(), prompt }),
    );
    expect(text).toBe('a secret answer');
    const events = await recorded.events();
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
    const first = provider.requests.length;
    answer = (number) =>
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
    expect(await recorded.events()).toMatchObject([
      {
        ...measured,
        metadata: { tool_calls: 2, finish_reasons: ['tool-calls'], prompt: expect.stringContaining(prompt) },
      },
      { ...measured, metadata: { finish_reasons: ['stop'], completion: 'sunny' } },
    ]);
  });

  test('that fails is recorded for each attempt, with the provider’s status, and the error is the SDK’s', async () => {
    answer = () => ({
      status: 429,
      json: { error: { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' } },
    });
    const failure = await generateText({ model: observed(), prompt, maxRetries: 0 }).catch(
      (error: unknown) => error,
    );
    expect(APICallError.isInstance(failure)).toBe(true);
    expect(await recorded.events()).toMatchObject([
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
    answer = () => ({ events: [...hello, ...end] });
    expect(await streamText({ model: observed(), prompt }).text).toBe('Hello');
    expect(await recorded.events()).toMatchObject([
      { ...measured, ttft_ms: expect.any(Number), metadata: { finish_reasons: ['stop'] } },
    ]);
  });

  test('that the application aborts is no error', async () => {
    answer = () => ({ events: [...hello, 'hang'] });
    const user = new AbortController();
    const { textStream } = streamText({ model: observed(), prompt, abortSignal: user.signal });
    for await (const text of textStream) if (text === 'lo') user.abort();
    const events = await recorded.events();
    expect(events).toMatchObject([{ ttft_ms: expect.any(Number), metadata: { aborted: true } }]);
    expect(events[0]).not.toHaveProperty('is_error');
  });

  test('that breaks off in the middle is an error', async () => {
    answer = () => ({ events: [...hello, 'reset'] });
    const read = async () => {
      for await (const _ of streamText({ model: observed(), prompt, onError: () => undefined }).textStream);
    };
    await expect(read()).rejects.toThrow();
    expect(await recorded.events()).toMatchObject([{ is_error: true, ttft_ms: expect.any(Number) }]);
  });
});

test('embed has its tokens', async () => {
  answer = () => ({
    json: {
      object: 'list',
      model: 'text-embedding-3-small',
      data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
      usage: { prompt_tokens: 3, total_tokens: 3 },
    },
  });
  await embed({
    model: observeModel(openai.embedding('text-embedding-3-small'), recorded.nowcast),
    value: 'x',
  });
  expect(await recorded.events()).toMatchObject([
    {
      model_version: 'text-embedding-3-small',
      provider: 'openai',
      input_tokens: 3,
      metadata: { operation: 'embeddings' },
    },
  ]);
});
