import type pg from 'pg';
import type { Logger } from 'pino';

/** Partials wait at most this long: what readers of the open minute have to merge stays small. */
const gatherIntervalMs = 250;
/** Adding up by key and by longer buckets costs as much for few partials as for many. */
const compactIntervalMs = 5_000;
const maxPartialsPerRun = 20_000;
/** Dead partials cost every reader of the open minute; a vacuum of so many takes a few milliseconds. */
const deadRowsPerVacuum = 2_500;

/** Merges appended summaries in the background, soon after something was written; idle otherwise. */
export class Compactor {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** Rows taken out since the last vacuum. */
  readonly #dead = { summary_partials: 0, loss_partials: 0, unkept_partials: 0 };
  /** Something was written since the last run began. */
  #fresh = false;
  /** What was gathered waits to be compacted. */
  #gathered = false;
  #compactedAtMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(pool: pg.Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  /** Something was written. */
  wake(): void {
    this.#fresh = true;
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(): void {
    if (this.#stopped || this.#running !== undefined || this.#timer !== undefined) return;
    if (!this.#fresh && !this.#gathered) return;
    const untilCompactionMs = this.#compactedAtMs + compactIntervalMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#running = this.#run().finally(() => {
          this.#running = undefined;
          this.#schedule();
        });
      },
      this.#fresh ? gatherIntervalMs : Math.max(gatherIntervalMs, untilCompactionMs),
    );
  }

  async #run(): Promise<void> {
    const compacts = performance.now() - this.#compactedAtMs >= compactIntervalMs;
    this.#fresh = false;
    try {
      let taken: number;
      do {
        taken = await this.#take(compacts ? 'compact' : 'gather');
        this.#dead.summary_partials += Math.max(taken, 0);
      } while (taken === maxPartialsPerRun && !this.#stopped);
      // Another server holds the lock.
      if (taken === -1) this.#fresh = true;
      else if (compacts) this.#compactedAtMs = performance.now();
      this.#gathered = taken === -1 || !compacts;
      if (compacts) {
        this.#dead.loss_partials += Math.max(await this.#take('fold_losses'), 0);
        this.#dead.unkept_partials += Math.max(await this.#take('fold_unkept'), 0);
      }
      const { rows } = await this.#pool.query<{ minutes: number }>(
        'select nowcast.recompute_stale() as minutes',
      );
      // More minutes are stale than one run takes.
      if (rows[0]!.minutes > 0) this.#fresh = true;
      for (const table of ['summary_partials', 'loss_partials', 'unkept_partials'] as const) {
        if (this.#dead[table] < deadRowsPerVacuum) continue;
        await this.#pool.query(`vacuum (truncate false) nowcast.${table}`);
        this.#dead[table] = 0;
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'compaction failed; it is tried again');
      this.#fresh = true;
    }
  }

  async #take(step: 'gather' | 'compact' | 'fold_losses' | 'fold_unkept'): Promise<number> {
    const { rows } = await this.#pool.query<{ taken: number }>(`select nowcast.${step}($1) as taken`, [
      maxPartialsPerRun,
    ]);
    return rows[0]!.taken;
  }
}
