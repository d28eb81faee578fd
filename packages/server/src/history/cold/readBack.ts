import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type { DuckDBDataChunk } from '@duckdb/node-api';
import { allEnded } from './allEnded.ts';
import { formBytes, type ReadColumn, writeRows } from './binaryRows.ts';
import { type ColdColumn, identifier, literal, type WireForm } from './columns.ts';
import type { Piece } from './pieces.ts';
import type { Scratch } from './scratch.ts';

const formTypes: Readonly<Record<WireForm, string>> = {
  int8: 'bigint',
  float8: 'double',
  int4: 'integer',
  float4: 'float',
  text: 'integer', // its length
};

/**
 * Reads a file back and writes its rows as PostgreSQL sent them: byte for byte the same, in the same order, no more and
 * no less, as far as SHA-256 can tell.
 *
 * @param pieces in the file's order, with what PostgreSQL sent of each
 * @throws when anything differs
 */
export async function assertReadsBack(
  scratch: Scratch,
  file: string,
  columns: readonly ColdColumn[],
  pieces: readonly Pick<Piece, 'rows' | 'sha256'>[],
): Promise<void> {
  const { rows: found } = await scratch.one<{ rows: string }>(
    `select count(*) as rows from read_parquet(${literal(file)})`,
  );
  const expected = pieces.reduce((sum, { rows }) => sum + rows, 0);
  if (Number(found) !== expected) throw new Error(`the file holds ${found} rows of ${expected}`);
  let first = 0;
  let next = pieces[0] && readPiece(scratch, file, columns, first, pieces[0].rows);
  for (const [index, { rows, sha256 }] of pieces.entries()) {
    const read = await next!;
    first += rows;
    const following = pieces[index + 1];
    // DuckDB reads the next piece while this one is written.
    next = following && readPiece(scratch, file, columns, first, following.rows);
    if (digestOf(read, columns) !== sha256) {
      await next?.catch(() => undefined); // nothing goes on behind this error, whatever becomes of it
      throw new Error(`rows ${first - rows} to ${first - 1} differ from what PostgreSQL sent`);
    }
  }
}

interface ReadPiece {
  readonly chunks: readonly DuckDBDataChunk[];
  readonly texts: Uint8Array;
}

async function readPiece(
  scratch: Scratch,
  file: string,
  columns: readonly ColdColumn[],
  first: number,
  rows: number,
): Promise<ReadPiece> {
  const from = `from read_parquet(${literal(file)}, file_row_number = true)
    where file_row_number >= ${first} and file_row_number < ${first + rows}`;
  const list = columns.map(({ name, form, toForm }) => {
    const value = form === 'text' ? `strlen(${identifier(name)})` : toForm;
    return `(${value})::${formTypes[form]}`;
  });
  const texts = columns.flatMap(({ name, form }) => (form === 'text' ? [identifier(name)] : []));
  const [chunks, joined] = await allEnded([
    scratch.chunks(`select ${list.join(', ')} ${from}`),
    // One value for all of them: each one that is fetched costs more than what it holds.
    texts.length === 0
      ? Promise.resolve(new Uint8Array())
      : scratch.bytes(
          `select encode(string_agg(concat(${texts.join(', ')}), '' order by file_row_number)) ${from}`,
        ),
  ]);
  return { chunks, texts: joined };
}

function digestOf({ chunks, texts }: ReadPiece, columns: readonly ColdColumn[]): string {
  // A native module: it has no names that import() could find. Loaded already, by whoever made the chunks.
  const duckdb = createRequire(import.meta.url)(
    '@duckdb/node-bindings',
  ) as typeof import('@duckdb/node-bindings');
  const digest = createHash('sha256');
  let textFrom = 0;
  for (const chunk of chunks) {
    const rows = chunk.rowCount;
    const read = columns.map(({ form }, index): ReadColumn => {
      const vector = duckdb.data_chunk_get_vector(chunk.chunk, index);
      return {
        form,
        values: duckdb.vector_get_data(vector, rows * (formBytes(form) || 4)),
        present: duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8) ?? undefined,
      };
    });
    const { bytes, textEnd } = writeRows(rows, read, texts, textFrom);
    digest.update(bytes);
    textFrom = textEnd;
  }
  return digest.digest('hex');
}
