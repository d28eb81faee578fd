import { open } from 'node:fs/promises';
import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js';
import { writePageHeader } from 'hyparquet-writer/src/datapage.js';
import { writeMetadata } from 'hyparquet-writer/src/metadata.js';
import type { WireForm } from './columns.ts';

type FileMetaData = Parameters<typeof writeMetadata>[1];
type ColumnChunk = FileMetaData['row_groups'][number]['columns'][number];
type SchemaElement = FileMetaData['schema'][number];

export interface PlainColumn {
  readonly name: string;
  readonly form: WireForm;
  /** Of the rows that have one, one after the other, least significant byte first; texts behind their length in 4 bytes. */
  readonly values: Uint8Array;
  readonly presentCount: number;
  /** A bit a row, from the least significant one on. */
  readonly present: Uint8Array;
}

const physicalTypes: Readonly<Record<WireForm, NonNullable<SchemaElement['type']>>> = {
  int4: 'INT32',
  int8: 'INT64',
  float4: 'FLOAT',
  float8: 'DOUBLE',
  text: 'BYTE_ARRAY',
};
const magic = Buffer.from('PAR1');

/**
 * Writes rows as the simplest Parquet file that there is: one row group, one page a column, neither encoded nor
 * compressed. What a column holds stands in memory as Parquet's PLAIN encoding has it, so that no value is made of it on the
 * way into DuckDB (parquet.apache.org/docs/file-format).
 */
export async function writePlainParquet(
  path: string,
  rows: number,
  columns: readonly PlainColumn[],
): Promise<void> {
  const parts: Uint8Array[] = [magic];
  let offset = magic.length;
  const chunks = columns.map((column): ColumnChunk => {
    const levels = presence(column, rows);
    const pageBytes = levels.length + column.values.length;
    const header = new ByteWriter();
    writePageHeader(header, {
      type: 'DATA_PAGE',
      uncompressed_page_size: pageBytes,
      compressed_page_size: pageBytes,
      data_page_header: {
        num_values: rows,
        encoding: 'PLAIN',
        definition_level_encoding: 'RLE',
        repetition_level_encoding: 'RLE',
      },
    });
    const page = [header.getBytes(), levels, column.values];
    const bytes = BigInt(page.reduce((sum, { length }) => sum + length, 0));
    const from = BigInt(offset);
    parts.push(...page);
    offset += Number(bytes);
    return {
      file_offset: 0n,
      meta_data: {
        type: physicalTypes[column.form],
        encodings: ['PLAIN', 'RLE'],
        path_in_schema: [column.name],
        codec: 'UNCOMPRESSED',
        num_values: BigInt(rows),
        total_uncompressed_size: bytes,
        total_compressed_size: bytes,
        data_page_offset: from,
      },
    };
  });
  const footer = new ByteWriter();
  writeMetadata(footer, {
    version: 1,
    schema: [{ name: 'rows', num_children: columns.length }, ...columns.map(schemaElement)],
    num_rows: BigInt(rows),
    row_groups: [{ columns: chunks, total_byte_size: BigInt(offset - magic.length), num_rows: BigInt(rows) }],
    metadata_length: 0,
  });
  footer.appendUint32(footer.offset);
  footer.appendBytes(magic);
  parts.push(footer.getBytes());
  const handle = await open(path, 'w');
  try {
    await writeAll(handle, parts);
  } finally {
    await handle.close();
  }
}

function schemaElement({ name, form }: PlainColumn): SchemaElement {
  return {
    name,
    type: physicalTypes[form],
    repetition_type: 'OPTIONAL',
    ...(form === 'text' && { converted_type: 'UTF8' }),
  };
}

async function writeAll(
  handle: { writev(parts: readonly Uint8Array[]): Promise<{ bytesWritten: number }> },
  parts: readonly Uint8Array[],
): Promise<void> {
  let rest = parts.filter(({ length }) => length > 0);
  while (rest.length > 0) {
    let { bytesWritten } = await handle.writev(rest);
    const next: Uint8Array[] = [];
    for (const part of rest) {
      if (bytesWritten < part.length) next.push(part.subarray(bytesWritten));
      bytesWritten = Math.max(0, bytesWritten - part.length);
    }
    rest = next;
  }
}

/** Which rows have a value, as Parquet's definition levels behind their length: one run, or bits. */
function presence({ present, presentCount }: PlainColumn, rows: number): Uint8Array {
  const levels = new ByteWriter();
  if (presentCount === 0 || presentCount === rows) {
    levels.appendVarInt(rows * 2);
    levels.appendUint8(presentCount === 0 ? 0 : 1);
  } else {
    const bits = present.subarray(0, Math.ceil(rows / 8));
    levels.appendVarInt(bits.length * 2 + 1);
    levels.appendBytes(bits);
  }
  const behindLength = new ByteWriter();
  behindLength.appendUint32(levels.offset);
  behindLength.appendBytes(levels.getBytes());
  return behindLength.getBytes();
}
