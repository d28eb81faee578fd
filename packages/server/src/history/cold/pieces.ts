import { createHash } from 'node:crypto';
import path from 'node:path';
import type pg from 'pg';
import { copyOut } from '../copyOut.ts';
import { endOfHeader, GatheredRows, isEndOfRows } from './binaryRows.ts';
import { type ColdColumn, identifier, literal } from './columns.ts';
import { writePlainParquet } from './plainParquet.ts';

/** A part of the rows that PostgreSQL sent, as a file that DuckDB reads. */
export interface Piece {
  readonly file: string;
  readonly rows: number;
  /** Of the rows as PostgreSQL sent them, as hex. */
  readonly sha256: string;
}

/** As many rows as DuckDB puts into a row group, so that reading a piece back reads one of them. */
export const pieceRows = 122_880;
/** Of rows as PostgreSQL sends them; one piece is in memory. */
const pieceBytes = 32 * 2 ** 20;
/** Small enough to stay in the processor's cache; two of them are in memory. */
const partBytes = 2 ** 20;

/** Writes rows that come out of PostgreSQL into files, in their order and in bounded memory. */
export class Pieces {
  readonly #directory: string;
  readonly #columns: readonly ColdColumn[];
  readonly #onPiece: (piece: Piece) => Promise<void> | void;
  readonly #gathered: GatheredRows;
  #digest = createHash('sha256');
  #files = 0;

  constructor(
    directory: string,
    columns: readonly ColdColumn[],
    onPiece: (piece: Piece) => Promise<void> | void,
  ) {
    this.#directory = directory;
    this.#columns = columns;
    this.#onPiece = onPiece;
    this.#gathered = new GatheredRows(columns, pieceRows, pieceBytes);
  }

  /**
   * Takes the rows of one query. The last of them wait for more until `end()`.
   *
   * @param rest of the query, from its FROM on
   * @returns the number of rows, as PostgreSQL counted them
   */
  async take(client: pg.ClientBase, rest: string): Promise<number> {
    const list = this.#columns.map(({ fromTable }) => fromTable).join(', ');
    let taken = 0;
    let hasBegun = false;
    const sent = await copyOut(
      client,
      `copy (select ${list} ${rest}) to stdout (format binary)`,
      partBytes,
      async (part) => {
        let at = hasBegun ? 0 : endOfHeader(part);
        hasBegun = true;
        for (;;) {
          const before = this.#gathered.rows;
          const end = this.#gathered.take(part, at);
          this.#digest.update(part.subarray(at, end));
          taken += this.#gathered.rows - before;
          at = end;
          if (!this.#gathered.isFull) break;
          await this.#write();
        }
        if (!isEndOfRows(part, at)) throw new Error('PostgreSQL sent something else than rows');
      },
    );
    if (taken !== sent) throw new Error(`PostgreSQL sent ${sent} rows, of which ${taken} were read`);
    return sent;
  }

  async end(): Promise<void> {
    if (this.#gathered.rows > 0) await this.#write();
  }

  async #write(): Promise<void> {
    this.#files += 1;
    const { rows, columns } = this.#gathered;
    const file = path.join(this.#directory, `${this.#files}.parquet`);
    await writePlainParquet(file, rows, columns);
    this.#gathered.clear();
    const sha256 = this.#digest.digest('hex');
    this.#digest = createHash('sha256');
    await this.#onPiece({ file, rows, sha256 });
  }
}

/** DuckDB's query for the rows of pieces, their values as Parquet and queries have them. */
export function selectPieces(files: readonly string[], columns: readonly ColdColumn[]): string {
  const list = (value: (column: ColdColumn) => string) =>
    columns.map((column) => `${value(column)} as ${identifier(column.name)}`).join(', ');
  return files.length === 0
    ? `select ${list(({ duckType }) => `null::${duckType}`)} where false`
    : `select ${list(({ toValue }) => toValue)} from read_parquet([${files.map(literal).join(', ')}])`;
}
