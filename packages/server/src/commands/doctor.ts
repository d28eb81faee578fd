import type { Command } from 'commander';
import { type Diagnosis, diagnose, totalBytes } from '../history/doctor.ts';
import { count } from './etl.ts';
import { withMigratedPool } from './historyDatabase.ts';
import { megabytes } from './retention.ts';
import { formatTable } from './sqlOutput.ts';

/** PostgreSQL's numbers for the types that a table aligns to the right and to the left. */
const numberType = 701;
const textType = 25;
/** Smaller ones are listed with --json only. */
const shownBytes = 100_000;

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('size and use of tables and indexes, bytes per event, what pruning would save')
    .option('--json', 'print everything as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      await withMigratedPool('doctor', async (pool, { hotDays }) => {
        const diagnosis = await diagnose(pool, hotDays);
        console.log(json ? JSON.stringify(diagnosis, undefined, 2) : report(diagnosis));
      });
    });
}

function report({ database, tables, indexes, events, savings, notes }: Diagnosis): string {
  const perEvent = (bytes: number | null) => (bytes === null ? 'unknown' : `${bytes.toFixed(1)} bytes`);
  return [
    `PostgreSQL ${database.version}, ${megabytes(database.bytes)}. About ${count(events.rows, 'event')} on ${count(events.days, 'day')}: rows with their indexes ${megabytes(events.row_bytes)}, summaries ${megabytes(events.summary_bytes)}, together ${perEvent(events.bytes_per_event)} an event. Archive: ${events.archived_days === 0 ? 'no days' : `${count(events.archived_days, 'day')}, ${perEvent(events.archived_bytes_per_event)} an event`}.`,
    '',
    table(
      ['table', 'rows (estimate)', 'rows MB', 'indexes MB', 'aside MB'],
      tables
        .filter((one) => totalBytes(one) >= shownBytes)
        .map((one) => [
          one.table,
          one.rows.toLocaleString('en-US'),
          ...[one.heap_bytes, one.index_bytes, one.toast_bytes].map(inMegabytes),
        ]),
    ),
    table(
      ['index of', 'on', 'MB', `scans since ${database.scans_since} UTC`],
      indexes
        .filter(({ bytes }) => bytes >= shownBytes)
        .map((one) => [one.table, one.definition, inMegabytes(one.bytes), one.scans.toLocaleString('en-US')]),
    ),
    'What pruning would save:',
    ...savings.map(({ what, bytes }) => `  ${what}: ${megabytes(bytes)}`),
    '',
    ...(notes.length === 0 ? ['Nothing else to note.'] : ['To note:', ...notes.map((note) => `  ${note}`)]),
  ].join('\n');
}

function table(columns: string[], rows: string[][]): string {
  const isText = (name: string) => ['table', 'index of', 'on'].includes(name);
  return formatTable(
    columns.map((name) => ({ name, dataTypeID: isText(name) ? textType : numberType })),
    rows,
  );
}

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
