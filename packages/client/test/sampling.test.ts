import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uniformOf } from '../../server/src/ingest/sampling/uniform.ts';
import { startTestServer, type TestServer } from '../../server/test/support/server.ts';
import { Nowcast } from '../src/node.ts';
import { isSampled } from '../src/sampling.ts';
import { fileSpool } from '../src/spool.ts';
import { type Behaviour, type Collector, startCollector } from './support/collector.ts';

const success = { model_version: 'v1', inference_time_ms: 1 };
const traces = Array.from({ length: 20_000 }, (_, n) => `${n.toString(16).padStart(32, '0')}`);
const keeps = (trace_id: string, rate: number) => isSampled({ ...success, trace_id }, rate);

function eventsOf({ batches }: Collector) {
  return [...batches.values()].flatMap(({ events }) => events);
}

describe('a trace', () => {
  test('is kept by every client of its rate and of a higher one, with as many as the rate says', () => {
    for (const rate of [0.01, 0.1, 0.5, 0.9]) {
      const kept = traces.filter((trace) => keeps(trace, rate));
      // Five standard deviations of a fair draw.
      expect(Math.abs(kept.length - traces.length * rate)).toBeLessThan(
        5 * Math.sqrt(traces.length * rate * (1 - rate)),
      );
    }
    fc.assert(
      fc.property(
        fc.string(),
        fc.double({ min: 0, max: 1 }),
        fc.double({ min: 0, max: 1 }),
        (trace, a, b) => {
          expect(keeps(trace, a)).toBe(keeps(trace, a));
          if (keeps(trace, Math.min(a, b))) expect(keeps(trace, Math.max(a, b))).toBe(true);
        },
      ),
    );
  });

  test('that was kept here is no likelier to be kept by a server that samples again', () => {
    for (const rate of [0.1, 0.5]) {
      const kept = traces.filter((trace) => keeps(trace, rate));
      const keptAgain = kept.filter((trace) => uniformOf(trace) < rate).length;
      expect(Math.abs(keptAgain - kept.length * rate)).toBeLessThan(
        5 * Math.sqrt(kept.length * rate * (1 - rate)),
      );
    }
  });

  test('shares its fate whether an event or its context names it, and its errors are sent anyway', async () => {
    const collector = await startCollector(() => 'store');
    const client = new Nowcast({ url: collector.url, sampleRate: 0.5, exitHooks: false });
    for (const trace_id of traces.slice(0, 40)) {
      client.track({ ...success, trace_id });
      client.context({ trace_id }, () => {
        client.track(success);
        client.track({ ...success, is_error: true });
      });
    }
    await client.close({ timeoutMs: 30_000 });
    const sent = eventsOf(collector).map(({ trace_id, is_error }) => `${trace_id} ${is_error === true}`);
    expect(sent.toSorted()).toEqual(
      traces
        .slice(0, 40)
        .flatMap((trace) => [
          ...(keeps(trace, 0.5) ? [`${trace} false`, `${trace} false`] : []),
          `${trace} true`,
        ])
        .toSorted(),
    );
    await collector.close();
  });
});

describe('sample_rate', () => {
  async function ratesSent(sampleRate: number | undefined, behave: (request: number) => Behaviour) {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-spool-'));
    const collector = await startCollector(behave);
    const options = { url: collector.url, exitHooks: false, onWarning: () => undefined };
    const client = new Nowcast({
      ...options,
      ...(sampleRate === undefined ? {} : { sampleRate }),
      spool: fileSpool({ directory }),
    });
    for (let event = 0; event < 4; event++) client.track({ ...success, is_error: true });
    await client.flush({ timeoutMs: behave(0) === 'hang' ? 50 : 30_000 });
    await client.close({ timeoutMs: 0 });
    // What the disk holds is sent by a process that does not sample.
    const next = new Nowcast({ ...options, spool: fileSpool({ directory }) });
    next.track({ ...success, is_error: true });
    await next.flush({ timeoutMs: 30_000 });
    await next.close();
    await collector.close();
    await rm(directory, { recursive: true });
    return [...collector.batches.values()].map(({ sample_rate, events }) => [sample_rate, events.length]);
  }

  test('travels with each batch, halves of it and what waited on disk included', async () => {
    expect(await ratesSent(0.25, () => 'store')).toEqual([
      [0.25, 4],
      [undefined, 1],
    ]);
    expect(await ratesSent(0.25, (request) => (request === 0 ? 'too_large' : 'store'))).toEqual([
      [0.25, 2],
      [0.25, 2],
      [undefined, 1],
    ]);
    const rates = await ratesSent(0.25, (request) => (request === 0 ? 'hang' : 'store'));
    expect(rates).toHaveLength(2);
    expect(rates).toContainEqual([0.25, 4]);
  });

  test('is left out where everything is sent, and where no success is', async () => {
    for (const rate of [undefined, 1, 0, Number.NaN]) {
      for (const [sent] of await ratesSent(rate, () => 'store')) expect(sent).toBeUndefined();
    }
  });
});

describe('a server', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());

  test('weighs what a sampling client sends: a success stands for 1 / rate, an error for itself', async () => {
    const client = new Nowcast({ url: server.url, sampleRate: 0.25, exitHooks: false });
    for (const trace_id of traces.slice(0, 400)) client.track({ ...success, trace_id });
    client.track({ ...success, is_error: true });
    await expect.poll(() => client.flush()).toBe(true);
    await client.close();
    const kept = traces.slice(0, 400).filter((trace) => keeps(trace, 0.25)).length;
    const { body } = await server.get('/rest/v1/inference_logs?select=is_error,sample_weight');
    const weights = (body as { is_error: boolean; sample_weight: number | null }[]).map(
      ({ is_error, sample_weight }) => `${is_error} ${sample_weight}`,
    );
    expect(weights.toSorted()).toEqual([...Array(kept).fill('false 4'), 'true null']);
  });
});
