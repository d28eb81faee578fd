import type pg from 'pg';
import type { Logger } from 'pino';
import type { RealtimeHub } from './realtime/hub.ts';

const table = 'metrics_hour_totals';
/** An hour of histograms is merged for it, once for all dashboards. */
const minIntervalMs = 5_000;

/** Pushes `metrics_total()` of the last hour while somebody watches and events come: quantiles do not add up in a page. */
export class HourTotals {
  readonly #pool: pg.Pool;
  readonly #hub: Pick<RealtimeHub, 'publish' | 'subscriberCount'>;
  readonly #log: Logger;
  #changed = false;
  #lastStartAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(pool: pg.Pool, hub: Pick<RealtimeHub, 'publish' | 'subscriberCount'>, log: Logger) {
    this.#pool = pool;
    this.#hub = hub;
    this.#log = log;
  }

  /** Events were written, or somebody began to watch. */
  eventsChanged(): void {
    if (this.#stopped || this.#hub.subscriberCount(table) === 0) return;
    this.#changed = true;
    if (this.#running !== undefined || this.#timer !== undefined) return;
    const restMs = Math.max(0, this.#lastStartAt + minIntervalMs - performance.now());
    this.#timer = setTimeout(() => this.#start(), restMs).unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #start(): void {
    this.#timer = undefined;
    this.#changed = false;
    this.#lastStartAt = performance.now();
    this.#running = this.#push().finally(() => {
      this.#running = undefined;
      if (this.#changed) this.eventsChanged();
    });
  }

  async #push(): Promise<void> {
    try {
      const { rows } = await this.#pool.query<{ totals: unknown }>({
        name: 'hour_totals',
        // The same hour as a page shows: 60 whole minutes, the one under way included.
        text: `select coalesce(jsonb_agg(to_jsonb(t)), '[]') as totals
          from public.metrics_total(date_trunc('minute', now()) - interval '59 minutes') t`,
      });
      this.#hub.publish([
        {
          schema: 'public',
          table,
          type: 'INSERT',
          commitTimestamp: new Date().toISOString(),
          record: { totals: rows[0]!.totals },
        },
      ]);
    } catch (error) {
      this.#log.warn({ err: error }, 'adding up the last hour failed; it is tried again in a few seconds');
      this.#changed = true;
    }
  }
}
