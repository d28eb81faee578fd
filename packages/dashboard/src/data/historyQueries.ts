import type { SupabaseClient } from '@supabase/supabase-js';
import { type Leader, readLeader } from './leader.ts';
import { rowsOf } from './queries.ts';
import { quote } from './quote.ts';
import {
  type ChangedTrend,
  changeColumns,
  readChangedTrend,
  readTrend,
  type Trend,
  trendColumns,
} from './trend.ts';

/** What the History page asks for. */

type Row = Readonly<Record<string, unknown>>;

const pageRows = 1_000;
/** A bound for a runaway number of model versions; ten years of days of fifty models fit. */
const maxRows = 200_000;

export type TrendView = 'daily_metrics_trend' | 'weekly_metrics_trend' | 'monthly_metrics_trend';

export interface TrendsQuery {
  readonly view: TrendView;
  /** First days of the first and the last period, "2026-11-26". */
  readonly first: string;
  readonly last: string;
  /** All of them where it is undefined. */
  readonly models?: readonly string[];
}

export async function loadTrends(client: SupabaseClient, query: TrendsQuery): Promise<readonly Trend[]> {
  return (await loadRows(client, query, trendColumns)).map(readTrend);
}

export async function loadChanges(
  client: SupabaseClient,
  query: TrendsQuery,
): Promise<readonly ChangedTrend[]> {
  // Months of four weeks before would not be the same days.
  const columns = changeColumns({ withFourWeeks: query.view !== 'monthly_metrics_trend' });
  return (await loadRows(client, query, columns)).map(readChangedTrend);
}

/** Every column of the view, the changes too: what is exported. */
export async function loadTrendRows(client: SupabaseClient, query: TrendsQuery): Promise<readonly Row[]> {
  return await loadRows(client, query, ['*']);
}

/** In the order of time, then models. */
async function loadRows(
  client: SupabaseClient,
  { view, first, last, models }: TrendsQuery,
  columns: readonly string[],
): Promise<readonly Row[]> {
  if (models?.length === 0) return [];
  const all: Row[] = [];
  while (all.length < maxRows) {
    let query = client
      .from(view)
      .select(columns.join(','))
      .gte('period_start', first)
      .lte('period_start', last);
    if (models !== undefined) query = query.filter('model_version', 'in', `(${models.map(quote).join(',')})`);
    const rows = rowsOf(
      await query
        .order('period_start')
        .order('model_version')
        .range(all.length, all.length + pageRows - 1)
        .retry(false),
    );
    all.push(...rows);
    if (rows.length < pageRows) break;
  }
  return all;
}

export async function loadIsAnyDayBefore(client: SupabaseClient, day: string): Promise<boolean> {
  const query = client.from('daily_metrics_summary').select('date').lt('date', day).limit(1);
  return rowsOf(await query.retry(false)).length > 0;
}

/** The busiest first. `until` is the day after the last one. */
export async function loadLeaders(
  client: SupabaseClient,
  since: string,
  until: string,
): Promise<readonly Leader[]> {
  return rowsOf(
    await client.rpc('model_leaderboard', { since, until }, { get: true }).order('rank').retry(false),
  ).map(readLeader);
}
