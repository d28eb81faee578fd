import type pg from 'pg';
import type { Logger } from 'pino';

/**
 * The job library's way to PostgreSQL: a connection of our pool for each of its statements, none kept.
 *
 * The library lets go of the promises with which it says that a job is done, so one that were rejected would end the
 * process. Here a failed statement is logged, once until the next that works, and has no result: a job that could not be
 * called done is given out again when its time is over, which is harmless to all of ours.
 */
export class JobDatabase {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #inFlight = new Set<Promise<unknown>>();
  #isAway = false;

  constructor(pool: pg.Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  /** Whether the newest statement failed: what the library reports then was logged here. */
  get isAway(): boolean {
    return this.#isAway;
  }

  executeSql(text: string, values: unknown[]): Promise<pg.QueryResult> {
    const running = this.#execute(text, values).finally(() => this.#inFlight.delete(running));
    this.#inFlight.add(running);
    return running;
  }

  /** Resolves when nothing is on its way, nor what follows from an answer. */
  async settle(): Promise<void> {
    do {
      await Promise.all(this.#inFlight);
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#inFlight.size > 0);
  }

  async #execute(text: string, values: unknown[]): Promise<pg.QueryResult> {
    try {
      const client = await this.#pool.connect();
      let isWhole = false;
      try {
        const result = await client.query(text, values);
        isWhole = true;
        this.#isAway = false;
        return result;
      } finally {
        // Some of its statements are whole transactions: one that failed halfway must not stay open on a shared connection.
        client.release(!isWhole);
      }
    } catch (error) {
      if (!this.#isAway)
        this.#log.warn({ err: error }, 'the schedule does not reach PostgreSQL; it tries on');
      this.#isAway = true;
      // The library asks `result?.rows`; where it does not, it reports a TypeError to its listener of errors.
      return undefined as unknown as pg.QueryResult;
    }
  }
}
