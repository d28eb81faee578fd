import type pg from 'pg';

export interface EtlOptions {
  /** IANA name: where a day begins. */
  readonly zone: string;
  /** `YYYY-MM-DD`, the first day to look at; otherwise the first one of all. */
  readonly from?: string | undefined;
  /** The last day to look at. It must be over. */
  readonly to: string;
  /** Whether every day of the range is compared with what it holds now, not only those whose rows can still change. */
  readonly everything?: boolean;
  readonly onProgress?: (done: number, total: number, period: string) => void;
  readonly signal?: AbortSignal;
}

export interface EtlResult {
  /** Days that were closed by this run, oldest first. */
  readonly days: readonly string[];
  /** Weeks and months that were added up again. */
  readonly periods: number;
}

const maxPartialsPerRun = 20_000;

/**
 * Closes every day that is not closed, or holds something else than what it was closed with, and then the weeks and
 * months of those days. Each period is a transaction of its own that takes one lock over all servers and looks at the
 * ledger again: two runs at once share the work, and one that was cut short goes on where it ended.
 */
export async function closePeriods(pool: pg.Pool, options: EtlOptions): Promise<EtlResult> {
  const { zone, from = null, to, everything = false, onProgress, signal } = options;
  await settleSummaries(pool);
  const due = await texts(
    pool,
    `select to_char(d, 'YYYY-MM-DD') as text from nowcast.days_to_close($1, $2, $3, $4) d order by d`,
    [zone, to, from, everything],
  );
  const days: string[] = [];
  for (const [index, day] of due.entries()) {
    signal?.throwIfAborted();
    const { rows } = await pool.query<{ closed: boolean }>('select nowcast.close_day($1, $2) as closed', [
      day,
      zone,
    ]);
    if (rows[0]!.closed) days.push(day);
    onProgress?.(index + 1, due.length, day);
  }
  return { days, periods: await closeMarked(pool, signal) };
}

/** Adds up the weeks and months that closed days have marked, those of an interrupted run included. */
async function closeMarked(pool: pg.Pool, signal: AbortSignal | undefined): Promise<number> {
  const { rows } = await pool.query<{ kind: string; starts: string }>(
    `select kind, to_char(starts, 'YYYY-MM-DD') as starts from nowcast.periods
     where state is null and kind <> 'day' order by kind, starts`,
  );
  let closed = 0;
  for (const { kind, starts } of rows) {
    signal?.throwIfAborted();
    const answer = await pool.query<{ closed: boolean }>('select nowcast.close_marked($1, $2) as closed', [
      kind,
      starts,
    ]);
    if (answer.rows[0]!.closed) closed += 1;
  }
  return closed;
}

/**
 * Sums corrected minutes anew. Closing reads what the compactor has not taken yet; only where that is too much or has too
 * many models is it compacted here: where no server runs, nobody else does.
 */
async function settleSummaries(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ compacts: boolean }>(
    'select nowcast.compacts_before_closing() as compacts',
  );
  if (rows[0]!.compacts) {
    await untilDone(pool, `select nowcast.compact(${maxPartialsPerRun}) as worked`);
  }
  await untilDone(pool, 'select nowcast.recompute_stale() as worked');
}

/**
 * Waits for its turn among compactors: they leave it to each other, and what one of them holds at this moment is not settled.
 *
 * @param text a statement that returns how much it did as `worked`
 */
async function untilDone(pool: pg.Pool, text: string): Promise<void> {
  // Two statements of one simple query are one transaction, which the lock belongs to.
  const turn = `select pg_advisory_xact_lock(nowcast.compaction_lock()); ${text}`;
  let worked: number;
  do {
    const results = (await pool.query(turn)) as unknown as [unknown, pg.QueryResult<{ worked: number }>];
    worked = results[1].rows[0]!.worked;
  } while (worked > 0);
}

async function texts(pool: pg.Pool, text: string, values: unknown[]): Promise<string[]> {
  const { rows } = await pool.query<{ text: string }>(text, values);
  return rows.map((row) => row.text);
}
