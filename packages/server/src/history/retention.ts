import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { archiveDay, forgetColdDays, isArchived } from './cold/archive.ts';
import type { Pace } from './cold/pace.ts';
import type { ColdPlace } from './cold/place.ts';

/** Any number that no other lock of ours has, the same in every server: one retention at a time. */
const retentionLock = 7_021_850_139_405n;
const lockNotAvailable = '55P03';
/** Whoever waits for our lock waits no longer than this; then we give way and try again. */
const defaultLockTimeoutMs = 2_000;
const lockAttempts = 5;
/** Five-minute summaries last thirteen months, so that a month can be charted beside the same one a year before. */
const fiveMinuteDays = 400;

export interface RetentionOptions {
  readonly hotDays: number;
  readonly minuteDays: number;
  /** Undefined: days are dropped without an archive. */
  readonly place: ColdPlace | undefined;
  readonly coldDays: number | undefined;
  readonly lockTimeoutMs?: number;
  readonly pace?: Pace;
  /** Ends the run between two steps; the next one goes on. */
  readonly signal?: AbortSignal;
  readonly onStep?: (step: RetentionStep) => void;
  readonly onRows?: (day: string, rows: number) => void;
}

export type RetentionStep =
  | { readonly kind: 'archived'; readonly day: string; readonly rows: number; readonly bytes: number }
  | { readonly kind: 'dropped'; readonly day: string; readonly bytes: number }
  /** Somebody keeps the table locked, so the day stays until the next run. */
  | { readonly kind: 'held'; readonly day: string }
  | { readonly kind: 'forgotten'; readonly day: string }
  | { readonly kind: 'pruned'; readonly rows: number };

/** A day whose rows are older than the hot window. */
export interface DueDay {
  readonly day: string;
  readonly relation: string;
  readonly attached: boolean;
  readonly detaching: boolean;
  readonly bytes: number;
  /** As PostgreSQL estimates it. */
  readonly rows: number;
  readonly archived: boolean;
}

/** The days that a retention of so many days would take away, oldest first. */
export async function dueDays(pool: pg.Pool | pg.ClientBase, hotDays: number): Promise<DueDay[]> {
  // The hour's grace is for events that were accepted just before midnight and are being written.
  const { rows } = await pool.query<Omit<DueDay, 'bytes' | 'rows'> & { bytes: string; rows: number }>(
    `select to_char(t.day, 'YYYY-MM-DD') as day, t.relation::text as relation, t.attached, t.detaching,
       pg_total_relation_size(t.relation) as bytes, nowcast.estimated_rows(t.relation)::float8 as rows, k.day is not null as archived
     from nowcast.day_tables() t
     left join nowcast.cold_days k on k.day = t.day
     where t.day < ((now() - interval '1 hour') at time zone 'UTC')::date - $1::integer
       and coalesce(k.restored_until, '-infinity') < now()
     order by t.day`,
    [hotDays],
  );
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
}

/**
 * Archives, verifies and drops the days that are older than the hot window, one after the other, and gives up summaries
 * by the minute that are older than theirs. Whatever interrupts it, the next run goes on: a day is dropped only while
 * its table holds exactly what the archive holds.
 *
 * @returns false when another run is at work
 */
export async function runRetention(pool: pg.Pool, options: RetentionOptions): Promise<boolean> {
  const client = await pool.connect();
  try {
    const { rows } = await client.query<{ mine: boolean }>(
      `select pg_try_advisory_lock(${retentionLock}) as mine`,
    );
    if (!rows[0]!.mine) return false;
    try {
      for (const due of await dueDays(client, options.hotDays)) {
        options.signal?.throwIfAborted();
        await retire(client, due, options);
      }
      if (options.place !== undefined && options.coldDays !== undefined) {
        for (const day of await forgetColdDays(client, options.place, options.coldDays)) {
          options.onStep?.({ kind: 'forgotten', day });
        }
      }
      await pruneTiers(client, options);
    } finally {
      await client.query(`select pg_advisory_unlock(${retentionLock})`);
    }
    return true;
  } finally {
    // What was set on it must not reach whoever has it next.
    client.release(true);
  }
}

