import type pg from 'pg';

/** The part of pg's connection that sends: pg's types leave it out. */
interface PgConnection {
  query(text: string): void;
  readonly stream: NodeJS.WritableStream & { cork(): void; uncork(): void };
}

/**
 * Runs a whole transaction, one `COPY … FROM STDIN` in the middle included, in a single round trip: the simple
 * query, the COPY data and the end of the data leave in one write, without waiting for the server to ask for them.
 * The protocol allows it (PostgreSQL manual, "COPY Operations"): data that arrives after a failure is dropped. No
 * statement may return rows, and there may be one COPY only.
 *
 * Rejects with the server's error (the transaction is then still to be rolled back), or with the connection's
 * error (the outcome is then unknown).
 */
export function copyTransaction(client: pg.Client, text: string, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new CopyTransaction(text, data, resolve, reject));
  });
}

/** What pg calls a Submittable. */
class CopyTransaction {
  readonly #text: string;
  readonly #data: Uint8Array;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;

  constructor(text: string, data: Uint8Array, resolve: () => void, reject: (error: Error) => void) {
    this.#text = text;
    this.#data = data;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: PgConnection): void {
    const { stream } = connection;
    stream.cork();
    connection.query(this.#text);
    stream.write(copyDataHeader(this.#data.length));
    stream.write(this.#data);
    stream.write(copyDone);
    stream.uncork();
  }

  handleError(error: Error): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve();
  }

  // Nothing to do for these; pg calls them all the same.
  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
}

const lengthBytes = 4;
const copyDone = Buffer.from([0x63 /* c */, 0, 0, 0, lengthBytes]);

function copyDataHeader(length: number): Buffer {
  const header = Buffer.from([0x64 /* d */, 0, 0, 0, 0]);
  header.writeUInt32BE(length + lengthBytes, 1);
  return header;
}
