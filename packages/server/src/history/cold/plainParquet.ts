import { open } from 'node:fs/promises';

/** The physical types of Parquet that are written here, by their numbers. */
export const physicalTypes = { int4: 1, int8: 2, float4: 4, float8: 5, text: 6 } as const;

export interface PlainColumn {
  readonly name: string;
  readonly form: keyof typeof physicalTypes;
  /** Of the rows that have one, one after the other, least significant byte first; texts behind their length in 4 bytes. */
  readonly values: Uint8Array;
  readonly presentCount: number;
  /** A bit a row, from the least significant one on. */
  readonly present: Uint8Array;
}

const magic = Buffer.from('PAR1');
const utf8Type = 0;
const plainEncoding = 0;
const runEncoding = 3;
const dataPage = 0;

/**
 * Writes rows as the simplest Parquet file that there is: one row group, one page a column, neither encoded nor
 * compressed. DuckDB takes it in at the speed of memory (parquet.apache.org/docs/file-format).
 */
export async function writePlainParquet(
  path: string,
  rows: number,
  columns: readonly PlainColumn[],
): Promise<void> {
  const parts: Uint8Array[] = [magic];
  let offset = magic.length;
  const chunks = columns.map((column) => {
    const levels = presence(column, rows);
    const pageBytes = levels.length + column.values.length;
    const header = new Compact();
    header.int(1, dataPage);
    header.int(2, pageBytes);
    header.int(3, pageBytes);
    header.struct(5, () => {
      header.int(1, rows);
      header.int(2, plainEncoding);
      header.int(3, runEncoding);
      header.int(4, runEncoding);
    });
    const head = header.end();
    const chunk = { column, offset, bytes: head.length + pageBytes };
    parts.push(head, levels, column.values);
    offset += chunk.bytes;
    return chunk;
  });
  const footer = new Compact();
  footer.int(1, 1);
  footer.structs(2, [undefined, ...columns], (column) => {
    if (column === undefined) {
      footer.text(4, 'rows');
      footer.int(5, columns.length);
      return;
    }
    footer.int(1, physicalTypes[column.form]);
    footer.int(3, 1); // optional
    footer.text(4, column.name);
    if (column.form === 'text') footer.int(6, utf8Type);
  });
  footer.int(3, rows, 'i64');
  footer.structs(4, [undefined], () => {
    footer.structs(1, chunks, ({ column, offset: at, bytes }) => {
      footer.int(2, at, 'i64');
      footer.struct(3, () => {
        footer.int(1, physicalTypes[column.form]);
        footer.ints(2, [plainEncoding, runEncoding]);
        footer.texts(3, [column.name]);
        footer.int(4, 0); // not compressed
        footer.int(5, rows, 'i64');
        footer.int(6, bytes, 'i64');
        footer.int(7, bytes, 'i64');
        footer.int(9, at, 'i64');
      });
    });
    footer.int(2, offset - magic.length, 'i64');
    footer.int(3, rows, 'i64');
  });
  const foot = footer.end();
  const footBytes = Buffer.alloc(4);
  footBytes.writeUInt32LE(foot.length);
  parts.push(foot, footBytes, magic);
  const handle = await open(path, 'w');
  try {
    await writeAll(handle, parts);
  } finally {
    await handle.close();
  }
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

/** Which rows have a value, as Parquet's definition levels: one run, or bits. */
function presence({ present, presentCount }: PlainColumn, rows: number): Uint8Array {
  const isRun = presentCount === 0 || presentCount === rows;
  const head = isRun
    ? [...varint(rows * 2), presentCount === 0 ? 0 : 1]
    : varint(Math.ceil(rows / 8) * 2 + 1);
  const bits = isRun ? new Uint8Array() : present.subarray(0, Math.ceil(rows / 8));
  const levels = Buffer.alloc(4 + head.length + bits.length);
  levels.writeUInt32LE(head.length + bits.length);
  levels.set(head, 4);
  levels.set(bits, 4 + head.length);
  return levels;
}

/** Thrift's compact protocol, as far as Parquet's headers need it; one structure a writer. */
class Compact {
  #bytes: number[] = [];
  #lastFields = [0];

  int(field: number, value: number, type: 'i32' | 'i64' = 'i32'): void {
    this.#field(field, type === 'i32' ? 5 : 6);
    this.#zigzag(value);
  }

  text(field: number, value: string): void {
    this.#field(field, 8);
    this.#text(value);
  }

  struct(field: number, write: () => void): void {
    this.#field(field, 12);
    this.#struct(write);
  }

  ints(field: number, values: readonly number[]): void {
    this.#list(field, 5, values, (value) => this.#zigzag(value));
  }

  texts(field: number, values: readonly string[]): void {
    this.#list(field, 8, values, (value) => this.#text(value));
  }

  structs<Value>(field: number, values: readonly Value[], write: (value: Value) => void): void {
    this.#list(field, 12, values, (value) => this.#struct(() => write(value)));
  }

  end(): Uint8Array {
    return Uint8Array.from([...this.#bytes, 0]);
  }

  #field(field: number, type: number): void {
    const last = this.#lastFields.length - 1;
    this.#bytes.push(((field - this.#lastFields[last]!) << 4) | type);
    this.#lastFields[last] = field;
  }

  #list<Value>(field: number, type: number, values: readonly Value[], write: (value: Value) => void): void {
    this.#field(field, 9);
    if (values.length < 15) this.#bytes.push((values.length << 4) | type);
    else this.#bytes.push(0xf0 | type, ...varint(values.length));
    values.forEach(write);
  }

  #struct(write: () => void): void {
    this.#lastFields.push(0);
    write();
    this.#lastFields.pop();
    this.#bytes.push(0);
  }

  #zigzag(value: number): void {
    this.#bytes.push(...varint(value < 0 ? -2 * value - 1 : 2 * value));
  }

  #text(value: string): void {
    const bytes = Buffer.from(value);
    this.#bytes.push(...varint(bytes.length), ...bytes);
  }
}

/** Least significant bits first, seven a byte. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}
