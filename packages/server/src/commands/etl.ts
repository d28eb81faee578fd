import type { Command } from 'commander';
import { isDay } from '../history/day.ts';
import { closePeriods } from '../history/etl.ts';
import { StartupError } from '../startupError.ts';
import { withMigratedPool } from './historyDatabase.ts';
import { progressBar } from './progress.ts';

export function addEtlCommand(program: Command): void {
  program
    .command('etl')
    .description('daily, weekly and monthly summaries')
    .command('run')
    .description('close every unclosed or changed day before today (a running Nowcast does it by itself)')
    .option('--from <day>', 'first day to look at, as YYYY-MM-DD')
    .option('--to <day>', 'last day to look at, as YYYY-MM-DD')
    .addHelpText(
      'after',
      `
Running it again is harmless: a ledger knows which days are closed and with what content. With --from or --to every day
of the range is compared with its summaries.`,
    )
    .action(run);
}

async function run(options: { from?: string; to?: string }): Promise<void> {
  assertDays('--from', options.from, '--to', options.to);
  await withMigratedPool('etl run', async (pool, { timezone }) => {
    const { rows } = await pool.query<{ yesterday: string }>(
      `select to_char((now() at time zone $1)::date - 1, 'YYYY-MM-DD') as yesterday`,
      [timezone],
    );
    const { yesterday } = rows[0]!;
    const bar = await progressBar('Closing', 'days');
    let started = false;
    const { days, periods } = await closePeriods(pool, {
      zone: timezone,
      from: options.from,
      to: options.to === undefined || options.to > yesterday ? yesterday : options.to,
      everything: options.from !== undefined || options.to !== undefined,
      onProgress(done, total) {
        if (!started) bar.start(total, 0);
        started = true;
        bar.update(done);
      },
    }).finally(() => bar.stop());
    console.log(
      days.length === 0 && periods === 0
        ? 'Every day is closed.'
        : `${count(days.length, 'day')} closed${days.length === 0 ? '' : ` (${days[0]} to ${days.at(-1)})`}, ${count(periods, 'week or month', 'weeks and months')} added up.`,
    );
  });
}

/** @throws StartupError when it is no day of the calendar */
export function assertDay(text: string): void {
  if (!isDay(text)) throw new StartupError(`A day is written as YYYY-MM-DD, not ${text}.`, 2);
}

/** The first and the last day of a range. @throws StartupError (wrong usage) */
export function assertDays(
  firstOption: string,
  first: string | undefined,
  lastOption: string,
  last: string | undefined,
): void {
  for (const day of [first, last]) if (day !== undefined) assertDay(day);
  if (first !== undefined && last !== undefined && first > last) {
    throw new StartupError(`${firstOption} ${first} lies after ${lastOption} ${last}.`, 2);
  }
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`;
}
