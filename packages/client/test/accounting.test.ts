import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Nowcast } from '../src/node.ts';
import { fileSpool } from '../src/spool.ts';
import type { Stats } from '../src/tally.ts';
import { type Behaviour, startCollector } from './support/collector.ts';

function droppedOf({ dropped }: Stats): number {
  return Object.values(dropped).reduce((sum, events) => sum + events, 0);
}

const behaviours: Behaviour[] = ['store', 'cut', 'reset', 'hang', 'fail', 'garble', 'refuse', 'too_large'];
const aStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('track' as const), events: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('invalid' as const) }) },
);

describe('stats()', () => {
  test('sent, dropped and queued add up to tracked, whatever the collector does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...behaviours), { maxLength: 6 }),
        fc.array(aStep, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(0.5, 1),
        fc.constantFrom(4_000, 4_000_000),
        fc.boolean(),
        async (script, steps, sampleRate, maxQueueBytes, hasSpool) => {
          const directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-spool-'));
          const collector = await startCollector((request) => script[request] ?? 'store');
          const client = new Nowcast({
            url: collector.url,
            sampleRate,
            maxQueueBytes,
            maxBatchEvents: 5,
            flushIntervalMs: 1,
            timeoutMs: 20,
            exitHooks: false,
            ...(hasSpool ? { spool: fileSpool({ directory, maxBytes: 2_000 }) } : {}),
            onWarning: () => undefined,
          });
          const addsUp = () => {
            const stats = client.stats();
            expect(stats.sent + stats.queued + droppedOf(stats)).toBe(stats.tracked);
            expect(collector.events).toBeGreaterThanOrEqual(stats.sent);
          };
          for (const step of steps) {
            if (step.kind === 'flush') await client.flush({ timeoutMs: 30 });
            else if (step.kind === 'invalid') client.track({ model_version: '', inference_time_ms: 1 });
            else
              for (let event = 0; event < step.events; event++)
                client.track({ model_version: 'v1', inference_time_ms: event, is_error: event % 3 === 0 });
            addsUp();
          }
          await client.close({ timeoutMs: 100 });
          addsUp();
          if (!hasSpool) expect(client.stats().queued).toBe(0);
          await collector.close();
          await rm(directory, { recursive: true });
        },
      ),
      { numRuns: 40 },
    );
  });

  test('counts by reason what was sampled, redacted, too large, refused or came after close()', async () => {
    const collector = await startCollector((request) => (request === 0 ? 'refuse' : 'store'));
    const client = new Nowcast({
      url: collector.url,
      sampleRate: 0,
      redact: ({ error_message, ...event }) => (error_message === 'secret' ? null : event),
      onWarning: () => undefined,
    });
    const failure = { model_version: 'v1', inference_time_ms: 1, is_error: true };
    client.track({ model_version: 'v1', inference_time_ms: 1 });
    client.track({ ...failure, error_message: 'secret' });
    client.track({ ...failure, metadata: { page: 'x'.repeat(600_000) } });
    client.track(failure);
    await expect.poll(() => client.flush()).toBe(true);
    client.track({ ...failure, error_message: 'told' });
    await client.close({ timeoutMs: 30_000 });
    client.track(failure);
    expect(client.stats()).toEqual({
      tracked: 6,
      sent: 1,
      queued: 0,
      dropped: { sampled: 1, redacted: 1, too_large: 1, refused: 1, closed: 1 },
    });
    const [batch] = collector.batches.values();
    expect(batch?.dropped).toEqual({ sampled: 1, redacted: 1, too_large: 1 });
    expect(batch?.events[0]).not.toHaveProperty('error_message');
    await collector.close();
  });
});
