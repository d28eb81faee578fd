import { stat } from 'node:fs/promises';
import path from 'node:path';
import type pg from 'pg';
import { allEnded } from './allEnded.ts';
import { type ColdColumn, fingerprintQuery, literal, rowColumns } from './columns.ts';
import { type Pace, ranges } from './pace.ts';
import { type Piece, Pieces, pieceRows, selectPieces } from './pieces.ts';
import type { ColdPlace } from './place.ts';
import { assertReadsBack } from './readBack.ts';
import { Scratch } from './scratch.ts';
import { sha256OfFile } from './sha256.ts';

/** A day's rows as a file, verified. */
export interface ArchivedDay {
  readonly day: string;
  readonly rows: number;
  readonly bytes: number;
}

export interface RowsState {
  readonly rows: number;
  readonly fingerprint: string;
}

/** Level 9 makes files of many texts a sixth smaller than 3, in hardly more time. */
const parquetOptions = 'format parquet, compression zstd, compression_level 9, parquet_version v2';

/**
 * Writes a day's rows to the archive: Parquet, sorted by time, with statistics for each row group. The file gets its
 * name only after it was read back and holds every row, value for value; then the manifest gets its row. Nothing
 * leaves PostgreSQL here. Cut short at any point, it leaves a scratch directory that the next run removes.
 *
 * @param relation the table of the day, attached or not
 */
export async function archiveDay(
  client: pg.ClientBase,
  place: ColdPlace,
  day: string,
  relation: string,
  options: { readonly pace?: Pace; readonly onRows?: (rows: number) => void } = {},
): Promise<ArchivedDay> {
  const { pace = 'full' } = options;
  const scratch = await Scratch.open(await place.scratchDirectory(), pace);
  const file = `inference_logs-${day}.parquet`;
  try {
    const columns = await rowColumns(client);
    const names = columns.map(({ name }) => name);
    const temporary = path.join(scratch.directory, file);
    const pieces: Piece[] = [];
    const rows = new Pieces(scratch.directory, columns, (piece) => {
      pieces.push(piece);
      options.onRows?.(piece.rows);
    });
    // The rows and their fingerprint, at one moment.
    await client.query('begin isolation level repeatable read read only');
    let state: RowsState;
    try {
      for await (const range of ranges(client, relation, pace)) {
        await rows.take(client, `from ${relation} ${range} order by timestamp, id`);
      }
      await rows.end();
      [state] = await allEnded([
        rowsState(client, relation, names, pace),
        writeFile(scratch, temporary, columns, pieces),
      ]);
      const taken = pieces.reduce((sum, piece) => sum + piece.rows, 0);
      if (taken !== state.rows) throw new Error(`${relation} sent ${taken} rows of ${state.rows}`);
    } finally {
      await client.query('rollback');
    }
    const { size } = await stat(temporary);
    const sha256 = await sha256OfFile(temporary);
    await place.publish(temporary, file, sha256);
    if ((await place.sha256Of(file)) !== sha256) {
      throw new Error(`${place.nameOf(file)} did not read back as it was written; ${day} stays where it is`);
    }
    await client.query(
      `insert into nowcast.cold_days as c (day, file, row_count, fingerprint, column_names, bytes, sha256)
       values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (day) do update set file = excluded.file, row_count = excluded.row_count,
         fingerprint = excluded.fingerprint, column_names = excluded.column_names, bytes = excluded.bytes,
         sha256 = excluded.sha256, archived_at = now(), dropped_at = null`,
      [day, file, state.rows, state.fingerprint, names, size, sha256],
    );
    return { day, rows: state.rows, bytes: size };
  } finally {
    await scratch.close();
  }
}

async function writeFile(
  scratch: Scratch,
  file: string,
  columns: readonly ColdColumn[],
  pieces: readonly Piece[],
): Promise<void> {
  const files = pieces.map((piece) => piece.file);
  // A row group is in memory while it is written. Pieces are cut by bytes too: of large rows it takes no more than they do.
  const groupRows = Math.min(pieceRows, ...pieces.slice(0, -1).map(({ rows }) => rows));
  await scratch.run(
    `copy (${selectPieces(files, columns)}) to ${literal(file)} (${parquetOptions}, row_group_size ${groupRows})`,
  );
  try {
    await assertReadsBack(scratch, file, columns, pieces);
  } catch (error) {
    throw new Error(
      `${path.basename(file)} does not read back as it was written: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

/** Whether the archive holds exactly these rows, in a file that is as it was written. */
export async function isArchived(
  client: pg.ClientBase,
  place: ColdPlace,
  day: string,
  relation: string,
  pace: Pace = 'full',
): Promise<boolean> {
  const { rows } = await client.query<ManifestRow>(
    `select file, row_count, fingerprint::text as fingerprint, column_names, sha256 from nowcast.cold_days where day = $1`,
    [day],
  );
  const manifest = rows[0];
  if (manifest === undefined) return false;
  const columns = (await rowColumns(client)).map(({ name }) => name);
  if (columns.join() !== manifest.column_names.join()) return false;
  const state = await rowsState(client, relation, columns, pace);
  if (state.rows !== Number(manifest.row_count) || state.fingerprint !== manifest.fingerprint) return false;
  return (await place.sha256Of(manifest.file)) === manifest.sha256;
}

interface ManifestRow {
  readonly file: string;
  readonly row_count: string;
  readonly fingerprint: string;
  readonly column_names: readonly string[];
  readonly sha256: string;
}

/** Of a table that nothing changes meanwhile, or in a transaction that sees it so. */
export async function rowsState(
  client: pg.ClientBase,
  relation: string,
  columnNames: readonly string[],
  pace: Pace = 'full',
): Promise<RowsState> {
  let [count, sum] = [0, 0n];
  for await (const range of ranges(client, relation, pace)) {
    const { rows } = await client.query<{ rows: string; fingerprint: string }>(
      fingerprintQuery(`${relation} ${range}`, columnNames),
    );
    count += Number(rows[0]!.rows);
    sum += BigInt(rows[0]!.fingerprint);
  }
  return { rows: count, fingerprint: sum.toString() };
}

/** Removes the files of days that were archived longer ago than they are to be kept. Returns the days. */
export async function forgetColdDays(
  client: pg.ClientBase,
  place: ColdPlace,
  days: number,
): Promise<string[]> {
  const { rows } = await client.query<{ day: string; file: string }>(
    `select to_char(day, 'YYYY-MM-DD') as day, file from nowcast.cold_days
     where day < (now() at time zone 'UTC')::date - $1::integer and dropped_at is not null order by day`,
    [days],
  );
  for (const { day, file } of rows) {
    await place.remove(file);
    await client.query('delete from nowcast.cold_days where day = $1', [day]);
  }
  return rows.map(({ day }) => day);
}
