import type { SupabaseClient } from '@supabase/supabase-js';
import { type Alert, readAlert } from './alerts.ts';
import { type Bucket, readBucket, time } from './bucket.ts';
import { type InferenceEvent, readEvent } from './event.ts';
import { type Health, readHealth } from './health.ts';
import { type LossRow, readLosses } from './losses.ts';
import { readTotal, type Total } from './total.ts';

/** Everything that the page asks for. Each of these is a SQL view or function that psql can call too. */

/** More rows than this are cut by the server without a word, so longer answers are asked for in pages. */
const pageRows = 1_000;
/** A bound for a runaway number of model versions. */
const maxPages = 20;
const openAlertsShown = 100;
export const sendersShown = 100;
const healthTimeoutMs = 15_000;
const monthMs = 30 * 86_400_000;

export class LoadError extends Error {
  readonly status: number;

  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LoadError';
    this.status = status;
  }
}

interface Answer {
  readonly data: unknown;
  readonly error: { readonly message: string } | null;
  readonly status: number;
}

type Row = Readonly<Record<string, unknown>>;

/** @throws LoadError with a sentence for the person */
export function rowsOf({ data, error, status }: Answer): readonly Row[] {
  if (error !== null) {
    const unreachable = status === 0;
    throw new LoadError(unreachable ? 'The server does not answer.' : error.message, status);
  }
  return data as readonly Row[];
}

export interface MetricsQuery {
  readonly since: number;
  /** Seconds of a bucket. */
  readonly stepSeconds: number;
}

/** One row a bucket and model, in the order of time. */
export async function loadMetrics(
  client: SupabaseClient,
  { since, stepSeconds }: MetricsQuery,
): Promise<readonly Bucket[]> {
  const buckets: Bucket[] = [];
  for (let page = 0; page < maxPages; page++) {
    const rows = rowsOf(
      await client
        .rpc(
          'metrics',
          { since: new Date(since).toISOString(), step: `${stepSeconds} seconds` },
          { get: true },
        )
        .order('bucket')
        .order('model_version')
        .range(page * pageRows, (page + 1) * pageRows - 1)
        // Failed loads are repeated, and said, by whoever asked.
        .retry(false),
    );
    for (const row of rows) buckets.push(readBucket(row));
    if (rows.length < pageRows) break;
  }
  return buckets;
}

/** One row a model, and one for all of them together. */
export async function loadTotals(client: SupabaseClient, since: number): Promise<readonly Total[]> {
  const given = { since: new Date(since).toISOString() };
  return rowsOf(await client.rpc('metrics_total', given, { get: true }).retry(false)).map(readTotal);
}

/** Whether anything happened in the month before `until`. */
export async function loadIsAnythingBefore(client: SupabaseClient, until: number): Promise<boolean> {
  const given = { since: new Date(until - monthMs).toISOString(), until: new Date(until).toISOString() };
  return rowsOf(await client.rpc('metrics_total', given, { get: true }).retry(false)).some(
    (row) => Number(row.request_count) > 0,
  );
}

/** One row a sender, the busiest first, and after them one for everybody, shown here or not. */
export async function loadLosses(client: SupabaseClient, since: number): Promise<readonly LossRow[]> {
  const given = { since: new Date(since).toISOString() };
  const rows = rowsOf(
    await client
      .rpc('loss_accounting', given, { get: true })
      .order('sent', { ascending: false })
      .order('sender')
      .limit(sendersShown + 1)
      .retry(false),
  ).map(readLosses);
  return rows.sort((a, b) => Number(a.sender === null) - Number(b.sender === null));
}

/** Without a key, and answered by a server whose database is away too. */
export async function loadHealth(): Promise<Health> {
  try {
    const answer = await fetch('/health', { signal: AbortSignal.timeout(healthTimeoutMs) });
    // 503 is an answer: it says what is wrong.
    if (!answer.ok && answer.status !== 503)
      throw new LoadError(`GET /health answers ${answer.status}.`, answer.status);
    return readHealth(await answer.json());
  } catch (error) {
    if (error instanceof LoadError) throw error;
    throw new LoadError('The server does not answer.', 0, { cause: error });
  }
}

export async function loadOpenAlerts(client: SupabaseClient): Promise<readonly Alert[]> {
  const rows = rowsOf(
    await client
      .from('system_alerts')
      .select('*')
      .or('acknowledged.eq.false,status.eq.firing')
      .order('timestamp', { ascending: false })
      .limit(openAlertsShown)
      .retry(false),
  );
  return rows.map(readAlert);
}

/**
 * @param now leaves out what is dated later: events may be a day ahead, and those say nothing about now
 * @returns its time, or null when there is no event yet
 */
export async function loadNewestEventAt(client: SupabaseClient, now?: number): Promise<number | null> {
  let query = client.from('inference_logs').select('timestamp');
  if (now !== undefined) query = query.lte('timestamp', new Date(now + 1_000).toISOString());
  const rows = rowsOf(await query.order('timestamp', { ascending: false }).limit(1).retry(false));
  return rows[0] === undefined ? null : time(rows[0].timestamp);
}

export interface EventsQuery {
  readonly since?: number;
  readonly until?: number;
  readonly model: string | undefined;
  readonly onlyErrors?: boolean;
  readonly limit: number;
}

/** The newest events first. */
export async function loadEvents(
  client: SupabaseClient,
  { since, until, model, onlyErrors = false, limit }: EventsQuery,
): Promise<readonly InferenceEvent[]> {
  let query = client.from('inference_logs').select('*');
  if (since !== undefined) query = query.gte('timestamp', new Date(since).toISOString());
  if (until !== undefined) query = query.lt('timestamp', new Date(until).toISOString());
  if (model !== undefined) query = query.eq('model_version', model);
  if (onlyErrors) query = query.is('is_error', true);
  const rows = rowsOf(await query.order('timestamp', { ascending: false }).limit(limit).retry(false));
  return rows.map(readEvent);
}

/** @throws LoadError; its status is 401 or 403 where the key may read only */
export async function acknowledge(client: SupabaseClient, alertId: number): Promise<void> {
  const { error, status } = await client
    .from('system_alerts')
    .update({ acknowledged: true })
    .eq('id', alertId);
  if (error !== null)
    throw new LoadError(status === 0 ? 'The server does not answer.' : error.message, status);
}
