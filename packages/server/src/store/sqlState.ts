import pg from 'pg';

/** What a failed statement means for the requests in its transaction. */
export type Failure =
  /** The connection is gone: whether the transaction committed is not known. */
  | { readonly kind: 'connection'; readonly message: string }
  /** The same transaction may succeed at once. */
  | { readonly kind: 'retry'; readonly message: string }
  /** The partition named by COPY does not exist (any more). */
  | { readonly kind: 'noPartition'; readonly message: string }
  /** Another transaction holds a batch id of this one, and has not ended. */
  | { readonly kind: 'heldBatch'; readonly message: string }
  /** Another transaction holds a lock on a table; the same transaction succeeds once it ends. */
  | { readonly kind: 'locked'; readonly message: string }
  /** The database has no room or no resources: later. */
  | { readonly kind: 'resource'; readonly message: string }
  /** Something in this transaction is refused, whenever it is tried. */
  | {
      readonly kind: 'refused';
      readonly message: string;
      readonly code: string;
      readonly table: string | undefined;
    };

/** Judges an error by its SQLSTATE (PostgreSQL manual, appendix A). */
export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof pg.DatabaseError) || error.code === undefined)
    return { kind: 'connection', message };
  const { code } = error;
  const errorClass = code.slice(0, 2);
  // 57P: the server is shutting down, crashed or starting; 25P03 and 57P05: idle timeouts ended the session.
  if (errorClass === '08' || code.startsWith('57P') || code === '25P03')
    return { kind: 'connection', message };
  if (errorClass === '40') return { kind: 'retry', message };
  if (code === '42P01') return { kind: 'noPartition', message };
  // Lock timeout. The wait for another's row in a unique index is told by its context alone, which names the
  // index, or in older versions the table.
  if (code === '55P03') {
    return { kind: error.where?.includes('"batches') === true ? 'heldBatch' : 'locked', message };
  }
  // 53 insufficient resources (disk full), 58 system error, XX internal error, 25006 read-only after a failover,
  // 57014 cancelled, 54 limits of the server.
  if (['53', '58', 'XX', '54'].includes(errorClass) || code === '25006' || code === '57014') {
    return { kind: 'resource', message };
  }
  return { kind: 'refused', message, code, table: error.table };
}
