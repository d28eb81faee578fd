import OpenAI, { APIUserAbortError, RateLimitError } from 'openai';
import { beforeAll, describe, expect, test } from 'vitest';
import { observeOpenAI } from '../../src/openai.ts';
import { withProvider } from '../support/withProvider.ts';

const set = withProvider();
let plain: OpenAI;
let openai: OpenAI;
beforeAll(() => {
  plain = new OpenAI({ apiKey: 'k', baseURL: set.provider.url, maxRetries: 0 });
  openai = observeOpenAI(plain, set.recorded.nowcast, { streamUsage: true });
});

const asked = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: 'a secret question' }] };
const usage = {
  prompt_tokens: 20,
  completion_tokens: 5,
  total_tokens: 25,
  prompt_tokens_details: { cached_tokens: 16 },
  completion_tokens_details: { reasoning_tokens: 2 },
};
const tool = { type: 'function' as const, function: { name: 'weather', parameters: {} } };

function completion(message: object, finishReason = 'stop') {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'gpt-4o-2024-08-06',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finishReason }],
    usage,
  };
}

function chunk(delta: object, finishReason: string | null = null) {
  const choices = [{ index: 0, delta, finish_reason: finishReason }];
  return {
    data: {
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'gpt-4o-2024-08-06',
      choices,
    },
  };
}
const usageChunk = {
  data: {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'gpt-4o-2024-08-06',
    choices: [],
    usage,
  },
};
const done = { data: '[DONE]' };

const measured = {
  model_version: 'gpt-4o-2024-08-06',
  provider: 'openai',
  inference_time_ms: expect.any(Number),
  input_tokens: 20,
  cached_input_tokens: 16,
  output_tokens: 5,
};

