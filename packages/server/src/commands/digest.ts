import type { Command } from 'commander';
import { lastMonday, readWeek } from '../history/digest/readWeek.ts';
import { weeklyDigest } from '../history/digest/weeklyDigest.ts';
import { assertDay } from './etl.ts';
import { withMigratedPool } from './historyDatabase.ts';

export function addDigestCommand(program: Command): void {
  program
    .command('digest')
    .description('the last week in a few lines: volume, cost, what changed for certain, alerts')
    .option('--week <day>', 'the week with this day instead, as YYYY-MM-DD')
    .addHelpText('after', '\nReads closed days: nowcast etl run closes what is due.')
    .action(print);
}

async function print({ week }: { week?: string }): Promise<void> {
  if (week !== undefined) assertDay(week);
  await withMigratedPool('digest', async (pool, { timezone }) => {
    const { rows } = await pool.query<{ day: string }>(
      `select to_char(coalesce($2::date + 7, (now() at time zone $1)::date), 'YYYY-MM-DD') as day`,
      [timezone, week ?? null],
    );
    const { title, text, lines } = weeklyDigest(await readWeek(pool, lastMonday(rows[0]!.day), timezone));
    console.log([title, text, ...lines.map((line) => `  ${line}`)].join('\n'));
  });
}
