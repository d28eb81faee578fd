import type { WireForm } from './columns.ts';
import type { PlainColumn } from './plainParquet.ts';

/*
 * PostgreSQL's COPY in binary: a header, then for each row the number of its fields in two bytes and each field behind
 * its length in four, -1 for null; -1 instead of a row at the end. Numbers stand with their most significant byte first.
 */

const headerBytes = 19;
const nullLength = -1;

/** Bytes of a value; 0: as many as its text has. */
export function formBytes(form: WireForm): 8 | 4 | 0 {
  if (form === 'text') return 0;
  return form === 'int8' || form === 'float8' ? 8 : 4;
}

/** Rows as they came, until they are so many, turned into columns. Its memory is used again after `clear()`. */
export class GatheredRows {
  rows = 0;
  /** Of the rows as they came. */
  bytes = 0;
  readonly #maxRows: number;
  readonly #maxBytes: number;
  readonly #columns: GatheredColumn[];

  constructor(
    columns: readonly { readonly name: string; readonly form: WireForm }[],
    maxRows: number,
    maxBytes: number,
  ) {
    this.#maxRows = maxRows;
    this.#maxBytes = maxBytes;
    this.#columns = columns.map(({ name, form }) => new GatheredColumn(name, form, maxRows));
  }

  get isFull(): boolean {
    return this.rows >= this.#maxRows || this.bytes >= this.#maxBytes;
  }

  get columns(): readonly PlainColumn[] {
    return this.#columns;
  }

  /**
   * Takes whole rows until it is full.
   *
   * @param from where the first row begins
   * @returns where the first row begins that was not taken
   * @throws when it is no row of these columns
   */
  take(piece: Buffer, from: number): number {
    const columns = this.#columns;
    let at = from;
    while (at < piece.length && !this.isFull) {
      const startsAt = at;
      const fields = piece.readInt16BE(at);
      if (fields === endOfRows) break;
      if (fields !== columns.length) throw new Error(`a row has ${fields} fields, not ${columns.length}`);
      at += 2;
      for (const column of columns) at = column.take(piece, at, this.rows);
      this.rows += 1;
      this.bytes += at - startsAt;
    }
    return at;
  }

  clear(): void {
    this.rows = 0;
    this.bytes = 0;
    for (const column of this.#columns) column.clear();
  }
}

const endOfRows = -1;

/** Where the rows of a COPY begin, by its first bytes. */
export function endOfHeader(start: Buffer): number {
  if (start.toString('latin1', 0, 11) !== 'PGCOPY\n\xff\r\n\0')
    throw new Error('PostgreSQL sent no binary rows');
  return headerBytes + start.readInt32BE(headerBytes - 4);
}

/** Whether nothing but the end stands there. */
export function isEndOfRows(piece: Buffer, at: number): boolean {
  return at === piece.length || (at === piece.length - 2 && piece.readInt16BE(at) === endOfRows);
}

const firstValueBytes = 1 << 16;
/** Shorter texts are copied faster byte by byte than by a call. */
const shortText = 32;

class GatheredColumn implements PlainColumn {
  readonly name: string;
  readonly form: WireForm;
  readonly present: Uint8Array;
  presentCount = 0;
  readonly #width: number;
  #values = Buffer.allocUnsafe(firstValueBytes);
  #used = 0;

  constructor(name: string, form: WireForm, maxRows: number) {
    this.name = name;
    this.form = form;
    this.#width = formBytes(form);
    this.present = new Uint8Array(Math.ceil(maxRows / 8));
  }

  get values(): Uint8Array {
    return this.#values.subarray(0, this.#used);
  }

