import type pg from 'pg';

/** The part of pg's connection that sends: pg's types leave it out. */
interface PgConnection {
  query(text: string): void;
  readonly stream: NodeJS.WritableStream & { cork(): void; uncork(): void };
}

/**
 * Runs a whole transaction with any number of `COPY … FROM STDIN` in a single round trip: the simple query and the data
 * of each COPY, in their order, leave in one write, without waiting for the server to ask for them. The protocol allows
 * it (PostgreSQL manual, "COPY Operations"): each COPY reads up to its end mark, and what arrives after a failure is
 * dropped. No statement may return rows.
 *
 * @param copies data of each COPY of the text, in its order
 *
 * Rejects with the server's error (the transaction is then still to be rolled back), or with the connection's
 * error (the outcome is then unknown).
 */
export function copyTransaction(
  client: pg.Client,
  text: string,
  copies: readonly Uint8Array[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new CopyTransaction(text, copies, resolve, reject));
  });
}

/** What pg calls a Submittable. */
class CopyTransaction {
  readonly #text: string;
  readonly #copies: readonly Uint8Array[];
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;

  constructor(
    text: string,
    copies: readonly Uint8Array[],
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    this.#text = text;
    this.#copies = copies;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: PgConnection): void {
    const { stream } = connection;
    stream.cork();
    connection.query(this.#text);
    for (const data of this.#copies) {
      stream.write(copyDataHeader(data.length));
      stream.write(data);
      stream.write(copyDone);
    }
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
