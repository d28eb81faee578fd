import type pg from 'pg';
import type { Logger } from 'pino';

/** At most ten times a second under load, at once after a quiet moment. */
const minIntervalMs = 100;
/** After a failure, until the database answers again. */
const retryIntervalMs = 1_000;

/** Keeps `metrics_pulse` current while somebody watches; the table's feed triggers carry the change to everyone. */
export class Pulse {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #isWatched: () => boolean;
  /** Range of times whose minutes have changed, in milliseconds; undefined when nothing has. */
  #changed: { since: number; until: number } | undefined;
  #lastStartAt = Number.NEGATIVE_INFINITY;
  #failing = false;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(pool: pg.Pool, log: Logger, isWatched: () => boolean) {
    this.#pool = pool;
    this.#log = log;
    this.#isWatched = isWatched;
  }

  /** Events between the two times were written. */
  eventsChanged(since: Date, until: Date): void {
    if (!this.#isWatched()) return;
    this.#mark(since.getTime(), until.getTime());
  }

  /** Somebody began to watch: the table may have stood still for long. */
  watchBegan(): void {
    this.#mark(Date.now() - 3_600_000, Date.now() + 60_000);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #mark(since: number, until: number): void {
    this.#changed =
      this.#changed === undefined
        ? { since, until }
        : { since: Math.min(this.#changed.since, since), until: Math.max(this.#changed.until, until) };
    this.#schedule();
  }

  #schedule(): void {
    if (this.#stopped || this.#running !== undefined || this.#timer !== undefined) return;
    const intervalMs = this.#failing ? retryIntervalMs : minIntervalMs;
    const restMs = this.#lastStartAt + intervalMs - performance.now();
    if (restMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#start();
      }, restMs);
    } else {
      this.#start();
    }
  }

  #start(): void {
    const changed = this.#changed;
    if (changed === undefined) return;
    this.#changed = undefined;
    this.#lastStartAt = performance.now();
    this.#running = this.#refresh(changed).finally(() => {
      this.#running = undefined;
      if (this.#changed !== undefined) this.#schedule();
    });
  }

  async #refresh({ since, until }: { since: number; until: number }): Promise<void> {
    try {
      await this.#pool.query({
        name: 'refresh_pulse',
        text: `select nowcast.refresh_pulse(date_trunc('minute', $1::timestamptz), $2::timestamptz + interval '1 microsecond')`,
        values: [new Date(since), new Date(until)],
      });
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        this.#log.warn({ err: error }, 'refreshing the pulse failed; it is tried each second');
      this.#failing = true;
      // No further change may come, and whoever watches would see the last but one for ever.
      if (this.#isWatched()) this.#mark(since, until);
    }
  }
}
