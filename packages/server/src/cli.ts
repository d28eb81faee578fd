import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { addAlertsCommand } from './commands/alerts.ts';
import { addBacktestCommand } from './commands/backtest.ts';
import { addBackupCommand } from './commands/backup.ts';
import { addColdCommand } from './commands/cold.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addDetectCommand } from './commands/detect.ts';
import { addDigestCommand } from './commands/digest.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEtlCommand } from './commands/etl.ts';
import { addKeysCommand } from './commands/keys.ts';
import { addMigrateCommand } from './commands/migrate.ts';
import { addReplayCommand } from './commands/replay.ts';
import { addRetentionCommand } from './commands/retention.ts';
import { addSimulateCommand } from './commands/simulate.ts';
import { addSqlCommand } from './commands/sql.ts';
import { addStartCommand } from './commands/start.ts';
import { settingsHelp } from './settings.ts';
import { StartupError } from './startupError.ts';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/**
 * Runs one command line, such as `['start']`. Sets the process's exit code: 0 done, 1 failed, 2 wrong usage; what a
 * person can change ends as one sentence without a stack.
 */
export async function runCli(args: string[]): Promise<void> {
  const program = new Command('nowcast')
    .description('Tells the people who run an AI system whether it is working, now.')
    .version(version)
    .helpCommand(false)
    .showHelpAfterError('(nowcast --help lists every command and setting)')
    .addHelpText('after', () => `\n${settingsHelp()}\n\nExit codes: 0 done, 1 failed, 2 wrong usage.`)
    .exitOverride();
  for (const add of [
    addStartCommand,
    addMigrateCommand,
    addSqlCommand,
    addReplayCommand,
    addSimulateCommand,
    addDemoCommand,
    addKeysCommand,
    addAlertsCommand,
    addEtlCommand,
    addDigestCommand,
    addRetentionCommand,
    addColdCommand,
    addDetectCommand,
    addBacktestCommand,
    addBackupCommand,
    addDoctorCommand,
  ]) {
    add(program);
  }
  pointToOwnHelp(program);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** What is wrong with the use of a command is told in the help of that command. */
function pointToOwnHelp(command: Command, name = command.name()): void {
  for (const below of command.commands) {
    const belowName = `${name} ${below.name()}`;
    below.showHelpAfterError(`(${belowName} --help tells how it is used)`);
    pointToOwnHelp(below, belowName);
  }
}

function report(error: unknown): number {
  // Commander has printed what was wrong, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof StartupError) {
    console.error(error.message);
    return error.exitCode;
  }
  console.error(error);
  return 1;
}