describe('a chat', () => {
  test('is recorded with model, tokens and context, and its text stays in the application', async () => {
    set.answer = () => ({ json: completion({ content: 'a secret answer' }) });
    const said = await set.recorded.nowcast.context({ user_id: 'u1', feature: 'search', variant: 'b' }, () =>
      openai.chat.completions.create(asked),
    );
    expect(said.choices[0]?.message.content).toBe('a secret answer');
    const events = await set.recorded.events();
    expect(events).toMatchObject([
      {
        ...measured,
        user_id: 'u1',
        feature: 'search',
        variant: 'b',
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

  test('that calls tools says how many and why it ended', async () => {
    const call = {
      id: 'call-1',
      type: 'function',
      function: { name: 'weather', arguments: '{"at":"secret"}' },
    };
    set.answer = () => ({
      json: completion({ content: null, tool_calls: [call, { ...call, id: 'call-2' }] }, 'tool_calls'),
    });
    await openai.chat.completions.create({ ...asked, tools: [tool] });
    const events = await set.recorded.events();
    expect(events).toMatchObject([{ metadata: { tool_calls: 2, finish_reasons: ['tool_calls'] } }]);
    expect(JSON.stringify(events)).not.toContain('secret');
  });

  test('keeps its text where that was asked for', async () => {
    set.answer = () => ({ json: completion({ content: 'an answer' }) });
    await observeOpenAI(plain, set.recorded.nowcast, { captureContent: true }).chat.completions.create(asked);
    expect(await set.recorded.events()).toMatchObject([
      { metadata: { prompt: '[{"role":"user","content":"a secret question"}]', completion: 'an answer' } },
    ]);
  });

  test('gives withResponse(), asResponse() and the helpers as the SDK does, each recorded once', async () => {
    set.answer = () => ({ json: completion({ content: '{}' }) });
    const { data, response } = await openai.chat.completions.create(asked).withResponse();
    expect([data.id, response.status]).toEqual(['chatcmpl-1', 200]);
    const raw = await openai.chat.completions.create(asked).asResponse();
    expect(await raw.json()).toMatchObject({ id: 'chatcmpl-1' });
    const parsed = await openai.chat.completions.parse(asked);
    expect(parsed.choices[0]?.message.content).toBe('{}');
    await openai.withOptions({ timeout: 5_000 }).chat.completions.create(asked);
    await plain.chat.completions.create(asked);
    const events = await set.recorded.events();
    expect(events).toHaveLength(4);
    expect(events.filter(({ input_tokens }) => input_tokens === 20)).toHaveLength(3);
  });
});

describe('a streamed chat', () => {
  const text = [
    chunk({ role: 'assistant', content: '' }),
    chunk({ content: 'Hel' }),
    chunk({ content: 'lo' }),
    chunk({}, 'stop'),
  ];

  test('has time to the first token and tokens, and the application sees the chunks it expects', async () => {
    set.answer = () => ({ events: [...text, usageChunk, done] });
    let said = '';
    let chunks = 0;
    for await (const part of await openai.chat.completions.create({ ...asked, stream: true })) {
      said += part.choices[0]!.delta.content ?? '';
      chunks++;
    }
    expect([said, chunks]).toEqual(['Hello', 4]);
    expect(set.provider.requests.at(-1)?.body).toMatchObject({ stream_options: { include_usage: true } });
    const events = await set.recorded.events();
    expect(events).toMatchObject([
      { ...measured, ttft_ms: expect.any(Number), metadata: { finish_reasons: ['stop'] } },
    ]);
    expect(Number(events[0]?.ttft_ms)).toBeLessThanOrEqual(Number(events[0]?.inference_time_ms));
  });

  test('of an application that asks for usage itself keeps the chunk that brings it', async () => {
    set.answer = () => ({ events: [...text, usageChunk, done] });
    const stream = await openai.chat.completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    });
    const parts = [];
    for await (const part of stream) parts.push(part);
    expect(parts.at(-1)?.usage?.prompt_tokens).toBe(20);
    expect(await set.recorded.events()).toMatchObject([measured]);
  });

  test('is sent to a server that is not OpenAI as the application wrote it', async () => {
    set.answer = () => ({ events: [...text, done] });
    const careful = observeOpenAI(plain, set.recorded.nowcast);
    for await (const _ of await careful.chat.completions.create({ ...asked, stream: true }));
    expect(set.provider.requests.at(-1)?.body).not.toHaveProperty('stream_options');
    const events = await set.recorded.events();
    expect(events).toMatchObject([{ model_version: 'gpt-4o-2024-08-06' }]);
    expect(events[0]).not.toHaveProperty('input_tokens');
  });

  test('is observed inside the stream() helper, tool calls included', async () => {
    const call = (index: number, more: object) => chunk({ tool_calls: [{ index, ...more }] });
    set.answer = () => ({
      events: [
        chunk({ role: 'assistant', content: null }),
        call(0, { id: 'call-1', type: 'function', function: { name: 'weather', arguments: '' } }),
        call(0, { function: { arguments: '{}' } }),
        call(1, { id: 'call-2', type: 'function', function: { name: 'weather', arguments: '{}' } }),
        chunk({}, 'tool_calls'),
        usageChunk,
        done,
      ],
    });
    const final = await openai.chat.completions.stream({ ...asked, tools: [tool] }).finalChatCompletion();
    expect(final.choices[0]?.message.tool_calls).toHaveLength(2);
    expect(await set.recorded.events()).toMatchObject([
      {
        ...measured,
        ttft_ms: expect.any(Number),
        metadata: { tool_calls: 2, finish_reasons: ['tool_calls'] },
      },
    ]);
  });

  test('that the application leaves, or aborts, is no error', async () => {
    set.answer = () => ({ events: [...text.slice(0, 2), 'hang'] });
    for await (const part of await openai.chat.completions.create({ ...asked, stream: true }))
      if (part.choices[0]?.delta.content === 'Hel') break;
    const user = new AbortController();
    const stream = await openai.chat.completions.create({ ...asked, stream: true }, { signal: user.signal });
    for await (const part of stream) if (part.choices[0]?.delta.content === 'Hel') user.abort();
    const events = await set.recorded.events();
    expect(events).toMatchObject([
      { ttft_ms: expect.any(Number), metadata: { aborted: true } },
      { ttft_ms: expect.any(Number), metadata: { aborted: true } },
    ]);
    expect(events.some(({ is_error }) => is_error)).toBe(false);
  });

  test('that nobody reads, or reads to its end, is recorded all the same', async () => {
    set.answer = () => ({ events: [...text, usageChunk, done] });
    const impatient = observeOpenAI(plain, set.recorded.nowcast, { idleTimeoutMs: 1 });
    await impatient.chat.completions.create({ ...asked, stream: true });
    const [unread] = await set.recorded.events(1);
    expect(unread).toMatchObject({ model_version: expect.any(String), metadata: { aborted: true } });
    expect(unread).not.toHaveProperty('is_error');

    const stream = await impatient.chat.completions.create({ ...asked, stream: true });
    await stream[Symbol.asyncIterator]().next();
    expect(await set.recorded.events(1)).toMatchObject([{ metadata: { aborted: true } }]);

    // Not even awaited.
    void impatient.chat.completions.create(asked);
    expect(await set.recorded.events(1)).toMatchObject([{ metadata: { aborted: true } }]);
  });

  test('that is aborted before anybody reads it is recorded at once', async () => {
    set.answer = () => ({ events: [...text.slice(0, 2), 'hang'] });
    const { controller } = await openai.chat.completions.create({ ...asked, stream: true });
    controller.abort();
    const user = new AbortController();
    await openai.chat.completions.create({ ...asked, stream: true }, { signal: user.signal });
    user.abort();
    const events = await set.recorded.events(2);
    expect(events).toMatchObject([{ metadata: { aborted: true } }, { metadata: { aborted: true } }]);
    expect(events.some(({ is_error }) => is_error)).toBe(false);
  });

  test('that breaks off is an error, of the same stream and with the same error for the application', async () => {
    set.answer = () => ({
      events: [
        ...text.slice(0, 2),
        { data: { error: { message: 'overloaded', code: 'server_error', type: 'server_error' } } },
      ],
    });
    let read = 0;
    let hasRead = () => {};
    const readAll = async () => {
      for await (const _ of await openai.chat.completions.create({ ...asked, stream: true }))
        if (++read === 2) hasRead();
    };
    await expect(readAll()).rejects.toThrow('overloaded');
    read = 0;
    const reading = new Promise<void>((resolve) => (hasRead = resolve));
    set.answer = () => ({ events: [...text.slice(0, 2), reading, 'reset'] });
    await expect(readAll()).rejects.toThrow();
    expect(await set.recorded.events()).toMatchObject([
      {
        model_version: 'gpt-4o-2024-08-06',
        is_error: true,
        ttft_ms: expect.any(Number),
        metadata: { error_code: 'server_error' },
      },
      { model_version: 'gpt-4o-2024-08-06', is_error: true, ttft_ms: expect.any(Number) },
    ]);
  });
});

describe('a call that fails', () => {
  test('has the provider’s status, code and type, and counts for the version that answered last', async () => {
    set.answer = () => ({
      status: 429,
      json: { error: { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' } },
    });
    const failure = await openai.chat.completions.create(asked).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RateLimitError);
    expect(await set.recorded.events()).toMatchObject([
      {
        model_version: 'gpt-4o-2024-08-06',
        is_error: true,
        error_message: '429 slow down',
        metadata: {
          error_status: 429,
          error_code: 'rate_limit_exceeded',
          error_type: 'requests',
          request_model: 'gpt-4o',
        },
      },
    ]);
  });

  test('is recorded once when the SDK’s own retry succeeds', async () => {
    const first = set.provider.requests.length;
    set.answer = (number) =>
      number === first ? { status: 500, json: {} } : { json: completion({ content: 'x' }) };
    await openai.withOptions({ maxRetries: 1 }).chat.completions.create(asked);
    expect(set.provider.requests.length - first).toBe(2);
    expect(await set.recorded.events()).toMatchObject([measured]);
  });

  test('because the application aborted it is no error; because its patience ended it is one', async () => {
    set.answer = () => ({ events: ['hang'] });
    const user = new AbortController();
    const call = openai.chat.completions.create(asked, { signal: user.signal });
    user.abort();
    expect(await call.catch((error: unknown) => error)).toBeInstanceOf(APIUserAbortError);
    await openai.chat.completions.create(asked, { signal: AbortSignal.timeout(20) }).catch(() => undefined);
    const [aborted, late] = await set.recorded.events();
    expect(aborted).toMatchObject({ metadata: { aborted: true } });
    expect(aborted).not.toHaveProperty('is_error');
    expect(late).toMatchObject({ is_error: true });
  });
});

describe('a response', () => {
  const response = {
    id: 'resp-1',
    object: 'response',
    model: 'gpt-4o-2024-08-06',
    status: 'completed',
    output: [
      {
        type: 'message',
        id: 'm',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'Hello', annotations: [] }],
      },
    ],
    usage: {
      input_tokens: 20,
      output_tokens: 5,
      total_tokens: 25,
      input_tokens_details: { cached_tokens: 16 },
      output_tokens_details: { reasoning_tokens: 2 },
    },
  };
  const question = { model: 'gpt-4o', input: 'a secret question' };

  test('is recorded whole', async () => {
    set.answer = () => ({ json: response });
    expect((await openai.responses.create(question)).output_text).toBe('Hello');
    expect(await set.recorded.events()).toMatchObject([
      { ...measured, metadata: { finish_reasons: ['stop'], reasoning_tokens: 2 } },
    ]);
  });

  test('is recorded as a stream, and as one that fails in the middle', async () => {
    const begin = {
      event: 'response.created',
      data: {
        type: 'response.created',
        sequence_number: 0,
        response: { ...response, status: 'in_progress', usage: null, output: [] },
      },
    };
    const delta = {
      event: 'response.output_text.delta',
      data: {
        type: 'response.output_text.delta',
        sequence_number: 1,
        delta: 'Hello',
        item_id: 'm',
        output_index: 0,
        content_index: 0,
      },
    };
    set.answer = () => ({
      events: [
        begin,
        delta,
        { event: 'response.completed', data: { type: 'response.completed', sequence_number: 2, response } },
      ],
    });
    for await (const _ of await openai.responses.create({ ...question, stream: true }));
    expect(await set.recorded.events()).toMatchObject([{ ...measured, ttft_ms: expect.any(Number) }]);
    const failed = {
      ...response,
      status: 'failed',
      error: { code: 'server_error', message: 'it broke' },
      usage: null,
    };
    set.answer = () => ({
      events: [
        begin,
        delta,
        { event: 'response.failed', data: { type: 'response.failed', sequence_number: 2, response: failed } },
      ],
    });
    for await (const _ of await openai.responses.create({ ...question, stream: true }));
    expect(set.provider.requests.at(-1)?.body).not.toHaveProperty('stream_options');
    expect(await set.recorded.events()).toMatchObject([
      {
        is_error: true,
        error_message: 'it broke',
        ttft_ms: expect.any(Number),
        metadata: { error_code: 'server_error' },
      },
    ]);
  });
});

test('an embedding has its tokens', async () => {
  set.answer = () => ({
    json: {
      object: 'list',
      model: 'text-embedding-3-small',
      data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
      usage: { prompt_tokens: 3, total_tokens: 3 },
    },
  });
  await openai.embeddings.create({ model: 'text-embedding-3-small', input: 'x', encoding_format: 'float' });
  expect(await set.recorded.events()).toMatchObject([
    { model_version: 'text-embedding-3-small', input_tokens: 3 },
  ]);
});

test('an SDK too old for withOptions() is named, not half observed', () => {
  expect(() => observeOpenAI({ chat: {} }, set.recorded.nowcast)).toThrow(/withOptions/);
});
