import type { Command } from 'commander';
import { readSettings } from '../settings.ts';
import { migrate } from '../store/migrate.ts';
import { withDatabase } from './database.ts';

export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('bring the database to this version and end (start does it too)')
    .action(async () => {
      await withDatabase(readSettings(process.env), 'migrate', migrate);
      console.log('The database is at this version.');
    });
}
