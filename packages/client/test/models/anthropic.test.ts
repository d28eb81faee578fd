import Anthropic, { RateLimitError } from '@anthropic-ai/sdk';
import { beforeAll, describe, expect, test } from 'vitest';
import { observeAnthropic } from '../../src/anthropic.ts';
import { withProvider } from '../support/withProvider.ts';

const set = withProvider();
let plain: Anthropic;
let anthropic: Anthropic;
beforeAll(() => {
  plain = new Anthropic({ apiKey: 'k', baseURL: set.provider.url, maxRetries: 0 });
  anthropic = observeAnthropic(plain, set.recorded.nowcast);
});

const model = 'claude-example-1';
const answered = 'claude-example-1-20260101';
const asked = { model, max_tokens: 100, messages: [{ role: 'user' as const, content: 'a secret question' }] };
const usage = {
  input_tokens: 4,
  cache_read_input_tokens: 16,
  cache_creation_input_tokens: 10,
  output_tokens: 5,
};

function message(content: object[], stopReason: string | null = 'end_turn') {
  return {
    id: 'msg-1',
    type: 'message',
    role: 'assistant',
    model: answered,
    content,
    stop_reason: stopReason,
    usage,
  };
}

function streamed(...data: { type: string; [field: string]: unknown }[]) {
  return data.map((one) => ({ event: one.type, data: one }));
}
const begin = {
  type: 'message_start',
  message: { ...message([], null), usage: { ...usage, output_tokens: 1 } },
};
const block = (content_block: object, index = 0) => ({ type: 'content_block_start', index, content_block });
const delta = (one: object, index = 0) => ({ type: 'content_block_delta', index, delta: one });
const stop = (index = 0) => ({ type: 'content_block_stop', index });
const end = (stop_reason: string) => [
  { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 5 } },
  { type: 'message_stop' },
];
const text = [block({ type: 'text', text: '' }), delta({ type: 'text_delta', text: 'Hello' })];

const measured = {
  model_version: answered,
  provider: 'anthropic',
  inference_time_ms: expect.any(Number),
  // Those of the cache are part of the whole.
  input_tokens: 30,
  cached_input_tokens: 16,
  output_tokens: 5,
};

describe('a message', () => {
  test('is recorded with model, tokens and context, and its text stays in the application', async () => {
    set.answer = () => ({ json: message([{ type: 'text', text: 'a secret answer' }]) });
    await set.recorded.nowcast.context({ user_id: 'u1', feature: 'search' }, () =>
      anthropic.messages.create(asked),
    );
    const events = await set.recorded.events();
    expect(events).toMatchObject([
      {
        ...measured,
        user_id: 'u1',
        feature: 'search',
        metadata: {
          request_model: model,
          finish_reasons: ['end_turn'],
          cache_write_tokens: 10,
          response_id: 'msg-1',
        },
      },
    ]);
    expect(JSON.stringify(events)).not.toContain('secret');
  });

  test('that uses tools says how many; content is kept where that was asked for', async () => {
    set.answer = () => ({
      json: message(
        [
          { type: 'text', text: 'one moment' },
          { type: 'tool_use', id: 't1', name: 'weather', input: {} },
        ],
        'tool_use',
      ),
    });
    const open = observeAnthropic(plain, set.recorded.nowcast, { captureContent: true, provider: 'aws' });
    await open.messages.create(asked);
    expect(await set.recorded.events()).toMatchObject([
      {
        provider: 'aws',
        metadata: {
          tool_calls: 1,
          finish_reasons: ['tool_use'],
          prompt: '{"messages":[{"role":"user","content":"a secret question"}]}',
          completion: 'one moment',
        },
      },
    ]);
  });

  test('of the beta, and with its response, is recorded once', async () => {
    set.answer = () => ({ json: message([{ type: 'text', text: 'x' }]) });
    await anthropic.beta.messages.create(asked);
    const { data, response } = await anthropic.messages.create(asked).withResponse();
    expect([data.id, response.status]).toEqual(['msg-1', 200]);
    await plain.messages.create(asked);
    expect(await set.recorded.events()).toMatchObject([measured, measured]);
  });
});

describe('a streamed message', () => {
  test('has time to the first token and tokens, read event by event and by the helper', async () => {
    set.answer = () => ({ events: streamed(begin, ...text, stop(), ...end('end_turn')) });
    let said = '';
    for await (const event of await anthropic.messages.create({ ...asked, stream: true }))
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') said += event.delta.text;
    expect(said).toBe('Hello');
    expect(await anthropic.messages.stream(asked).finalText()).toBe('Hello');
    const whole = { ...measured, ttft_ms: expect.any(Number), metadata: { finish_reasons: ['end_turn'] } };
    expect(await set.recorded.events()).toMatchObject([whole, whole]);
  });

  test('of tool calls counts them', async () => {
    set.answer = () => ({
      events: streamed(
        begin,
        block({ type: 'tool_use', id: 't1', name: 'weather', input: {} }),
        delta({ type: 'input_json_delta', partial_json: '{}' }),
        stop(),
        ...end('tool_use'),
      ),
    });
    const final = await anthropic.messages.stream(asked).finalMessage();
    expect(final.stop_reason).toBe('tool_use');
    expect(await set.recorded.events()).toMatchObject([
      { ttft_ms: expect.any(Number), metadata: { tool_calls: 1, finish_reasons: ['tool_use'] } },
    ]);
  });

  test('that the application aborts is no error', async () => {
    set.answer = () => ({ events: [...streamed(begin, ...text), 'hang'] });
    const stream = anthropic.messages.stream(asked);
    stream.on('text', () => stream.abort());
    await expect(stream.finalMessage()).rejects.toThrow('aborted');
    const events = await set.recorded.events();
    expect(events).toMatchObject([{ model_version: answered, metadata: { aborted: true } }]);
    expect(events[0]).not.toHaveProperty('is_error');
  });

  test('that fails in the middle is an error', async () => {
    const failure = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
    set.answer = () => ({ events: streamed(begin, ...text, failure) });
    await expect(anthropic.messages.stream(asked).finalMessage()).rejects.toThrow('Overloaded');
    expect(await set.recorded.events()).toMatchObject([
      {
        model_version: answered,
        is_error: true,
        ttft_ms: expect.any(Number),
        metadata: { error_type: 'overloaded_error' },
      },
    ]);
  });
});

test('a call that is refused has status and type, and counts for the version that answered last', async () => {
  set.answer = () => ({
    status: 429,
    json: { type: 'error', error: { type: 'rate_limit_error', message: 'slow down' } },
  });
  const failure = await anthropic.messages.create(asked).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(RateLimitError);
  expect(await set.recorded.events()).toMatchObject([
    {
      model_version: answered,
      is_error: true,
      metadata: { error_status: 429, error_type: 'rate_limit_error' },
    },
  ]);
});
