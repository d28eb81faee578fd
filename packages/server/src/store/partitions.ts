import { dayOf } from '@nowcast/protocol';
import type pg from 'pg';
import { withDeadline } from './deadline.ts';
import { OverloadedError } from './request.ts';

/** Partitions stand ready for events up to 24 hours ahead, and for the day after the next midnight. */
const daysAhead = 2;
const dayMicros = 86_400_000_000;
/** Who waits for a partition longer is answered 503; making it goes on. */
const maxWaitMs = 5_000;

/** Knows which days have a partition and makes the missing ones. */
export class Partitions {
  readonly #pool: pg.Pool;
  readonly #known = new Set<string>();
  readonly #making = new Map<string, Promise<void>>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** @param day as `YYYYMMDD` */
  has(day: string): boolean {
    return this.#known.has(day);
  }

  /** Forgets a day whose partition turned out to be gone. */
  forget(day: string): void {
    this.#known.delete(day);
  }

  /** @throws OverloadedError when the database does not make it now */
  async ensure(day: string): Promise<void> {
    if (this.#known.has(day)) return;
    let making = this.#making.get(day);
    if (making === undefined) {
      making = this.#make(day).finally(() => this.#making.delete(day));
      this.#making.set(day, making);
    }
    try {
      await withDeadline(making, maxWaitMs, () => new Error('the database does not answer'));
    } catch (error) {
      throw new OverloadedError(`the partition of ${day} cannot be made now: ${(error as Error).message}`);
    }
  }

  /** Makes the partitions of the days around now; called at start and then hourly. Ends between two where it is aborted. */
  async ensureAround(nowMicros: number, daysBack: number, signal?: AbortSignal): Promise<void> {
    const { rows } = await this.#pool.query<{ day: string }>(
      `select to_char(d, 'YYYYMMDD') as day from nowcast.partition_days() d`,
    );
    for (const row of rows) this.#known.add(row.day);
    for (let offset = -daysBack; offset <= daysAhead; offset += 1) {
      if (signal?.aborted) return;
      await this.ensure(dayOf(nowMicros + offset * dayMicros));
    }
  }

  async #make(day: string): Promise<void> {
    const client = await this.#pool.connect();
    try {
      // Attaching waits for a brief lock on the parent: give way rather than queue others behind it.
      for (let attempt = 1; ; attempt += 1) {
        try {
          await client.query(`begin; set local lock_timeout = '500ms'`);
          await client.query(`select nowcast.create_partition(to_date($1, 'YYYYMMDD'))`, [day]);
          await client.query('commit');
          break;
        } catch (error) {
          await client.query('rollback');
          if ((error as pg.DatabaseError).code !== lockNotAvailable || attempt === 20) throw error;
        }
      }
      this.#known.add(day);
      client.release();
    } catch (error) {
      client.release(true);
      throw error;
    }
  }
}

const lockNotAvailable = '55P03';
