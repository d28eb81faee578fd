import { sleep } from '../load/clock.ts';
import type { History } from './history.ts';
import type { PostgresProcesses } from './processes.ts';

const compactionLimitMs = 60_000;

export interface StorageVerdict {
  /** Acknowledged events without a row. */
  readonly lost: number;
  /** Rows beyond one an event; without a batch id, beyond the number of times it was sent. */
  readonly doubled: number;
  /** Requests stored in part, or rows that nobody sent. */
  readonly torn: string[];
  readonly rows: number;
  /** Rows of nowcast_recompute_check. */
  readonly summaryMismatches: number;
}

/** Compares what was acknowledged with what is stored, and the summaries with the rows. */
export async function checkStorage(
  postgres: PostgresProcesses,
  history: History,
  since: Date,
): Promise<StorageVerdict> {
  const stored = await postgres.query<{
    request: string;
    events: number;
    least: number;
    most: number;
    rows: number;
  }>(
    `select split_part(trace_id, ':', 1) as request, count(*)::int as events, min(n)::int as least,
       max(n)::int as most, sum(n)::int as rows
     from (select trace_id, count(*) as n from inference_logs group by trace_id) found
     group by 1`,
  );
  const byRequest = new Map(stored.map((row) => [row.request, row]));
  let lost = 0;
  let doubled = 0;
  const torn: string[] = [];
  for (const request of history.requests.values()) {
    const found = byRequest.get(request.name);
    byRequest.delete(request.name);
    const acknowledged = request.acknowledgedAtMs !== undefined;
    if (found === undefined) {
      if (acknowledged) lost += request.events;
      continue;
    }
    if (found.events !== request.events || found.least !== found.most) {
      torn.push(
        `${request.name}: ${found.events} of ${request.events} events, each ${found.least} to ${found.most} times`,
      );
      if (acknowledged) lost += request.events - found.events;
    }
    const allowed = request.hasBatchId || acknowledged ? 1 : request.sends;
    doubled += Math.max(0, found.rows - found.events * allowed);
  }
  for (const request of byRequest.keys()) torn.push(`${request}: never sent`);
  const rows = stored.reduce((sum, row) => sum + row.rows, 0);
  return { lost, doubled, torn, rows, summaryMismatches: await summaryMismatches(postgres, since) };
}

async function summaryMismatches(postgres: PostgresProcesses, since: Date): Promise<number> {
  const endMs = performance.now() + compactionLimitMs;
  for (;;) {
    const [partials] = await postgres.query<{ n: number }>(
      'select count(*)::int as n from nowcast.summary_partials',
    );
    if (partials!.n === 0) break;
    if (performance.now() > endMs) throw new Error(`${partials!.n} summaries are not compacted`);
    await sleep(100);
  }
  const [check] = await postgres.query<{ n: number }>(
    `select count(*)::int as n from nowcast_recompute_check('${since.toISOString()}')`,
  );
  return check!.n;
}
