import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { StartupError } from '../../startupError.ts';
import { type ColdColumn, identifier, literal, rowColumns } from './columns.ts';
import { Pieces, selectPieces } from './pieces.ts';
import type { ColdPlace } from './place.ts';
import { Scratch } from './scratch.ts';

export interface ColdQuery {
  readonly sql: string;
  /** `YYYY-MM-DD`, days of UTC: the first and the last one that are looked at. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** Only one SELECT runs, and it opens no files beside the archive's. */
  readonly isReadOnly?: boolean;
  /** Hears of the rows that are read out of PostgreSQL. */
  readonly onRows?: (rows: number, expected: number) => void;
}

export interface ColdAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Rows in pieces, values as JSON has them. */
  readonly rows: AsyncIterable<readonly unknown[][]>;
}

/**
 * Answers SQL (DuckDB's) over all rows: the table `inference_logs` holds the days of the archive and those of
 * PostgreSQL together. A day that is in both is read from PostgreSQL. Of PostgreSQL's rows only the columns that the
 * query names are read.
 */
export async function queryCold(
  client: pg.ClientBase,
  place: ColdPlace | undefined,
  query: ColdQuery,
  use: (answer: ColdAnswer) => Promise<void>,
): Promise<void> {
  const directory =
    place === undefined
      ? path.join(os.tmpdir(), `nowcast-query-${process.pid}`)
      : await place.scratchDirectory();
  const scratch = await Scratch.open(directory);
  try {
    if (query.isReadOnly === true) await assertSelect(scratch, query.sql);
    const columns = await rowColumns(client);
    // Hot and cold days of one moment: a day that retention moves meanwhile stays where it was seen.
    await client.query('begin isolation level repeatable read read only');
    try {
      const files = await coldFiles(client, place, query, scratch.directory);
      await scratch.makeTable('hot_rows', columns);
      await scratch.run(viewOf(columns, files)).catch(unreadable);
      const needed = await neededColumns(scratch, query.sql, columns);
      await loadHot(client, scratch, needed, query);
      // The rest of the columns is named nowhere in the query.
      await scratch.run(viewOf(needed, files));
      if (query.isReadOnly === true) await scratch.confine(files);
    } finally {
      await client.query('rollback');
    }
    const result = await scratch.stream(query.sql).catch(refused);
    const types = result.columnTypes();
    await use({
      columns: result.deduplicatedColumnNames().map((name, index) => ({ name, type: String(types[index]) })),
      rows: readable(result.yieldRowsJson()),
    });
  } finally {
    await scratch.close();
  }
}

/** @throws StartupError when it is anything else */
async function assertSelect(scratch: Scratch, sql: string): Promise<void> {
  const isSelect = await scratch.isSelect(sql).catch(refused);
  if (!isSelect) throw new StartupError('The query must be one SELECT.');
}

/** @throws StartupError with what DuckDB says about a query, or about what it reads */
function refused(error: unknown): never {
  throw new StartupError(`The query cannot be run: ${(error as Error).message}`, 1, { cause: error });
}

/** @throws StartupError */
function unreadable(error: unknown): never {
  throw new StartupError(`A file of the archive cannot be read: ${(error as Error).message}`, 1, {
    cause: error,
  });
}

