import type { Nowcast, Stats } from 'nowcast-client';
import { StartupError } from '../../startupError.ts';
import type { TimedEvent } from '../replay/rows.ts';

/** Beyond these what is drawn waits for what is on its way: the past comes faster than any server takes it. */
const maxQueuedEvents = 5_000;
/** Well above what so many events take, so that the client never has to drop one for want of memory. */
const maxQueueBytes = 64 * 1024 * 1024;
const maxBatchEvents = 1_000;
const maxBatchBytes = 1024 * 1024;
/** The page is to move as it does under the traffic of many senders, not once a second. */
const flushIntervalMs = 100;
/** A server that restarts is waited for; whoever typed a wrong port is told soon. */
const deliveryTimeoutMs = 20_000;
const lookEveryMs = 1_000;

/** An application that is instrumented with `nowcast-client`, as a user's is. */
export class Instrumented {
  readonly #nowcast: Nowcast;
  #trouble: string | undefined;

  private constructor(make: (onWarning: (message: string) => void) => Nowcast) {
    this.#nowcast = make((message) => {
      this.#trouble ??= message;
    });
  }

  static async create(url: string, key: string | undefined): Promise<Instrumented> {
    const { Nowcast } = await import('nowcast-client');
    const limits = { maxBatchEvents, maxBatchBytes, maxQueueBytes, flushIntervalMs, deliveryTimeoutMs };
    return new Instrumented(
      // Ctrl+C is the command's own business.
      (onWarning) =>
        new Nowcast({ url, key, client: 'nowcast-simulate', exitHooks: false, onWarning, ...limits }),
    );
  }

  get stats(): Stats {
    return this.#nowcast.stats();
  }

  /** What the client said first, if it had to say anything. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** @throws StartupError when Nowcast refuses events, or has not answered for as long as they are kept */
  async track(event: TimedEvent): Promise<void> {
    this.#nowcast.track(event);
    while (this.stats.queued >= maxQueuedEvents) {
      await this.#nowcast.flush({ timeoutMs: lookEveryMs });
      this.assertDelivered();
    }
  }

  /** @throws StartupError as `track` does */
  assertDelivered(): void {
    const { refused = 0, unreachable = 0 } = this.stats.dropped;
    if (refused + unreachable === 0) return;
    const what = refused > 0 ? 'Nowcast takes no events from here' : 'Nowcast does not answer any more';
    throw new StartupError(`${what} (${this.#trouble}); what was sent before is stored.`, 1);
  }

  /** Resolves when everything was answered. @throws StartupError as `track` does */
  async drain(): Promise<void> {
    while (!(await this.#nowcast.flush({ timeoutMs: lookEveryMs }))) this.assertDelivered();
    this.assertDelivered();
  }

  /** Lets go of what is still on its way. */
  async close(): Promise<void> {
    await this.#nowcast.close({ timeoutMs: 0 });
  }
}
