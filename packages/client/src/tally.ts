/**
 * Why this client does not count an event as sent. The server counts `rejected` and `refused` itself; `spool_taken` is
 * gone from the spool's directory: another process that shares it has sent it, or somebody removed the file.
 */
export type DropReason =
  | 'sampled'
  | 'invalid'
  | 'redacted'
  | 'too_large'
  | 'queue_full'
  | 'unreachable'
  | 'refused'
  | 'rejected'
  | 'spool_full'
  | 'spool_taken'
  | 'closed';

export interface Stats {
  /** Events given to `track()`, and those that a spool held from before. */
  readonly tracked: number;
  /** Committed by Nowcast. */
  readonly sent: number;
  /** In memory, on their way or in the spool. */
  readonly queued: number;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
}

const knownToNowcast: ReadonlySet<DropReason> = new Set(['rejected', 'refused', 'spool_taken']);

export type DropCounts = Partial<Record<DropReason, number>>;

/** Where every event went. What was dropped is also told to Nowcast, once, with a later batch. */
export class Tally {
  tracked = 0;
  sent = 0;
  readonly dropped: DropCounts = {};
  #untold: DropCounts = {};

  drop(reason: DropReason, events: number): void {
    if (events === 0) return;
    add(this.dropped, reason, events);
    if (!knownToNowcast.has(reason)) add(this.#untold, reason, events);
  }

  /** What the next batch tells; it comes back with `tellAgain` if that batch is never stored. */
  takeUntold(): DropCounts | undefined {
    const untold = this.#untold;
    this.#untold = {};
    for (const _ in untold) return untold;
    return undefined;
  }

  tellAgain(counts: DropCounts | undefined): void {
    for (const [reason, events] of Object.entries(counts ?? {})) {
      add(this.#untold, reason as DropReason, events);
    }
  }
}

function add(counts: DropCounts, reason: DropReason, events: number): void {
  counts[reason] = (counts[reason] ?? 0) + events;
}
