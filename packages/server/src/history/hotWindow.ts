import type pg from 'pg';
import type { Settings } from '../settings.ts';
import { dueDays } from './retention.ts';

export interface HotWindow {
  /** Days of rows that stay in PostgreSQL as of now. */
  readonly hotDays: number;
  /** What a lower setting will take away, while it is not applied yet. */
  readonly announcement: string | undefined;
}

/**
 * The hot window that a server applies: its setting, or the larger one before for another 24 hours after it was lowered.
 * Until then it says what will happen.
 */
export async function hotDaysNow(
  pool: pg.Pool,
  { hotDays: asked, coldUrl }: Pick<Settings, 'hotDays' | 'coldUrl'>,
): Promise<HotWindow> {
  const { rows } = await pool.query<{ days: number; applies_at: Date | null }>(
    'select days, applies_at from nowcast.announce_hot_days($1)',
    [asked],
  );
  const { days, applies_at: appliesAt } = rows[0]!;
  if (appliesAt === null) return { hotDays: days, announcement: undefined };
  const due = await dueDays(pool, asked);
  const events = due.reduce((sum, day) => sum + day.rows, 0);
  const fate =
    coldUrl === undefined ? 'are dropped for ever (NOWCAST_COLD_URL is not set)' : 'move to the archive';
  return {
    hotDays: days,
    announcement: `NOWCAST_HOT_DAYS went from ${days} to ${asked}: after ${appliesAt.toISOString()} the rows of ${due.length} ${due.length === 1 ? 'day' : 'days'} (about ${Math.round(events)}) ${fate}. Set it to ${days} again before to keep them; nowcast retention run applies it at once.`,
  };
}
