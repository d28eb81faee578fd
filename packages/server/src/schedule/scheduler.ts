import type pg from 'pg';
import type PgBoss from 'pg-boss';
import type { Logger } from 'pino';
import { JobDatabase } from './jobDatabase.ts';
import type { ScheduledTask } from './tasks.ts';

/** The library's tables. They hold nothing that a backup needs: which periods are closed stands in Nowcast's own. */
export const jobSchema = 'nowcast_jobs';

export interface SchedulerTimings {
  /** The first moments belong to collectors and pages that connect again. */
  readonly startDelayMs: number;
  /** How often each task's queue is looked at. */
  readonly pollSeconds: number;
  /** How often the clock is looked at, and what is due handed to the queues. */
  readonly cronSeconds: number;
}

/** A task begins within a minute of its time and costs a query every few seconds. */
const schedulerTimings: SchedulerTimings = { startDelayMs: 60_000, pollSeconds: 20, cronSeconds: 20 };
const secondStartMs = 60_000;
/** The library's most. The task of a server that was killed is given out again after it; the next tick comes before. */
const maxRunSeconds = 23 * 3_600;
/** Until then the next tick has come anyway. */
const retryLimit = 20;
/** Signalled tasks end at once; whatever does not is left to the end of its connection. */
const stopTimeoutMs = 3_000;
/** Cleaning the library's tables up. */
const maintenanceSeconds = 600;
const keptJobDays = 7;

interface SchedulerOptions {
  readonly pool: pg.Pool;
  readonly log: Logger;
  /** IANA name: whose clock the tasks run by. */
  readonly zone: string;
  readonly tasks: readonly ScheduledTask[];
  readonly timings?: SchedulerTimings | undefined;
}

/**
 * Runs tasks by the clock, each tick in one of all servers. What came due while none ran is made up for at a start: every
 * task runs once then. A database that is away delays everything and ends nothing.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #timings: SchedulerTimings;
  readonly #database: JobDatabase;
  readonly #stopping = new AbortController();
  #boss: PgBoss | undefined;
  #timer: NodeJS.Timeout | undefined;
  #opening: Promise<void> | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#timings = options.timings ?? schedulerTimings;
    this.#database = new JobDatabase(options.pool, options.log);
    this.#openIn(this.#timings.startDelayMs);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopping.abort();
    await this.#opening;
    await this.#boss?.stop({ timeout: stopTimeoutMs });
    await this.#database.settle();
  }

  #openIn(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#opening = this.#open().catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return;
        if (!this.#database.isAway)
          this.#options.log.warn({ err: error }, 'the schedule did not start; it is tried again');
        this.#openIn(secondStartMs);
      });
    }, delayMs);
  }

  async #open(): Promise<void> {
    // Loaded here, so that a start does not wait for it.
    const { default: Boss } = await import('pg-boss');
    const { cronSeconds } = this.#timings;
    const boss = new Boss({
      db: this.#database,
      schema: jobSchema,
      cronMonitorIntervalSeconds: cronSeconds,
      cronWorkerIntervalSeconds: cronSeconds,
      maintenanceIntervalSeconds: maintenanceSeconds,
      deleteAfterDays: keptJobDays,
    });
    boss.on('error', (error) => {
      if (!this.#database.isAway) this.#options.log.warn({ err: error }, 'the schedule');
    });
    try {
      await boss.start();
      await this.#declare(boss);
      for (const task of this.#options.tasks) {
        await boss.send(task.name, {});
        await this.#work(boss, task);
      }
    } catch (error) {
      await boss.stop({ graceful: false });
      throw error;
    }
    this.#boss = boss;
  }

  /** Makes what the database knows of schedules equal to the table of tasks. */
  async #declare(boss: PgBoss): Promise<void> {
    const { tasks, zone } = this.#options;
    for (const { name, cron, retrySeconds } of tasks) {
      const queue: PgBoss.Queue = {
        name,
        // One waits while one runs: ticks do not pile up behind a long run.
        policy: 'short',
        retryLimit,
        retryDelay: retrySeconds,
        expireInSeconds: maxRunSeconds,
      };
      await boss.createQueue(name, queue);
      await boss.updateQueue(name, queue);
      await boss.schedule(name, cron, {}, { tz: zone });
    }
    const known = (await boss.getSchedules()).map(({ name }) => name);
    const missing = tasks.filter(({ name }) => !known.includes(name));
    if (missing.length > 0) throw new Error(`not scheduled: ${missing.map(({ name }) => name).join(', ')}`);
    for (const name of known) {
      if (!tasks.some((task) => task.name === name)) await boss.unschedule(name);
    }
  }

  async #work(boss: PgBoss, task: ScheduledTask): Promise<void> {
    const { signal } = this.#stopping;
    await boss.work(task.name, { pollingIntervalSeconds: this.#timings.pollSeconds }, async () => {
      try {
        // A job may still arrive while the server stops: it is given back.
        signal.throwIfAborted();
        await task.run(signal);
      } catch (error) {
        if (!signal.aborted) this.#options.log.warn({ err: error }, `${task.name} failed; it is tried again`);
        throw error;
      }
    });
  }
}