async function retire(client: pg.ClientBase, due: DueDay, options: RetentionOptions): Promise<void> {
  const { place, onStep, lockTimeoutMs = defaultLockTimeoutMs, signal, pace = 'full' } = options;
  const { day, relation } = due;
  const archive = async () => {
    const { rows, bytes } = await archiveDay(client, place!, day, relation, {
      pace,
      onRows: (count) => options.onRows?.(day, count),
    });
    onStep?.({ kind: 'archived', day, rows, bytes });
  };
  const keep = place !== undefined && (await holdsRows(client, relation));
  if (keep && !(await isArchived(client, place, day, relation, pace))) await archive();
  if (!(await detach(client, due, lockTimeoutMs, signal))) return onStep?.({ kind: 'held', day });
  // Nothing changes the rows any more. What changed them meanwhile is in the table and not in the file.
  if (keep && !(await isArchived(client, place, day, relation, pace))) {
    await archive();
    if (!(await isArchived(client, place, day, relation, pace))) {
      throw new Error(`the archive of ${day} differs from its rows, which stay in ${relation}`);
    }
  }
  const dropped = await withLockTimeout(client, lockTimeoutMs, signal, async () => {
    await client.query(`drop table ${relation}`);
    await client.query(
      'update nowcast.cold_days set dropped_at = now(), restored_until = null where day = $1',
      [day],
    );
  });
  onStep?.(dropped ? { kind: 'dropped', day, bytes: due.bytes } : { kind: 'held', day });
}

async function holdsRows(client: pg.ClientBase, relation: string): Promise<boolean> {
  const { rows } = await client.query<{ any: boolean }>(`select exists (select from ${relation}) as any`);
  return rows[0]!.any;
}

/**
 * Takes a day's table off inference_logs without stopping anybody. Meanwhile nothing recomputes summaries from rows,
 * since the rows of the day seem gone from one moment to the next.
 *
 * @returns false when somebody's transaction would have to be waited for too long
 */
async function detach(
  client: pg.ClientBase,
  due: DueDay,
  lockTimeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (let attempt = 1; attempt <= lockAttempts; attempt += 1) {
    const { rows } = await client.query<{ attached: boolean; detaching: boolean }>(
      'select attached, detaching from nowcast.day_tables() where day = $1',
      [due.day],
    );
    const { attached, detaching } = rows[0]!;
    if (!attached && !detaching) return true;
    await client.query('select pg_advisory_lock(nowcast.compaction_lock())');
    try {
      await recomputeStale(client, due.day);
      await client.query(`set lock_timeout = ${lockTimeoutMs}`);
      await client.query(
        `alter table public.inference_logs detach partition ${due.relation} ${detaching ? 'finalize' : 'concurrently'}`,
      );
      return true;
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
    } finally {
      await client.query('set lock_timeout = 0');
      await client.query('select pg_advisory_unlock(nowcast.compaction_lock())');
    }
    await delay(lockTimeoutMs / 2, undefined, { signal });
  }
  return false;
}

/** Corrections of the day's rows reach its summaries while the rows are there. */
async function recomputeStale(client: pg.ClientBase, day: string): Promise<void> {
  const marked = async () => {
    const { rows } = await client.query<{ any: boolean }>(
      `select exists (
         select from nowcast.stale_minutes where (minute at time zone 'UTC')::date = $1
       ) as any`,
      [day],
    );
    return rows[0]!.any;
  };
  while (await marked()) await client.query('select nowcast.recompute_stale()');
}

/** One transaction that gives way to others. False when it did so each time. */
async function withLockTimeout(
  client: pg.ClientBase,
  lockTimeoutMs: number,
  signal: AbortSignal | undefined,
  work: () => Promise<void>,
): Promise<boolean> {
  for (let attempt = 1; attempt <= lockAttempts; attempt += 1) {
    await client.query('begin');
    try {
      await client.query(`set local lock_timeout = ${lockTimeoutMs}`);
      await work();
      await client.query('commit');
      return true;
    } catch (error) {
      await client.query('rollback');
      if (!isLockTimeout(error)) throw error;
    }
    await delay(lockTimeoutMs / 2, undefined, { signal });
  }
  return false;
}

async function pruneTiers(
  client: pg.ClientBase,
  { minuteDays, onStep, signal }: RetentionOptions,
): Promise<void> {
  let total = 0;
  for (;;) {
    signal?.throwIfAborted();
    const { rows } = await client.query<{ rows: string }>('select nowcast.prune_tiers($1, $2) as rows', [
      minuteDays,
      Math.max(fiveMinuteDays, minuteDays),
    ]);
    const pruned = Number(rows[0]!.rows);
    total += pruned;
    if (pruned === 0) break;
  }
  for (;;) {
    signal?.throwIfAborted();
    const { rows } = await client.query<{ rows: string }>('select nowcast.prune_unkept($1) as rows', [
      minuteDays,
    ]);
    const pruned = Number(rows[0]!.rows);
    total += pruned;
    if (pruned === 0) break;
  }
  if (total > 0) onStep?.({ kind: 'pruned', rows: total });
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === lockNotAvailable;
}
