/**
 * Asks PostgreSQL the same query again and again and counts the answer's rows without reading them: what a reader makes of
 * them is its own affair, and pg's takes longer over a few thousand values than PostgreSQL to send them.
 */
import type { Socket } from 'node:net';
import type pg from 'pg';

/** The part of pg's client that pg's types leave out. */
interface Wire {
  readonly connection: { readonly stream: Socket; query(text: string): void };
}

const HEADER_BYTES = 5;
const DATA_ROW = 0x44;
const ERROR = 0x45;
const READY_FOR_QUERY = 0x5a;

export class BareQuery {
  readonly #wire: Wire;
  readonly #text: string;
  #rest: Buffer = Buffer.alloc(0);
  #rows = 0;
  #failed = false;
  #done: ((failed: boolean) => void) | undefined;

  /** Takes over the connection of a client that is connected; pg reads no answer of it any more. */
  constructor(client: pg.Client, text: string) {
    this.#wire = client as unknown as Wire;
    this.#text = text;
    const { stream } = this.#wire.connection;
    stream.removeAllListeners('data');
    stream.on('data', (piece: Buffer) => this.#read(piece));
  }

  /** Resolves with the number of rows when the last byte of the answer is here. */
  async ask(): Promise<number> {
    this.#rows = 0;
    this.#failed = false;
    const answered = new Promise<boolean>((resolve) => {
      this.#done = resolve;
    });
    this.#wire.connection.query(this.#text);
    if (await answered) throw new Error(`the query failed: ${this.#text}`);
    return this.#rows;
  }

  #read(piece: Buffer): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let at = 0;
    while (at + HEADER_BYTES <= bytes.length) {
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      const kind = bytes[at];
      at = end;
      if (kind === DATA_ROW) this.#rows += 1;
      else if (kind === ERROR) this.#failed = true;
      else if (kind === READY_FOR_QUERY) this.#done?.(this.#failed);
    }
    this.#rest = bytes.subarray(at);
  }
}