/** Values that do not fit what the query makes of them are met while its rows are read. */
async function* readable<Piece>(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece, void, undefined> {
  try {
    yield* pieces;
  } catch (error) {
    refused(error);
  }
}

/** @throws StartupError when a file of the manifest is not there */
async function coldFiles(
  client: pg.ClientBase,
  place: ColdPlace | undefined,
  { since = '-infinity', until = 'infinity' }: ColdQuery,
  directory: string,
): Promise<string[]> {
  const { rows } = await client.query<{ file: string }>(
    `select file from nowcast.cold_days k
     where k.day between $1 and $2 and not exists (select from nowcast.day_tables() t where t.day = k.day)
     order by k.day`,
    [since, until],
  );
  if (rows.length > 0 && place === undefined) {
    throw new StartupError(
      `${rows.length} days stand in an archive and NOWCAST_COLD_URL is not set: set it to the directory they were written to.`,
    );
  }
  const files: string[] = [];
  for (const { file } of rows) {
    if (!(await place!.exists(file))) {
      throw new StartupError(
        `${place!.nameOf(file)} is in the archive's list and not there: put it back, or leave its day out with --since or --until.`,
      );
    }
    files.push(await place!.fetch(file, directory));
  }
  return files;
}

function viewOf(columns: readonly ColdColumn[], files: readonly string[]): string {
  const names = columns.map(({ name }) => identifier(name)).join(', ');
  // Files of older versions may lack columns that came later.
  const empty = columns.map(({ name, duckType }) => `null::${duckType} as ${identifier(name)}`).join(', ');
  const cold =
    files.length === 0
      ? ''
      : `union all select ${names} from (
          select * from (select ${empty} where false)
          union all by name select * from read_parquet([${files.map(literal).join(', ')}], union_by_name = true))`;
  return `create or replace view inference_logs as select ${names} from hot_rows ${cold}`;
}

interface PlanNode {
  readonly name: string;
  readonly children: readonly PlanNode[];
  readonly extra_info: {
    readonly Table?: string;
    readonly Projections?: unknown;
    readonly Filters?: unknown;
  };
}

/** The columns that a query reads, as DuckDB's own plan has it; all of them when the plan does not say. */
async function neededColumns(
  scratch: Scratch,
  sql: string,
  columns: readonly ColdColumn[],
): Promise<readonly ColdColumn[]> {
  // The table is empty as yet, which must not be planned upon.
  await scratch.run(`set disabled_optimizers = 'statistics_propagation,empty_result_pullup'`);
  const plan = await scratch
    .one<{ explain_value: string }>(`explain (format json)\n${sql}`)
    .catch((error: Error) => {
      // That counts the line which is not the user's.
      error.message = error.message.replace(/^LINE (\d+)/m, (_, line) => `LINE ${Number(line) - 1}`);
      return refused(error);
    });
  await scratch.run(`reset disabled_optimizers`);
  const scans: PlanNode[] = [];
  const collect = (node: PlanNode) => {
    if (node.extra_info?.Table?.endsWith('.hot_rows') === true) scans.push(node);
    node.children.forEach(collect);
  };
  (JSON.parse(plan.explain_value) as PlanNode[]).forEach(collect);
  if (scans.length === 0) return columns;
  // What is only filtered on stands in the filters, in an expression.
  const words = new Set(
    scans.flatMap(({ extra_info: { Projections, Filters } }) =>
      JSON.stringify([Projections, Filters]).split(/\W+/),
    ),
  );
  const needed = columns.filter(({ name }) => words.has(name));
  return needed.length === 0 ? columns.slice(0, 1) : needed;
}

async function loadHot(
  client: pg.ClientBase,
  scratch: Scratch,
  columns: readonly ColdColumn[],
  { since = '-infinity', until = 'infinity', onRows }: ColdQuery,
): Promise<void> {
  const { rows } = await client.query<{ relation: string; expected: number }>(
    `select t.relation::text as relation, nowcast.estimated_rows(t.relation)::float8 as expected
     from nowcast.day_tables() t
     where t.day between $1 and $2 order by t.day`,
    [since, until],
  );
  const expected = rows.reduce((sum, row) => sum + row.expected, 0);
  await scratch.run('drop table hot_rows');
  await scratch.makeTable('hot_rows', columns);
  const hot = new Pieces(scratch.directory, columns, async ({ file, rows: loaded }) => {
    await scratch.run(`insert into hot_rows ${selectPieces([file], columns)}`);
    await rm(file);
    onRows?.(loaded, expected);
  });
  for (const { relation } of rows) await hot.take(client, `from ${relation}`);
  await hot.end();
}
