import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';

/** As fast as it goes, or gently: so that others who write to the database at the same time hardly notice. */
export type Pace = 'full' | 'gentle';

/** Rows at once while others write: PostgreSQL is busy with them for about three milliseconds. */
const busySliceRows = 2_000;
/** Of the time, a quarter is work then. */
const busyPauses = 3;
/** Rows at once while nobody does. */
const idleSliceRows = 50_000;
/**
 * Bytes of WAL a second from which on somebody writes: of some 300 events a second. Reading makes none, a server without
 * events some 10 kB/s.
 */
const busyWalBytes = 100_000;
const sampleIntervalMs = 500;

/**
 * Ranges of a day's rows in their order, as WHERE clauses: a single one at full pace. Gently, small ones while others
 * write, with a pause behind each.
 */
export async function* ranges(
  client: pg.ClientBase,
  relation: string,
  pace: Pace,
  pause: (ms: number) => Promise<unknown> = delay,
): AsyncGenerator<string, void, void> {
  if (pace === 'full') return yield '';
  const traffic = Traffic.of(client);
  let after = '';
  for (;;) {
    const startedAt = performance.now();
    const isBusy = await traffic.isBusy();
    const { rows } = await client.query<{ last: string }>(
      `select format('(%L::timestamptz, %s::bigint)', timestamp, id) as last from ${relation} ${after && `where (timestamp, id) > ${after}`}
       order by timestamp, id offset ${(isBusy ? busySliceRows : idleSliceRows) - 1} limit 1`,
    );
    const last = rows[0]?.last;
    const bounds = [
      ...(after === '' ? [] : [`(timestamp, id) > ${after}`]),
      ...(last === undefined ? [] : [`(timestamp, id) <= ${last}`]),
    ];
    yield bounds.length === 0 ? '' : `where ${bounds.join(' and ')}`;
    if (last === undefined) return;
    if (isBusy) await pause((performance.now() - startedAt) * busyPauses);
    after = last;
  }
}

/** Whether others write to the database, by the WAL that they make. */
class Traffic {
  /** What one day has seen, the next one knows. */
  static readonly #known = new WeakMap<pg.ClientBase, Traffic>();
  readonly #client: pg.ClientBase;
  #walBytes: number | undefined;
  #sampledAtMs = 0;
  /** Until it is known. */
  #isBusy = true;

  private constructor(client: pg.ClientBase) {
    this.#client = client;
  }

  static of(client: pg.ClientBase): Traffic {
    const traffic = Traffic.#known.get(client) ?? new Traffic(client);
    Traffic.#known.set(client, traffic);
    return traffic;
  }

  async isBusy(): Promise<boolean> {
    const seconds = (performance.now() - this.#sampledAtMs) / 1_000;
    if (this.#walBytes !== undefined && seconds * 1_000 < sampleIntervalMs) return this.#isBusy;
    const { rows } = await this.#client.query<{ bytes: string }>(
      `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as bytes`,
    );
    const bytes = Number(rows[0]!.bytes);
    if (this.#walBytes !== undefined) this.#isBusy = (bytes - this.#walBytes) / seconds >= busyWalBytes;
    this.#walBytes = bytes;
    this.#sampledAtMs = performance.now();
    return this.#isBusy;
  }
}
