import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Nowcast as PageNowcast } from '../src/browser.ts';
import { Nowcast as EdgeNowcast } from '../src/edge.ts';
import { type Behaviour, type Collector, startCollector } from './support/collector.ts';

let collector: Collector;
let behaviour: Behaviour;
beforeEach(async () => {
  behaviour = 'store';
  collector = await startCollector(() => behaviour);
});
afterEach(() => collector.close());

const event = { model_version: 'v1', inference_time_ms: 1 };

test('a function that freezes after its answer has delivered once waitUntil is over, in one request', async () => {
  const awaited: Promise<unknown>[] = [];
  const client = new EdgeNowcast({ url: collector.url, waitUntil: (delivery) => awaited.push(delivery) });
  for (let tracked = 0; tracked < 5; tracked++) client.track(event);
  expect(awaited).toHaveLength(1);
  await awaited[0];
  expect(client.stats()).toEqual({ tracked: 5, sent: 5, queued: 0, dropped: {} });
  expect(collector.requests).toBe(1);
  client.track(event);
  expect(awaited).toHaveLength(2);
  await awaited[1];
  expect(collector.events).toBe(6);
});

test('a waitUntil that throws is not the application’s trouble, and the events are delivered', async () => {
  const client = new EdgeNowcast({
    url: collector.url,
    onWarning: () => undefined,
    waitUntil: () => {
      throw new Error('the request is over');
    },
  });
  expect(() => client.track(event)).not.toThrow();
  await expect.poll(() => client.flush()).toBe(true);
  expect(collector.events).toBe(1);
});

test('on Vercel the request that is answered is found without being named', async () => {
  const awaited: Promise<unknown>[] = [];
  const context = { get: () => ({ waitUntil: (delivery: Promise<unknown>) => awaited.push(delivery) }) };
  const runtime = globalThis as { [name: symbol]: unknown };
  runtime[Symbol.for('@vercel/request-context')] = context;
  try {
    new EdgeNowcast({ url: collector.url }).track(event);
  } finally {
    delete runtime[Symbol.for('@vercel/request-context')];
  }
  await Promise.all(awaited);
  expect(collector.events).toBe(1);
});

test('on an edge runtime context() works where AsyncLocalStorage is global', async () => {
  const runtime = globalThis as { AsyncLocalStorage?: unknown };
  runtime.AsyncLocalStorage = AsyncLocalStorage;
  try {
    const client = new EdgeNowcast({ url: collector.url });
    await client.context({ user_id: 'u1' }, async () => {
      await null;
      client.track(event);
    });
    await expect.poll(() => client.flush()).toBe(true);
  } finally {
    delete runtime.AsyncLocalStorage;
  }
  expect([...collector.batches.values()][0]?.events).toMatchObject([{ user_id: 'u1' }]);
});

test('a page that is hidden sends what waits at once, beside a request that hangs, and nothing twice', async () => {
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const runtime = globalThis as { document?: unknown };
  runtime.document = page;
  const client = new PageNowcast({ url: collector.url, timeoutMs: 600_000, exitHooks: true });
  try {
    behaviour = 'hang';
    client.track(event);
    const hanging = client.flush();
    await expect.poll(() => collector.requests).toBe(1);
    behaviour = 'store';
    for (let tracked = 0; tracked < 250; tracked++) client.track(event);
    page.visibilityState = 'hidden';
    page.dispatchEvent(new Event('visibilitychange'));
    // The page is frozen here: nothing but requests that have begun will arrive.
    await expect.poll(() => collector.events).toBe(251);
    expect(client.stats().sent).toBe(0);
    // It was not left after all, and the hanging request ends.
    await collector.close();
    collector = await startCollector(() => 'store', { port: Number(new URL(collector.url).port) });
    await hanging;
    await expect.poll(() => client.flush()).toBe(true);
    expect(client.stats()).toEqual({ tracked: 251, sent: 251, queued: 0, dropped: {} });
  } finally {
    await client.close();
    delete runtime.document;
  }
});
