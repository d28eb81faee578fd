import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Nowcast } from '../src/node.ts';
import { fileSpool } from '../src/spool.ts';
import { deadUrl, startCollector } from './support/collector.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-spool-'));
});
afterEach(() => rm(directory, { recursive: true }));

function clientOf(url: string, maxBytes?: number): Nowcast {
  return new Nowcast({
    url,
    flushIntervalMs: 5,
    maxBatchEvents: 10,
    spool: fileSpool({ directory, ...(maxBytes === undefined ? {} : { maxBytes }) }),
    onWarning: () => undefined,
  });
}

function track(client: Nowcast, from: number, to: number): void {
  for (let id = from; id < to; id++)
    client.track({ model_version: 'v1', inference_time_ms: id, metadata: { id } });
}

function idsIn(batches: Iterable<{ events: readonly Record<string, unknown>[] }>): number[] {
  return [...batches]
    .flatMap(({ events }) => events.map(({ inference_time_ms }) => Number(inference_time_ms)))
    .sort((one, other) => one - other);
}

test('an outage across a restart of the process loses and doubles nothing', async () => {
  const url = await deadUrl();
  const before = clientOf(url);
  track(before, 0, 45);
  await before.close();
  expect(before.stats()).toMatchObject({ tracked: 45, queued: 45, sent: 0, dropped: {} });

  // Back with trouble: answers that get lost, and then it stays.
  const collector = await startCollector((request) => (request < 2 ? 'cut' : 'store'), {
    port: Number(new URL(url).port),
  });
  const after = clientOf(url);
  track(after, 45, 60);
  await expect.poll(() => after.flush({ timeoutMs: 300 })).toBe(true);
  await after.close();
  expect(after.stats()).toEqual({ tracked: 60, sent: 60, queued: 0, dropped: {} });
  expect(idsIn(collector.batches.values())).toEqual(Array.from({ length: 60 }, (_, id) => id));
  expect(await readdir(directory)).toEqual([]);
  await collector.close();
});

test('a spool that is full lets the oldest go and counts them', async () => {
  const client = clientOf(await deadUrl(), 3_000);
  track(client, 0, 100);
  await client.close();
  const { queued, dropped } = client.stats();
  expect(queued).toBeGreaterThan(0);
  expect(dropped).toEqual({ spool_full: 100 - queued });
});

test('what is gone from a spool that was there is counted, not forgotten', async () => {
  const first = clientOf(await deadUrl());
  track(first, 0, 10);
  await first.close();
  const collector = await startCollector(() => 'fail');
  const second = clientOf(collector.url);
  await expect.poll(() => collector.requests).toBeGreaterThan(0);
  for (const name of await readdir(directory)) await rm(path.join(directory, name));
  await collector.close();
  const back = await startCollector(() => 'store', { port: Number(new URL(collector.url).port) });
  await expect.poll(() => second.flush()).toBe(true);
  const { tracked, sent, dropped, queued } = second.stats();
  expect({ tracked, queued, all: sent + (dropped.spool_taken ?? 0) }).toEqual({
    tracked: 10,
    queued: 0,
    all: 10,
  });
  await second.close();
  await back.close();
});

test('what a crash left half written goes at the next start; what another process writes now stays', async () => {
  const halves = [
    '00000000000001-00000000-10-crashed.batch.part',
    '00000000000002-00000000-10-busy.batch.part',
  ];
  for (const name of halves) await writeFile(path.join(directory, name), '{"batch_id":');
  const anHourAgo = new Date(Date.now() - 3_600_000);
  await utimes(path.join(directory, halves[0]!), anHourAgo, anHourAgo);
  const collector = await startCollector(() => 'store');
  const client = clientOf(collector.url);
  track(client, 0, 10);
  await expect.poll(() => client.flush()).toBe(true);
  await client.close();
  expect(await readdir(directory)).toEqual([halves[1]]);
  expect(client.stats()).toEqual({ tracked: 10, sent: 10, queued: 0, dropped: {} });
  await collector.close();
});

test('a directory that cannot be made leaves memory, and close() counts the rest', async () => {
  const client = new Nowcast({
    url: await deadUrl(),
    spool: fileSpool({ directory: '/dev/null/spool' }),
    onWarning: () => undefined,
  });
  track(client, 0, 10);
  await client.close({ timeoutMs: 50 });
  expect(client.stats()).toEqual({ tracked: 10, sent: 0, queued: 0, dropped: { closed: 10 } });
});
