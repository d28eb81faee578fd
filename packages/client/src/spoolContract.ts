import type { Batch } from './batch.ts';

/** Where batches wait outside memory while Nowcast is down. */
export interface Spool {
  /** Events that were there from before. Called once, before anything else. */
  open(): Promise<number>;
  /** @returns how many events of the oldest batches had to go to make room */
  put(batch: Batch): Promise<number>;
  oldest(): Promise<Batch | undefined>;
  remove(id: string): Promise<void>;
}
