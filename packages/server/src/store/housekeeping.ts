import type pg from 'pg';
import type { Logger } from 'pino';
import type { Partitions } from './partitions.ts';

/** The end of a latency alert may be this much late, and its beginning while others are being grouped. */
const alertIntervalMs = 5_000;
const pruneIntervalMs = 60_000;
const partitionIntervalMs = 3_600_000;

/** What must happen now and then: resolving, pruning, partitions of the days to come. */
export class Housekeeping {
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #log: Logger;

  constructor(pool: pg.Pool, partitions: Partitions, hotDays: number, log: Logger) {
    this.#log = log;
    this.#every(alertIntervalMs, 'raising and resolving alerts', () =>
      pool.query('select nowcast.raise_postponed_alerts(), nowcast.resolve_latency_alerts()'),
    );
    this.#every(pruneIntervalMs, 'pruning', () => pool.query('select nowcast.prune()'));
    // The days behind are for late events and for writers of the other door; nobody waits for them, whoever stops us least.
    const makePartitions = () => partitions.ensureAround(Date.now() * 1000, hotDays, this.#stopping.signal);
    this.#every(partitionIntervalMs, 'making partitions', makePartitions);
    this.#do('making partitions', makePartitions);
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#stopping.abort();
    await Promise.all(this.#running);
  }

  #every(intervalMs: number, what: string, work: () => Promise<unknown>): void {
    let running = false;
    // One at a time: while the database stands still, each further one would hold a connection of the pool.
    const once = async () => {
      if (running) return;
      running = true;
      await work().finally(() => (running = false));
    };
    this.#timers.push(setInterval(() => this.#do(what, once), intervalMs));
  }

  #do(what: string, work: () => Promise<unknown>): void {
    const running = work()
      .then(
        () => undefined,
        (error: unknown) => this.#log.warn({ err: error }, `${what} failed; it is tried again`),
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}
