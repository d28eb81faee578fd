import { expect, vi } from 'vitest';
import { Nowcast } from '../../src/node.ts';
import { type Collector, startCollector } from './collector.ts';

export interface Recorded {
  readonly nowcast: Nowcast;
  /**
   * What has been tracked since the last time, in the order of its ends.
   *
   * @param expected waits until so many are there, where nothing else tells that the last has ended
   */
  events(expected?: number): Promise<readonly Record<string, unknown>[]>;
  close(): Promise<void>;
}

/** A client whose events can be looked at, as they arrive at a collector. */
export async function record(): Promise<Recorded> {
  const collector: Collector = await startCollector(() => 'store');
  // Errors are sent first: only its time tells the place of what ended within the same millisecond.
  const now = Date.now;
  let last = 0;
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => {
    last = Math.max(last + 1, now());
    return last;
  });
  const nowcast = new Nowcast({ url: collector.url, exitHooks: false });
  let seen = 0;
  return {
    nowcast,
    async events(expected = 0) {
      await expect.poll(() => nowcast.stats().tracked - seen).toBeGreaterThanOrEqual(expected);
      await expect.poll(() => nowcast.flush()).toBe(true);
      const all = [...collector.batches.values()].flatMap(({ events }) => events);
      const fresh = all
        .slice(seen)
        .sort((one, other) => (String(one.timestamp) < String(other.timestamp) ? -1 : 1));
      seen = all.length;
      return fresh;
    },
    async close() {
      clock.mockRestore();
      await nowcast.close();
      await collector.close();
    },
  };
}
