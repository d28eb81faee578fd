import { afterAll, beforeAll, expect, test } from 'vitest';
import { Nowcast } from '../src/node.ts';
import { type Collector, startCollector } from './support/collector.ts';

let collector: Collector;
beforeAll(async () => {
  collector = await startCollector(() => 'store');
});
afterAll(() => collector.close());

/** What a client sent, in the order of its batches. */
async function eventsOf(use: (client: Nowcast) => Promise<void>, name: string) {
  const client = new Nowcast({ url: collector.url, client: name, defaults: { provider: 'own' } });
  await use(client);
  await client.close({ timeoutMs: 30_000 });
  return [...collector.batches.values()]
    .filter((batch) => batch.client === name)
    .flatMap(({ events }) => events);
}

test("observe() rethrows the caller's own error and records it", async () => {
  const failure = Object.assign(new Error('quota is used up'), { status: 429, code: 'quota' });
  const events = await eventsOf(async (client) => {
    const call = client.observe({ model_version: 'v2' }, () => Promise.reject(failure));
    expect(await call.catch((error: unknown) => error)).toBe(failure);
    const thrown = client.observe({ model_version: 'v2' }, () => {
      throw 'a text';
    });
    expect(await thrown.catch((error: unknown) => error)).toBe('a text');
  }, 'failing');
  expect(events).toMatchObject([
    {
      model_version: 'v2',
      is_error: true,
      error_message: 'quota is used up',
      metadata: { error_name: 'Error', error_code: 'quota', error_status: 429 },
    },
    { is_error: true, error_message: 'a text' },
  ]);
});

test('an error that cannot even be described is recorded as one', async () => {
  const failure = Object.create(null);
  const events = await eventsOf(async (client) => {
    const call = client.observe({ model_version: 'v2' }, () => Promise.reject(failure));
    expect(await call.catch((error: unknown) => error)).toBe(failure);
  }, 'undescribable');
  expect(events).toMatchObject([{ model_version: 'v2', is_error: true }]);
});

test('observe() gives the result back and adds what it says of itself', async () => {
  const result = { text: 'hello', usage: 7 };
  const events = await eventsOf(async (client) => {
    const describe = ({ usage }: typeof result) => ({ output_tokens: usage });
    expect(await client.observe({ model_version: 'v2' }, async () => result, describe)).toBe(result);
  }, 'describing');
  expect(events).toMatchObject([
    { output_tokens: 7, inference_time_ms: expect.any(Number), provider: 'own' },
  ]);
});

test('context() gives its fields to every event inside, however deep; the event itself decides', async () => {
  const events = await eventsOf(async (client) => {
    await client.context({ user_id: 'u1', metadata: { tenant: 'a' } }, async () => {
      await null;
      client.context({ feature: 'search' }, () =>
        client.track({ model_version: 'v1', inference_time_ms: 1, metadata: { page: 2 } }),
      );
      client.track({ model_version: 'v1', inference_time_ms: 2, user_id: 'u2' });
    });
    client.track({ model_version: 'v1', inference_time_ms: 3 });
  }, 'context');
  expect(events).toMatchObject([
    { user_id: 'u1', feature: 'search', metadata: { tenant: 'a', page: 2 } },
    { user_id: 'u2', metadata: { tenant: 'a' } },
    { inference_time_ms: 3 },
  ]);
  expect(events[1]).not.toHaveProperty('feature');
  expect(events[2]).not.toHaveProperty('user_id');
});

test('start() measures what ends elsewhere: in its own context, once, with the time of the first token', async () => {
  const events = await eventsOf(async (client) => {
    const [answered, failed] = client.context({ user_id: 'u1', metadata: { tenant: 'a' } }, () => [
      client.start({ model_version: 'v1', metadata: { asked: true } }),
      client.start({ model_version: 'v1' }),
    ]);
    answered?.firstToken();
    answered?.succeed({ output_tokens: 3, metadata: { finish_reasons: ['stop'] } });
    answered?.fail(new Error('too late'));
    failed?.fail(new Error('cut off'), { output_tokens: 1 });
  }, 'by hand');
  expect(events).toMatchObject([
    { is_error: true, error_message: 'cut off', output_tokens: 1, user_id: 'u1' },
    {
      user_id: 'u1',
      output_tokens: 3,
      ttft_ms: expect.any(Number),
      metadata: { tenant: 'a', asked: true, finish_reasons: ['stop'] },
    },
  ]);
  expect(events[0]).not.toHaveProperty('ttft_ms');
});
