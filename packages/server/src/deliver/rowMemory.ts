import type { StoredEvent } from '../store/request.ts';

/** Rows kept at most; beyond, the oldest transactions are forgotten and delivery reads them from the database. */
const maxRows = 50_000;

/** Rows that this server's writer just committed, so that delivery need not read them back. */
export class RowMemory {
  readonly #byToken = new Map<string, readonly StoredEvent[]>();
  #rows = 0;

  keep(token: string, rows: readonly StoredEvent[]): void {
    this.#byToken.set(token, rows);
    this.#rows += rows.length;
    for (const oldest of this.#byToken.keys()) {
      if (this.#rows <= maxRows) break;
      this.take(oldest);
    }
  }

  /** The rows of the transaction, which are then forgotten. */
  take(token: string): readonly StoredEvent[] | undefined {
    const rows = this.#byToken.get(token);
    if (rows !== undefined) {
      this.#byToken.delete(token);
      this.#rows -= rows.length;
    }
    return rows;
  }

  clear(): void {
    this.#byToken.clear();
    this.#rows = 0;
  }
}
