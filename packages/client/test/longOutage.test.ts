import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Nowcast } from '../src/node.ts';
import { fileSpool } from '../src/spool.ts';
import { deadUrl, startCollector } from './support/collector.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-spool-'));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(directory, { recursive: true });
});

const event = { model_version: 'v1', inference_time_ms: 0 };

/** Events that lie on disk, by the names of their files. */
async function spooled(): Promise<number> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.batch'));
  return names.reduce((sum, name) => sum + Number(name.split('-')[2]), 0);
}

test('a collector that is down for five minutes loses and doubles nothing, with a spool', async () => {
  const url = await deadUrl();
  const client = new Nowcast({
    url,
    // Far less than comes in five minutes: what is kept is kept on disk.
    maxQueueBytes: 10_000,
    spool: fileSpool({ directory }),
    exitHooks: false,
    onWarning: () => undefined,
  });
  const began = Date.now();
  let tracked = 0;
  while (Date.now() - began < 300_000) {
    for (let inSecond = 0; inSecond < 4; inSecond++)
      client.track({ ...event, inference_time_ms: tracked++, is_error: tracked % 10 === 0 });
    await vi.advanceTimersByTimeAsync(1_000);
    // Disks and sockets have a clock of their own.
    await expect.poll(spooled, { interval: 1 }).toBe(tracked);
  }
  expect(client.stats()).toEqual({ tracked, sent: 0, queued: tracked, dropped: {} });

  // Back, with answers that get lost at first.
  const collector = await startCollector((request) => (request < 3 ? 'cut' : 'store'), {
    port: Number(new URL(url).port),
  });
  while (client.stats().queued > 0) {
    await vi.advanceTimersByTimeAsync(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(client.stats()).toEqual({ tracked, sent: tracked, queued: 0, dropped: {} });
  const stored = [...collector.batches.values()].flatMap(({ events }) =>
    events.map((one) => one.inference_time_ms),
  );
  expect(stored.sort((one, other) => Number(one) - Number(other))).toEqual(
    Array.from({ length: tracked }, (_, at) => at),
  );
  vi.useRealTimers();
  await client.close();
  await collector.close();
});
