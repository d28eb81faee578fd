import type pg from 'pg';

/** The part of pg's connection that is read from: pg's types leave it out. */
interface PgConnection {
  query(text: string): void;
  readonly stream: NodeJS.ReadableStream;
}

/**
 * Runs `COPY … TO STDOUT` and hands its data to `take` in pieces of about `pieceBytes`, each of whole rows. The next
 * piece gathers while one is being taken; beyond that PostgreSQL waits, so memory stays at two pieces.
 *
 * @returns the number of rows, as PostgreSQL counted them
 */
export function copyOut(
  client: pg.ClientBase,
  text: string,
  pieceBytes: number,
  take: (piece: Buffer) => Promise<void>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    (client as pg.Client).query(new CopyOut(text, pieceBytes, take, resolve, reject));
  });
}

/** What pg calls a Submittable. */
class CopyOut {
  readonly #text: string;
  readonly #pieceBytes: number;
  readonly #take: (piece: Buffer) => Promise<void>;
  readonly #resolve: (rows: number) => void;
  readonly #reject: (error: unknown) => void;
  #piece: Buffer;
  #used = 0;
  #taking: Promise<void> = Promise.resolve();
  #isTaking = false;
  #failure: unknown;
  #rows = 0;

  constructor(
    text: string,
    pieceBytes: number,
    take: (piece: Buffer) => Promise<void>,
    resolve: (rows: number) => void,
    reject: (error: unknown) => void,
  ) {
    this.#text = text;
    this.#pieceBytes = pieceBytes;
    this.#take = take;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#piece = Buffer.allocUnsafe(pieceBytes);
  }

  submit(connection: PgConnection): void {
    connection.query(this.#text);
  }

  /** One row each. Copied at once: the parser uses its buffer again. */
  handleCopyData({ chunk }: { chunk: Buffer }, { stream }: PgConnection): void {
    if (this.#failure !== undefined) return;
    if (this.#used + chunk.length > this.#piece.length) {
      // The rest of what has arrived already does not fit, or a single row is longer than a piece.
      const larger = Buffer.allocUnsafe(Math.max(this.#piece.length * 2, this.#used + chunk.length));
      this.#piece.copy(larger, 0, 0, this.#used);
      this.#piece = larger;
    }
    chunk.copy(this.#piece, this.#used);
    this.#used += chunk.length;
    if (this.#used < this.#pieceBytes * 0.9) return;
    if (!this.#isTaking) {
      this.#handOver();
    } else if (!stream.isPaused()) {
      stream.pause();
      void this.#taking.finally(() => stream.resume());
    }
  }

  #handOver(): void {
    const piece = this.#piece.subarray(0, this.#used);
    this.#piece = Buffer.allocUnsafe(this.#pieceBytes);
    this.#used = 0;
    this.#isTaking = true;
    this.#taking = this.#take(piece)
      .catch((error: unknown) => {
        this.#failure ??= error ?? new Error('the data could not be taken');
      })
      .finally(() => (this.#isTaking = false));
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#rows = Number(text.replace('COPY ', ''));
  }

  handleReadyForQuery(): void {
    this.#taking
      .then(() => {
        if (this.#failure === undefined && this.#used > 0) this.#handOver();
        return this.#taking;
      })
      .then(
        () => (this.#failure === undefined ? this.#resolve(this.#rows) : this.#reject(this.#failure)),
        this.#reject,
      );
  }

  handleError(error: Error): void {
    this.#reject(error);
  }

  // Nothing to do for these; pg calls them all the same.
  handleCopyOutResponse(): void {}
  handleEmptyQuery(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
}
