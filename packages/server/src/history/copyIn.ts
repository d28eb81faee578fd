import type pg from 'pg';

/** The part of pg's connection that sends: pg's types leave it out. */
interface PgConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Uint8Array): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
  readonly stream: NodeJS.WritableStream & { readonly writableNeedDrain: boolean };
}

/**
 * Runs `COPY … FROM STDIN` with data that come piece by piece, at the speed at which PostgreSQL takes them.
 *
 * @returns the number of rows
 */
export function copyIn(
  client: pg.ClientBase,
  text: string,
  data: AsyncIterable<Uint8Array>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    (client as pg.Client).query(new CopyIn(text, data, resolve, reject));
  });
}

/** What pg calls a Submittable. */
class CopyIn {
  readonly #text: string;
  readonly #data: AsyncIterable<Uint8Array>;
  readonly #resolve: (rows: number) => void;
  readonly #reject: (error: unknown) => void;
  #ended = false;
  #rows = 0;
  #failure: unknown;

  constructor(
    text: string,
    data: AsyncIterable<Uint8Array>,
    resolve: (rows: number) => void,
    reject: (error: unknown) => void,
  ) {
    this.#text = text;
    this.#data = data;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: Pick<PgConnection, 'query'>): void {
    connection.query(this.#text);
  }

  handleCopyInResponse(connection: PgConnection): void {
    this.#send(connection).catch((error: unknown) => {
      this.#failure = error;
      connection.sendCopyFail('the data could not be read');
    });
  }

  async #send(connection: PgConnection): Promise<void> {
    const { stream } = connection;
    for await (const piece of this.#data) {
      // PostgreSQL has refused what came before and takes no more.
      if (this.#ended) return;
      connection.sendCopyFromChunk(piece);
      if (stream.writableNeedDrain) {
        await new Promise<void>((resolve) => {
          const goOn = () => {
            stream.off('drain', goOn);
            stream.off('close', goOn);
            resolve();
          };
          stream.on('drain', goOn);
          stream.on('close', goOn);
        });
      }
    }
    if (!this.#ended) connection.endCopyFrom();
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#rows = Number(text.replace('COPY ', ''));
  }

  handleError(error: Error): void {
    this.#ended = true;
    this.#reject(this.#failure ?? error);
  }

  handleReadyForQuery(): void {
    this.#ended = true;
    this.#resolve(this.#rows);
  }

  // Nothing to do for these; pg calls them all the same.
  handleCopyData(): void {}
  handleEmptyQuery(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
}
