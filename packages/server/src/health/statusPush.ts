import type { Logger } from 'pino';
import type { RealtimeHub } from '../deliver/realtime/hub.ts';
import type { Health } from './health.ts';

const table = 'pipeline_status';
const lookIntervalMs = 1_000;

/**
 * Pushes this server's health to whoever watches, whenever it changed. It goes past the database: that the database is
 * away is the first thing to be told.
 */
export class StatusPush {
  readonly #hub: Pick<RealtimeHub, 'publish' | 'subscriberCount'>;
  readonly #health: () => Promise<Health>;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;
  #watchers = 0;
  #told = '';
  #lossesChangedAt = new Date();
  #lossesTold: Date | undefined;

  constructor(
    hub: Pick<RealtimeHub, 'publish' | 'subscriberCount' | 'onSubscriptionsChanged'>,
    health: () => Promise<Health>,
    log: Logger,
  ) {
    this.#hub = hub;
    this.#health = health;
    this.#log = log;
    this.#timer = setInterval(() => this.#lookSoon(), lookIntervalMs).unref();
    hub.onSubscriptionsChanged((changed, count) => {
      if (changed !== table) return;
      // Whoever comes is told at once.
      if (count > this.#watchers) {
        this.#told = '';
        this.#lookSoon();
      }
      this.#watchers = count;
    });
  }

  lossesChanged(): void {
    this.#lossesChangedAt = new Date();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  #lookSoon(): void {
    if (this.#hub.subscriberCount(table) === 0) return;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
  }

  async #look(): Promise<void> {
    try {
      const health = await this.#health();
      const content = JSON.stringify(withoutAges(health));
      if (content === this.#told && this.#lossesTold === this.#lossesChangedAt) return;
      this.#told = content;
      this.#lossesTold = this.#lossesChangedAt;
      this.#hub.publish([
        {
          schema: 'public',
          table,
          type: 'INSERT',
          commitTimestamp: new Date().toISOString(),
          record: { health, losses_changed_at: this.#lossesChangedAt.toISOString() },
        },
      ]);
    } catch (error) {
      this.#log.warn({ err: error }, 'pushing the health failed; the next look tries again');
    }
  }
}

/** What ages alone has not changed. */
function withoutAges({ last_event_age_seconds, disk, canary, ...others }: Health): object {
  return { ...others, canary: { ...canary, age_seconds: null } };
}
