import type pg from 'pg';
import type { Logger } from 'pino';
import type { Settings } from '../../settings.ts';
import { type KeepField, Sampler, type Unusual } from './sampler.ts';

/** How soon an edit of sampling_keep is followed, and a model's p99. */
const intervalMs = 5_000;
/** A list for debugging; beyond it the newest are followed. */
const maxKeepRows = 10_000;

export interface Sampling {
  readonly sampler: Sampler;
  stop(): Promise<void>;
}

/** Undefined where all events are kept: the hot path then asks nobody. */
export async function startSampling(
  { sampleRate, sampleMaxRowsPerSecond }: Settings,
  pool: pg.Pool,
  log: Logger,
): Promise<Sampling | undefined> {
  if (sampleRate === 1 && sampleMaxRowsPerSecond === undefined) return undefined;
  const unusual = new UnusualEvents(pool, log);
  await unusual.read();
  const sampler = new Sampler({
    rate: sampleRate,
    maxRowsPerSecond: sampleMaxRowsPerSecond,
    unusual: () => unusual.now,
  });
  return { sampler, stop: () => unusual.stop() };
}

/** Reads, now and then, what makes an event one that is always kept. */
class UnusualEvents {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #now: Unusual = { p99LatencyMs: new Map(), keep: new Map() };
  #reading: Promise<void> | undefined;

  constructor(pool: pg.Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
    this.#timer = setInterval(() => void this.read(), intervalMs).unref();
  }

  get now(): Unusual {
    return this.#now;
  }

  /** Resolves when a reading has ended, well or not: the one before stays then. */
  read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }

  async #readOnce(): Promise<void> {
    try {
      const p99s = await this.#pool.query<{ model_version: string; p99_latency_ms: number }>(
        'select model_version, p99_latency_ms from nowcast.recent_p99()',
      );
      const kept = await this.#pool.query<{ field: KeepField; value: string }>(
        `select field, value from public.sampling_keep where until is null or until > now()
         order by created_at desc limit ${maxKeepRows}`,
      );
      const keep = new Map<KeepField, Set<string>>();
      for (const { field, value } of kept.rows) {
        const values = keep.get(field);
        if (values === undefined) keep.set(field, new Set([value]));
        else values.add(value);
      }
      this.#now = {
        p99LatencyMs: new Map(
          p99s.rows.map(({ model_version, p99_latency_ms }) => [model_version, p99_latency_ms]),
        ),
        keep,
      };
    } catch (error) {
      this.#log.warn({ err: error }, 'reading what sampling always keeps failed; it is tried again');
    }
  }
}