  /** @returns where the next field begins */
  take(piece: Buffer, from: number, row: number): number {
    const length =
      (piece[from]! << 24) | (piece[from + 1]! << 16) | (piece[from + 2]! << 8) | piece[from + 3]!;
    let at = from + 4;
    if (length === nullLength) return at;
    const end = at + length;
    if (end > piece.length) throw new Error(`a value of ${this.name} ends beyond its row`);
    this.present[row >> 3]! |= 1 << (row & 7);
    this.presentCount += 1;
    if (this.#used + length + 4 > this.#values.length) this.#grow(length + 4);
    const values = this.#values;
    let used = this.#used;
    if (this.#width === 0) {
      values[used] = length & 255;
      values[used + 1] = (length >> 8) & 255;
      values[used + 2] = (length >> 16) & 255;
      values[used + 3] = length >>> 24;
      used += 4;
      if (length > shortText) {
        piece.copy(values, used, at, end);
        used += length;
      } else while (at < end) values[used++] = piece[at++]!;
    } else {
      if (length !== this.#width) throw new Error(`a value of ${this.name} has ${length} bytes`);
      for (let byte = end - 1; byte >= at; byte -= 1) values[used++] = piece[byte]!;
    }
    this.#used = used;
    return end;
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#values.length * 2, this.#used + bytes));
    this.#values.copy(larger, 0, 0, this.#used);
    this.#values = larger;
  }

  clear(): void {
    this.#used = 0;
    this.presentCount = 0;
    this.present.fill(0);
  }
}

/** A column of rows that were read: as in DuckDB's vectors, least significant byte first. */
export interface ReadColumn {
  readonly form: WireForm;
  /** A value for each row, of texts the length in four bytes. */
  readonly values: Uint8Array;
  /** A bit a row, from the least significant one on; undefined when no value is null. */
  readonly present: Uint8Array | undefined;
}

/**
 * Writes rows as PostgreSQL would send them.
 *
 * @param texts of the rows one after the other, and in each row of its columns
 * @param textFrom where the first of them begins
 * @returns the rows, and where the next row's texts begin
 */
export function writeRows(
  rows: number,
  columns: readonly ReadColumn[],
  texts: Uint8Array,
  textFrom: number,
): { readonly bytes: Uint8Array; readonly textEnd: number } {
  const sizes = new Uint32Array(rows).fill(2 + 4 * columns.length);
  const textSizes = new Uint32Array(rows);
  for (const { form, values, present } of columns) {
    const width = formBytes(form);
    for (let row = 0; row < rows; row += 1) {
      if (!isPresent(present, row)) continue;
      if (width > 0) sizes[row]! += width;
      else {
        const length = lengthAt(values, row);
        sizes[row]! += length;
        textSizes[row]! += length;
      }
    }
  }
  const total = endsOf(sizes, 0);
  const textEnd = endsOf(textSizes, textFrom);
  const bytes = Buffer.allocUnsafe(total);
  // From here on they say where the next field of each row goes, and where its text comes from.
  const to = sizes;
  const from = textSizes;
  for (let row = 0; row < rows; row += 1) to[row] = bytes.writeInt16BE(columns.length, to[row]);
  for (const { form, values, present } of columns) {
    const width = formBytes(form);
    for (let row = 0; row < rows; row += 1) {
      let at = to[row]!;
      const has = isPresent(present, row);
      const length = !has ? nullLength : width > 0 ? width : lengthAt(values, row);
      bytes[at] = length >>> 24;
      bytes[at + 1] = (length >> 16) & 255;
      bytes[at + 2] = (length >> 8) & 255;
      bytes[at + 3] = length & 255;
      at += 4;
      if (has) {
        if (width > 0) {
          for (let byte = row * width + width - 1; byte >= row * width; byte -= 1)
            bytes[at++] = values[byte]!;
        } else {
          let text = from[row]!;
          const end = text + length;
          from[row] = end;
          if (length > shortText) {
            bytes.set(texts.subarray(text, end), at);
            at += length;
          } else while (text < end) bytes[at++] = texts[text++]!;
        }
      }
      to[row] = at;
    }
  }
  return { bytes, textEnd };
}

function isPresent(present: Uint8Array | undefined, row: number): boolean {
  return present === undefined || ((present[row >> 3]! >> (row & 7)) & 1) === 1;
}

function lengthAt(values: Uint8Array, row: number): number {
  const at = row * 4;
  return values[at]! | (values[at + 1]! << 8) | (values[at + 2]! << 16) | (values[at + 3]! << 24);
}

/** Turns sizes into where each begins. @returns where the last one ends */
function endsOf(sizes: Uint32Array, from: number): number {
  let end = from;
  for (let index = 0; index < sizes.length; index += 1) {
    const size = sizes[index]!;
    sizes[index] = end;
    end += size;
  }
  return end;
}
