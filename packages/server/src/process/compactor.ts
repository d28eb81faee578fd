import type pg from 'pg';
import type { Logger } from 'pino';

/** Partials wait at most this long: what readers of the open minute have to merge stays small. */
const intervalMs = 1_000;
const maxPartialsPerRun = 20_000;
/** Dead partials cost every reader of the open minute; at 5,000 a vacuum takes a few milliseconds. */
const deadPartialsPerVacuum = 5_000;

/** Merges appended summaries in the background, a second after something was written; idle otherwise. */
export class Compactor {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #deadPartials = 0;
  #deadCounts = 0;
  #again = false;
  #stopped = false;

  constructor(pool: pg.Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  /** Something was written. */
  wake(): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
        if (this.#again) {
          this.#again = false;
          this.wake();
        }
      });
    }, intervalMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      let taken: number;
      do {
        const { rows } = await this.#pool.query<{ taken: number }>('select nowcast.compact($1) as taken', [
          maxPartialsPerRun,
        ]);
        taken = rows[0]!.taken;
        this.#deadPartials += Math.max(taken, 0);
      } while (taken === maxPartialsPerRun && !this.#stopped);
      const folded = await this.#pool.query<{ taken: number }>('select nowcast.fold_losses($1) as taken', [
        maxPartialsPerRun,
      ]);
      this.#deadCounts += Math.max(folded.rows[0]!.taken, 0);
      const { rows } = await this.#pool.query<{ minutes: number }>(
        'select nowcast.recompute_stale() as minutes',
      );
      // Another server holds the lock, or more minutes are stale than one run takes.
      if (taken === -1 || rows[0]!.minutes > 0) this.#again = true;
      if (this.#deadPartials >= deadPartialsPerVacuum) {
        await this.#pool.query('vacuum (truncate false) nowcast.summary_partials');
        this.#deadPartials = 0;
      }
      if (this.#deadCounts >= deadPartialsPerVacuum) {
        await this.#pool.query('vacuum (truncate false) nowcast.loss_partials');
        this.#deadCounts = 0;
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'compaction failed; it is tried again');
      this.#again = true;
    }
  }
}
