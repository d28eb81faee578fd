import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { type ColdPlace, coldPlace } from '../history/cold/place.ts';
import { type ColdAnswer, queryCold } from '../history/cold/query.ts';
import { restoreDay } from '../history/cold/restore.ts';
import type { Settings } from '../settings.ts';
import { StartupError } from '../startupError.ts';
import { assertDay, assertDays, count } from './etl.ts';
import { withMigratedPool } from './historyDatabase.ts';
import { progressBar, wholeMegabytes } from './progress.ts';
import { formatTable } from './sqlOutput.ts';

/** PostgreSQL's numbers for the types that a table aligns to the right and to the left. */
const numberType = 701;
const textType = 25;

export function addColdCommand(program: Command): void {
  const cold = program.command('cold').description('days of events in the archive (NOWCAST_COLD_URL)');
  cold.command('list').description('the days of the archive').action(list);
  cold
    .command('query <sql>')
    .description("SQL (DuckDB's) over the table inference_logs: the archive and PostgreSQL together")
    .option('--since <day>', 'first day to look at, as YYYY-MM-DD in UTC')
    .option('--until <day>', 'last day to look at, as YYYY-MM-DD in UTC')
    .option('--json', 'print rows as NDJSON instead of a table')
    .option('--max-rows <number>', 'print no more rows than these')
    .option('--no-progress', 'say nothing but rows and errors')
    .option('--read-only', "only one SELECT, which opens no files beside the archive's", false)
    .addHelpText(
      'after',
      `
"-" reads the query from standard input. Files of a directory are read where they are. Rows in PostgreSQL are copied for the time of the query, of them only the columns that
it names; --since and --until spare the other days.

Example:
  nowcast cold query "select model_version, count(*), quantile_cont(inference_time_ms, 0.99)
    from inference_logs where (metadata->>'region') = 'eu-west-1' group by 1"`,
    )
    .action(query);
  cold
    .command('restore <day>')
    .description('bring a day back into PostgreSQL for a while')
    .option('--days <number>', 'days until retention takes it away again', '7')
    .action(restore);
}

async function list(): Promise<void> {
  await withMigratedPool('cold list', async (pool, settings) => {
    const place = settings.coldUrl === undefined ? undefined : coldPlace(settings.coldUrl);
    const { rows } = await pool.query<{
      day: string;
      file: string;
      row_count: string;
      bytes: string;
      archived_at: string;
      state: string;
    }>(
      `select to_char(k.day, 'YYYY-MM-DD') as day, k.file, k.row_count, k.bytes,
         to_char(k.archived_at, 'YYYY-MM-DD HH24:MI') as archived_at,
         case when k.restored_until is not null then 'restored until ' || to_char(k.restored_until, 'YYYY-MM-DD')
           when exists (select from nowcast.day_tables() t where t.day = k.day) then 'also in PostgreSQL'
           else 'archived' end as state
       from nowcast.cold_days k order by k.day`,
    );
    const columns = ['day', 'rows', 'bytes', 'bytes a row', 'archived (UTC)', 'state'].map((name, index) => ({
      name,
      dataTypeID: index >= 1 && index <= 3 ? numberType : textType,
    }));
    const cells: string[][] = [];
    for (const { day, file, row_count, bytes, archived_at, state } of rows) {
      const isMissing = place !== undefined && !(await place.exists(file));
      cells.push([
        day,
        row_count,
        bytes,
        (Number(bytes) / Math.max(1, Number(row_count))).toFixed(1),
        archived_at,
        isMissing ? `${file} is missing` : state,
      ]);
    }
    process.stdout.write(formatTable(columns, cells));
  });
}

interface QueryOptions {
  readonly since?: string;
  readonly until?: string;
  readonly json?: boolean;
  readonly maxRows?: string;
  readonly progress: boolean;
  readonly readOnly: boolean;
}

async function query(given: string, options: QueryOptions): Promise<void> {
  const maxRows = options.maxRows === undefined ? Number.POSITIVE_INFINITY : Number(options.maxRows);
  if (!(maxRows >= 1)) throw new StartupError(`--max-rows must be at least 1, not ${options.maxRows}.`, 2);
  const sql = given === '-' ? await text(process.stdin) : given;
  assertDays('--since', options.since, '--until', options.until);
  await withMigratedPool('cold query', async (pool, settings) => {
    const place = settings.coldUrl === undefined ? undefined : coldPlace(settings.coldUrl);
    const client = await pool.connect();
    const bar = await progressBar('Reading PostgreSQL', 'rows');
    let started = false;
    try {
      await queryCold(
        client,
        place,
        {
          sql,
          since: options.since,
          until: options.until,
          isReadOnly: options.readOnly,
          onRows(rows, expected) {
            if (!options.progress) return;
            if (!started) bar.start(Math.max(rows, Math.round(expected)), 0);
            started = true;
            bar.increment(rows);
          },
        },
        async (answer) => {
          bar.stop();
          const rows = firstRows(answer.rows, maxRows);
          await (options.json ? printJson({ ...answer, rows }) : printTable({ ...answer, rows }));
        },
      );
    } finally {
      bar.stop();
      client.release();
    }
  });
}

async function* firstRows(
  pieces: AsyncIterable<readonly unknown[][]>,
  count: number,
): AsyncIterable<readonly unknown[][]> {
  let left = count;
  for await (const piece of pieces) {
    yield piece.slice(0, left);
    left -= piece.length;
    if (left <= 0) return;
  }
}

async function printJson({ columns, rows }: ColdAnswer): Promise<void> {
  for await (const piece of rows) {
    for (const row of piece) {
      console.log(JSON.stringify(Object.fromEntries(columns.map(({ name }, index) => [name, row[index]]))));
    }
  }
}

async function printTable({ columns, rows }: ColdAnswer): Promise<void> {
  const cells: (string | null)[][] = [];
  for await (const piece of rows) for (const row of piece) cells.push(row.map(textOf));
  const isNumber = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*)$/;
  const shown = columns.map(({ name, type }) => ({
    name,
    dataTypeID: isNumber.test(type) ? numberType : textType,
  }));
  process.stdout.write(formatTable(shown, cells));
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

async function restore(day: string, options: { days: string }): Promise<void> {
  assertDay(day);
  const days = Number(options.days);
  if (!Number.isInteger(days) || days < 1 || days > 3_650) {
    throw new StartupError(`--days must be a whole number from 1 to 3650, not ${options.days}.`, 2);
  }
  await withMigratedPool('cold restore', async (pool, settings) => {
    const client = await pool.connect();
    const bar = await progressBar('Restoring', 'MB');
    let started = false;
    try {
      const rows = await restoreDay(client, placeOf(settings), day, days, (done, total) => {
        if (!started) bar.start(wholeMegabytes(total), 0);
        started = true;
        bar.update(wholeMegabytes(done));
      });
      bar.stop();
      console.log(
        `${count(rows, 'row')} of ${day} are in inference_logs again, for ${count(days, 'day')}; the archive keeps its file.`,
      );
    } finally {
      bar.stop();
      client.release();
    }
  });
}

function placeOf({ coldUrl }: Settings): ColdPlace {
  if (coldUrl === undefined) {
    throw new StartupError(
      'NOWCAST_COLD_URL is not set: set it to the directory or bucket of the archive, like file:///var/lib/nowcast-archive or s3://bucket/prefix.',
      2,
    );
  }
  return coldPlace(coldUrl);
}
