import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Nowcast as Core } from '../src/index.ts';
import { Nowcast } from '../src/node.ts';
import { type Behaviour, type Collector, deadUrl, startCollector } from './support/collector.ts';

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeEach(() => {
  unhandled.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(() => {
  process.removeListener('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

const event = { model_version: 'v1', inference_time_ms: 1 };

describe('with a collector that', () => {
  const failing: Behaviour[] = ['hang', 'fail', 'reset', 'cut'];
  for (const behaviour of ['dead', ...failing] as const) {
    test(`is down (${behaviour}), tracking never throws, memory is bounded and close() does not wait for it`, async () => {
      const collector: Collector | undefined =
        behaviour === 'dead' ? undefined : await startCollector(() => behaviour);
      const warnings: string[] = [];
      const client = new Nowcast({
        url: collector?.url ?? (await deadUrl()),
        maxQueueBytes: 100_000,
        flushIntervalMs: 1,
        // An attempt outlasts this test: what ends here is ended by close().
        timeoutMs: 600_000,
        onWarning: (message) => warnings.push(message),
      });
      for (let tracked = 0; tracked < 5_000; tracked++) client.track(event);
      await client.flush({ timeoutMs: 50 });
      const { queued, dropped } = client.stats();
      expect(queued).toBeLessThan(1_000);
      expect(dropped.queue_full).toBeGreaterThan(4_000);
      await client.close();
      const after = client.stats();
      expect(after).toMatchObject({ tracked: 5_000, sent: 0, queued: 0 });
      expect((after.dropped.queue_full ?? 0) + (after.dropped.closed ?? 0)).toBe(5_000);
      expect(warnings.length).toBeLessThanOrEqual(1);
      await collector?.close();
    });
  }

  test('is down, feedback() says so and never throws', async () => {
    const client = new Nowcast({ url: await deadUrl(), timeoutMs: 100, onWarning: () => undefined });
    expect(await client.feedback({ trace_id: 't', feedback: 1 })).toBe(false);
    await client.close();
  });

  test('comes back gets what waited, once', async () => {
    const collector = await startCollector((request) => (request < 2 ? 'cut' : 'store'));
    const client = new Nowcast({ url: collector.url, onWarning: () => undefined });
    for (let tracked = 0; tracked < 30; tracked++) client.track(event);
    await expect.poll(() => client.flush({ timeoutMs: 500 })).toBe(true);
    expect(collector.events).toBe(30);
    expect(collector.requests).toBe(3);
    await client.close();
    await collector.close();
  });

  test('takes small batches only gets halves', async () => {
    const collector = await startCollector((request) => (request < 3 ? 'too_large' : 'store'));
    const client = new Nowcast({ url: collector.url, onWarning: () => undefined });
    for (let tracked = 0; tracked < 8; tracked++) client.track(event);
    await expect.poll(() => client.flush()).toBe(true);
    expect([...collector.batches.values()].map(({ events }) => events.length)).toEqual([1, 1, 2, 4]);
    await client.close();
    await collector.close();
  });
});

test('the application never sees what its own warning handler throws', async () => {
  const client = new Nowcast({
    url: await deadUrl(),
    onWarning: () => {
      throw new Error('logging is broken');
    },
  });
  expect(() =>
    client.track({
      ...event,
      get metadata(): Record<string, unknown> {
        throw new Error('getter');
      },
    }),
  ).not.toThrow();
  await client.close();
  expect(client.stats().dropped).toEqual({ invalid: 1 });
});

test.each([
  ['node', Nowcast],
  ['web', Core],
])(
  'a client that was given no URL (%s) tells so once, and the application runs',
  async (_platform, Client) => {
    const warnings: string[] = [];
    const url = process.env.NO_SUCH_SETTING as string;
    const client = new Client({ url, onWarning: (message) => warnings.push(message) });
    client.track(event);
    expect(await client.feedback({ trace_id: 't', feedback: 1 })).toBe(false);
    expect(await client.flush({ timeoutMs: 50 })).toBe(false);
    await client.close();
    expect(client.stats().dropped).toEqual({ closed: 1 });
    expect(warnings).toHaveLength(1);
  },
);

test('the core, which has only what the web has, delivers by fetch', async () => {
  const collector = await startCollector((request) => (request === 0 ? 'fail' : 'store'));
  const client = new Core({ url: `${collector.url}/`, client: 'page', onWarning: () => undefined });
  for (let tracked = 0; tracked < 50; tracked++) client.track(event);
  await expect.poll(() => client.flush()).toBe(true);
  await client.close();
  expect(collector.events).toBe(50);
  await collector.close();
});

test('a clock that is set back makes nobody wait for a collector that is there again', async () => {
  const collector = await startCollector((request) => (request === 0 ? 'fail' : 'store'));
  const client = new Nowcast({ url: collector.url, flushIntervalMs: 1, onWarning: setBack });
  function setBack(): void {
    const hourAgo = Date.now() - 3_600_000;
    vi.spyOn(Date, 'now').mockReturnValue(hourAgo);
  }
  client.track(event);
  await expect.poll(() => client.stats().sent).toBe(1);
  vi.restoreAllMocks();
  await client.close();
  await collector.close();
});

test('what is tracked after the end is counted, and leaves nothing at the process', async () => {
  const listeners = process.listenerCount('SIGTERM');
  const client = new Nowcast({ url: await deadUrl() });
  await client.close();
  client.track(event);
  expect(client.stats()).toMatchObject({ tracked: 1, queued: 0, dropped: { closed: 1 } });
  expect(process.listenerCount('SIGTERM')).toBe(listeners);
});
