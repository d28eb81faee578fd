import type { Command } from 'commander';
import { coldPlace } from '../history/cold/place.ts';
import { dueDays, type RetentionStep, runRetention } from '../history/retention.ts';
import type { Settings } from '../settings.ts';
import { count } from './etl.ts';
import { withMigratedPool } from './historyDatabase.ts';
import { progressBar } from './progress.ts';

export function addRetentionCommand(program: Command): void {
  program
    .command('retention')
    .description('which rows stay in PostgreSQL')
    .command('run')
    .description(
      'archive, verify and drop days older than NOWCAST_HOT_DAYS (a running Nowcast does it each night)',
    )
    .option('--dry-run', 'only say what would go')
    .option('--gently', 'pause between the pieces, so that live traffic hardly notices')
    .action(run);
}

async function run({ dryRun, gently }: { dryRun?: boolean; gently?: boolean }): Promise<void> {
  await withMigratedPool('retention run', async (pool, settings) => {
    const place = settings.coldUrl === undefined ? undefined : coldPlace(settings.coldUrl);
    const due = await dueDays(pool, settings.hotDays);
    const rows = due.reduce((sum, day) => sum + day.rows, 0);
    console.log(explain(settings, due.length));
    if (dryRun) {
      for (const day of due) {
        console.log(
          `  ${day.day}  ${megabytes(day.bytes).padStart(10)}  about ${Math.round(day.rows).toLocaleString('en-US')} rows${day.archived ? ', archived already' : ''}`,
        );
      }
      return;
    }
    const bar = place === undefined ? undefined : await progressBar('Archiving', 'rows');
    if (due.length > 0) bar?.start(Math.max(1, Math.round(rows)), 0);
    const steps: string[] = [];
    const mine = await runRetention(pool, {
      hotDays: settings.hotDays,
      minuteDays: settings.minuteDays,
      coldDays: settings.coldDays,
      place,
      pace: gently ? 'gentle' : 'full',
      onRows: (_day, archived) => bar?.increment(archived),
      onStep: (step) => steps.push(sentence(step)),
    }).finally(() => {
      bar?.stop();
      // Also of a run that failed: what it did is done.
      for (const step of steps) console.log(step);
    });
    if (!mine) console.log('Another retention run is at work: nothing was done.');
    else if (steps.length === 0) console.log('Nothing is old enough to go.');
  });
}

/** What the settings mean for what is stored, before anything happens. */
function explain({ hotDays, coldUrl, coldDays, minuteDays }: Settings, due: number): string {
  const before =
    coldUrl === undefined
      ? 'dropped without an archive, since NOWCAST_COLD_URL is not set'
      : `archived in ${coldUrl}${coldDays === undefined ? '' : ` for ${coldDays} days`}, verified and dropped`;
  return `Rows stay ${count(hotDays, 'day')} in PostgreSQL (NOWCAST_HOT_DAYS) and are then ${before}. Summaries stay: by the minute ${count(minuteDays, 'day')} (NOWCAST_MINUTE_DAYS), by five and fifteen minutes 400 days, by hour and day for ever. Older than that now: ${count(due, 'day')} of rows.`;
}

function sentence(step: RetentionStep): string {
  switch (step.kind) {
    case 'archived':
      return `${step.day}: ${count(step.rows, 'row')} archived and verified, ${megabytes(step.bytes)} (${(step.bytes / step.rows).toFixed(1)} bytes a row)`;
    case 'dropped':
      return `${step.day}: dropped, ${megabytes(step.bytes)} free`;
    case 'held':
      return `${step.day}: somebody's open transaction holds inference_logs; the next run tries again`;
    case 'forgotten':
      return `${step.day}: removed from the archive (NOWCAST_COLD_DAYS)`;
    case 'pruned':
      return `${count(step.rows, 'row')} of summaries by minutes given up`;
  }
}

export function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(2)} MB`;
}
