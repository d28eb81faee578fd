import type pg from 'pg';
import { digestDay } from '../../alert/outbox/alertDigest.ts';
import { enqueueDigest } from '../../alert/outbox/digest.ts';
import { lastMonday, readWeek } from './readWeek.ts';
import { weeklyDigest } from './weeklyDigest.ts';

/**
 * Hands the digest of the week before to the channels, on Monday at the hour of digests, once over all servers. Of a week
 * without requests there is none.
 *
 * @returns false when it is not time
 */
export async function sendWeeklyDigest(pool: pg.Pool, zone: string, now: Date): Promise<boolean> {
  const monday = digestDay('weekly', zone, now);
  if (monday === undefined) return false;
  const week = await readWeek(pool, lastMonday(monday), zone);
  if (week.models.length > 0) await enqueueDigest(pool, weeklyDigest(week));
  return true;
}
