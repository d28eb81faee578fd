/** One measurement in a process of its own, whose heap holds nothing else. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Nowcast } from 'nowcast-client';
import { type BenchEvent, makeEvents } from '../events.ts';
import { serveTask } from '../load/task.ts';

export type Job = { readonly url: string } & (
  | { readonly kind: 'track' }
  | { readonly kind: 'held' }
  | { readonly kind: 'wire'; readonly how: 'batches' | 'single'; readonly events: number }
);

/** One figure or several, by name. */
export type Figures = Readonly<Record<string, number>>;

/** As many as a busy handler makes in one turn of the event loop. */
const eventsPerTurn = 10;
/** More than the queue holds: a backfill that awaits nothing. */
const eventsOfBurst = 60_000;
const events: readonly BenchEvent[] = makeEvents({ count: 1_000, seed: 7, firstAtMs: null });
setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

serveTask<Job, Figures>(async (job) => {
  if (job.kind === 'track') return await track(job.url);
  if (job.kind === 'held') return await held(job.url);
  return await send(job.url, job.how, job.events);
});

/** What one call costs while deliveries go on, and what is left of an event once it is delivered. */
async function track(url: string): Promise<Figures> {
  const client = quietClient(url);
  const measured = 300_000;
  const times = new Float64Array(measured);
  await trackMany(client, measured);
  await client.flush();
  let at = 0;
  while (at < measured) {
    for (let inTurn = 0; inTurn < eventsPerTurn; inTurn++) {
      const event = events[at % events.length]!;
      const before = performance.now();
      client.track(event);
      times[at++] = performance.now() - before;
    }
    await nextTurn();
  }
  await client.flush();
  const clockUs = clockCost();
  times.sort();
  const microseconds = (quantile: number) => times[Math.floor(quantile * measured)]! * 1_000;
  const before = heapAfterCollection();
  await trackMany(client, measured);
  if (!(await client.flush())) throw new Error('the collector did not take everything');
  const after = heapAfterCollection();
  const burstAt = performance.now();
  for (let sent = 0; sent < eventsOfBurst; sent++) client.track(events[sent % events.length]!);
  const burstUs = ((performance.now() - burstAt) * 1_000) / eventsOfBurst;
  await client.close();
  return {
    medianUs: microseconds(0.5) - clockUs,
    p999Us: microseconds(0.999),
    burstUs,
    retainedBytes: (after - before) / measured,
  };
}

/** What a call of the clock adds to every time above. */
function clockCost(): number {
  const differences = Float64Array.from({ length: 10_000 }, () => {
    const before = performance.now();
    return performance.now() - before;
  }).sort();
  return differences[5_000]! * 1_000;
}

/** Memory that 200,000 events leave in a client that cannot deliver any. */
async function held(url: string): Promise<Figures> {
  const client = quietClient(url);
  client.track(events[0]!);
  await client.flush({ timeoutMs: 100 });
  const before = heapAfterCollection();
  await trackMany(client, 200_000);
  await client.flush({ timeoutMs: 1_000 });
  const heldBytes = heapAfterCollection() - before;
  const { tracked, sent, queued, dropped } = client.stats();
  const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  if (sent + queued + lost !== tracked)
    throw new Error(`${tracked} tracked, ${sent + queued + lost} accounted for`);
  const started = performance.now();
  await client.close();
  return { heldBytes, closeMs: performance.now() - started };
}

async function send(url: string, how: 'batches' | 'single', count: number): Promise<Figures> {
  if (how === 'batches') {
    const client = new Nowcast({ url, maxBatchEvents: 50, client: 'checkout' });
    for (let at = 0; at < count; at += 50) {
      for (const event of events.slice(at % events.length, (at % events.length) + 50)) client.track(event);
      await client.flush();
    }
    await client.close();
    return {};
  }
  for (let at = 0; at < count; at++) {
    const response = await fetch(`${url}/telemetry/inference`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ timestamp: new Date().toISOString(), ...events[at % events.length] }),
    });
    await response.text();
  }
  return {};
}

async function trackMany(client: Nowcast, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    client.track(events[at % events.length]!);
    if (at % eventsPerTurn === 0) await nextTurn();
  }
}

function quietClient(url: string): Nowcast {
  return new Nowcast({ url, onWarning: () => undefined });
}

function heapAfterCollection(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
