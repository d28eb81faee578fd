import type pg from 'pg';
import { withDeadline } from './deadline.ts';
import { OverloadedError } from './request.ts';

/** Ids taken from the sequence at once; at 20,000 events/s one such query a second. */
const blockSize = 20_000;
/** A database that does not give a block in this time is away; who waited for it is answered 503. */
const maxFetchMs = 3_000;
/** Then its connection is given up too, by a clock that goes on while our process stands still. */
const maxQueryMs = 2 * maxFetchMs;
/** Events that wait for ids stand in no other queue: this bounds them. */
const maxWaitingIds = 20_000;

/**
 * Ids for the writer, reserved from the table's own sequence ahead of use, so that the round trip of a transaction
 * returns no rows and both doors draw from one sequence. Ids that a crash leaves unused are gaps.
 */
export class IdPool {
  readonly #pool: pg.Pool;
  #ranges: { next: number; last: number }[] = [];
  #available = 0;
  #waiting = 0;
  #refill: Promise<void> | undefined;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /**
   * Resolves at once, almost always: the pool refills itself while half of it is left.
   *
   * @throws OverloadedError when the database gives none in time, or too many wait for it already
   */
  async reserve(count: number): Promise<void> {
    if (this.#waiting > 0 && this.#waiting + count > maxWaitingIds) {
      throw new OverloadedError('too many events are waiting for the database');
    }
    this.#waiting += count;
    try {
      while (this.#available < count) await this.#fill(this.#waiting);
    } catch (error) {
      if (error instanceof OverloadedError) throw error;
      throw new OverloadedError(`the database cannot be reached: ${(error as Error).message}`);
    } finally {
      this.#waiting -= count;
    }
  }

  has(count: number): boolean {
    // Failures of a refill ahead of need are met, and reported, by the next one that is needed.
    if (this.#available < blockSize / 2) this.#fill(blockSize).catch(() => undefined);
    return this.#available >= count;
  }

  /** @throws when more ids are taken than were reserved */
  take(): number {
    const range = this.#ranges[0];
    if (range === undefined) throw new Error('an id was taken that was not reserved');
    this.#available -= 1;
    const id = range.next;
    range.next += 1;
    if (range.next > range.last) this.#ranges.shift();
    return id;
  }

  #fill(count: number): Promise<void> {
    this.#refill ??= withDeadline(
      this.#fetch(Math.max(count, blockSize)),
      maxFetchMs,
      () => new OverloadedError('the database does not answer'),
    ).finally(() => {
      this.#refill = undefined;
    });
    return this.#refill;
  }

  async #fetch(count: number): Promise<void> {
    // Others may draw from the sequence in between: the ids come as ranges without gaps, mostly one.
    const query: pg.QueryConfig & { query_timeout: number } = {
      query_timeout: maxQueryMs,
      text: `select min(id) as first, max(id) as last
       from (
         select id, id - row_number() over (order by id) as island
         from (select nextval('public.inference_logs_id_seq') as id from generate_series(1, $1)) drawn
       ) ranged
       group by island order by 1`,
      values: [count],
    };
    const { rows } = await this.#pool.query<{ first: string; last: string }>(query);
    for (const row of rows) {
      const range = { next: Number(row.first), last: Number(row.last) };
      this.#ranges.push(range);
      this.#available += range.last - range.next + 1;
    }
  }
}
