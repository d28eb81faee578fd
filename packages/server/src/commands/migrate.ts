import type { Command } from 'commander';
import { readSettings } from '../settings.ts';
import { checkGivenDatabase } from '../store/givenDatabase.ts';
import { migrate } from '../store/migrate.ts';
import { withDatabase } from './database.ts';

export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('bring the database to this version and end (start does it too)')
    .action(async () => {
      const settings = readSettings(process.env);
      if (settings.databaseUrl !== undefined) await checkGivenDatabase(settings.databaseUrl);
      await withDatabase(settings, 'migrate', migrate);
      console.log('The database is at this version.');
    });
}
