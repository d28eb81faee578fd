import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { readBackup } from '../history/backup/read.ts';
import { writeBackup } from '../history/backup/write.ts';
import { readSettings } from '../settings.ts';
import { StartupError } from '../startupError.ts';
import { findOwner } from '../store/embedded/owner.ts';
import { count } from './etl.ts';
import { withMigratedPool } from './historyDatabase.ts';
import { progressBar, wholeMegabytes } from './progress.ts';
import { megabytes } from './retention.ts';

export function addBackupCommand(program: Command): void {
  program
    .command('backup <file>')
    .description('write everything that is stored into one file, while Nowcast runs or not')
    .action(backup);
  program
    .command('restore <file>')
    .description('fill an empty database from a backup; also the way to a new major version of PostgreSQL')
    .action(restore);
}

async function backup(file: string): Promise<void> {
  if (existsSync(file)) throw new StartupError(`${file} exists already: a backup never replaces a file.`);
  await withMigratedPool('backup', async (pool) => {
    const client = await pool.connect();
    const bar = await progressBar('Backing up', 'rows');
    bar.start(1, 0);
    try {
      const rows = await writeBackup(client, file, (done, expected) => {
        bar.setTotal(Math.max(1, Math.round(expected)));
        bar.increment(done);
      });
      bar.stop();
      console.log(`${count(rows, 'row')} in ${file}, ${megabytes((await stat(file)).size)}.`);
    } finally {
      bar.stop();
      client.release(true);
    }
  });
}

async function restore(file: string): Promise<void> {
  const settings = readSettings(process.env);
  if (!existsSync(file)) throw new StartupError(`There is no file ${file}.`);
  // A server knows ids and keys by heart that are about to change.
  if (settings.databaseUrl === undefined && findOwner(settings.dataDir)) {
    throw new StartupError(`Nowcast is running on ${settings.dataDir}: stop it first.`);
  }
  await withMigratedPool('restore', async (pool) => {
    const client = await pool.connect();
    const bar = await progressBar('Restoring', 'MB');
    bar.start(wholeMegabytes((await stat(file)).size), 0);
    try {
      const rows = await readBackup(client, file, (done) => bar.update(wholeMegabytes(done)));
      await client.query('analyze');
      bar.stop();
      console.log(`${count(rows, 'row')} restored from ${file}.`);
    } finally {
      bar.stop();
      client.release(true);
    }
  });
}
