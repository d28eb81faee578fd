import type { ValidEvent } from '@nowcast/protocol';
import type { Loss } from '../health/ledger.ts';

/** An event with the id it is stored under. */
export interface StoredEvent {
  readonly id: number;
  readonly event: ValidEvent;
  /** How many events the row stands for; null: itself alone. */
  readonly weight: number | null;
}

/** Id of a batch, given by its sender, under which a repeat is recognised. */
export interface BatchId {
  readonly sender: string;
  readonly id: string;
}

export type WriteOutcome =
  | { readonly kind: 'committed' }
  /** The batch was stored before; this is what its sender was told then. */
  | { readonly kind: 'duplicate'; readonly answer: unknown };

/** Events of one HTTP request: committed together or not at all. */
export interface Write {
  readonly rows: readonly StoredEvent[];
  /** COPY lines of the rows, in their order. */
  readonly copyData: Uint8Array;
  /** Whether the lines end with the column of the weight. */
  readonly weighed: boolean;
  /** Counted in the summaries and not kept. */
  readonly unkept: readonly ValidEvent[];
  readonly batch: BatchId | undefined;
  /** What a repeat of the batch is answered. */
  readonly answer: unknown;
  /** Who sent it, for the accounting of losses. */
  readonly sender: string;
  /** Counted in the same transaction: what was rejected of the batch, what its sender dropped before. */
  readonly losses: readonly Loss[];
  /** A synthetic event in place of all of that: it goes with the others and leaves a row in the feed alone. */
  readonly canary?: Canary;
}

export interface Canary {
  readonly id: string;
  /** Whose partition it would stand in, as `YYYYMMDD`. */
  readonly day: string;
}

/** A write that waits for its outcome. */
export class WriteRequest {
  readonly write: Write;
  /** By the writer's clock. */
  readonly waitingSinceMs: number;
  readonly resolve: (outcome: WriteOutcome) => void;
  readonly reject: (error: Error) => void;
  settled = false;

  constructor(
    write: Write,
    waitingSinceMs: number,
    resolve: (outcome: WriteOutcome) => void,
    reject: (error: Error) => void,
  ) {
    this.write = write;
    this.waitingSinceMs = waitingSinceMs;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Too much is waiting to be written; nothing of this request was stored. Answered 503. */
export class OverloadedError extends Error {
  override name = 'OverloadedError';
  readonly retryAfterSeconds: number;
  constructor(message: string, retryAfterSeconds = 1) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The database did not answer in time: the rows may be stored, or be stored yet. Answered 503 too. */
export class UnknownOutcomeError extends OverloadedError {
  override name = 'UnknownOutcomeError';
  constructor() {
    super(
      'the database did not answer in time, so it is not known whether this was stored; a batch with an id (batch_id, Idempotency-Key) can be sent again without being stored twice',
    );
  }
}

/** PostgreSQL refuses the rows of this request, whatever stands around them. Answered 400. */
export class RefusedRowsError extends Error {
  override name = 'RefusedRowsError';
}
