import type { History } from '../history/history.ts';
import type { Settings } from '../settings.ts';

/** What runs by the clock. Any server may run it at any time and twice: a ledger of its own says what is left to do. */
export interface ScheduledTask {
  readonly name: string;
  /** Five fields, read in NOWCAST_TIMEZONE. */
  readonly cron: string;
  /** After a failure it is tried again this much later. */
  readonly retrySeconds: number;
  /** @throws when it is to be tried again; ends soon after the signal */
  run(signal: AbortSignal): Promise<unknown>;
}

/**
 * The one table of what runs by the clock: name, when, what.
 *
 * A day is closed in the first run at or after 02:00. `0 2 * * *` would never come on the day whose clocks skip that hour
 * and twice on the one that repeats it, so the tick comes each hour, and the ledger of closed periods makes one closing of
 * it. No zone's clocks skip or repeat 04:00 (all zones of the tz database, 2024 to 2027). Digests are due at 08:00; the hours after are for
 * servers that were down then, and the outbox takes each once.
 */
export function scheduledTasks(
  history: History,
  sendAlertDigest: ScheduledTask['run'],
  { digest }: Pick<Settings, 'digest'>,
): readonly ScheduledTask[] {
  const minute = 60;
  const hour = 3_600;
  const tasks: ScheduledTask[] = [
    {
      name: 'close-days',
      cron: '0 * * * *',
      retrySeconds: minute,
      run: (signal) => history.closeDays(signal),
    },
    // A full disk is not better a minute later.
    { name: 'retention', cron: '0 4 * * *', retrySeconds: hour, run: (signal) => history.retire(signal) },
  ];
  if (digest === 'off') return tasks;
  const weekly = '0 8-23 * * 1';
  return [
    ...tasks,
    {
      name: 'weekly-digest',
      cron: weekly,
      retrySeconds: minute,
      run: (signal) => history.sendWeeklyDigest(signal),
    },
    {
      name: 'alert-digest',
      cron: digest === 'weekly' ? weekly : '0 8-23 * * *',
      retrySeconds: minute,
      run: sendAlertDigest,
    },
  ];
}
