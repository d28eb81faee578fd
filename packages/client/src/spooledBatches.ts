import type { Batch } from './batch.ts';
import type { Spool } from './spoolContract.ts';
import type { Tally } from './tally.ts';

/** The spool as the delivery sees it: counted, and given up where the disk is full or gone. */
export class SpooledBatches {
  #spool: Spool | undefined;
  readonly #tally: Tally;
  readonly #warn: (message: string) => void;
  #isOpen = false;
  #takes: boolean;
  #events = 0;

  constructor(spool: Spool | undefined, tally: Tally, warn: (message: string) => void) {
    this.#spool = spool;
    this.#takes = spool !== undefined;
    this.#tally = tally;
    this.#warn = warn;
  }

  get events(): number {
    return this.#events;
  }

  /** False without a spool, and where memory is all there is left. */
  get takes(): boolean {
    return this.#takes;
  }

  /** Finds what an earlier process left; the first call counts. */
  async open(): Promise<void> {
    if (this.#spool === undefined || this.#isOpen) return;
    this.#isOpen = true;
    try {
      const events = await this.#spool.open();
      this.#tally.tracked += events;
      this.#events += events;
    } catch (error) {
      this.#giveUp(error);
      this.#spool = undefined;
    }
  }

  /** @param taken called once the batch is on disk and before its events are counted there */
  async put(batch: Batch, taken: () => void): Promise<void> {
    try {
      const evicted = (await this.#spool?.put(batch)) ?? 0;
      taken();
      this.#events += batch.events - evicted;
      this.#tally.drop('spool_full', evicted);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  async oldest(): Promise<Batch | undefined> {
    if (this.#spool === undefined || this.#events === 0) return undefined;
    try {
      const batch = await this.#spool.oldest();
      if (batch !== undefined) return batch;
      this.#tally.drop('spool_taken', this.#events);
    } catch (error) {
      this.#giveUp(error);
      this.#spool = undefined;
      this.#tally.drop('spool_full', this.#events);
    }
    this.#events = 0;
    return undefined;
  }

  async forget(batch: Batch): Promise<void> {
    this.#events -= batch.events;
    try {
      await this.#spool?.remove(batch.id);
    } catch (error) {
      // It is sent again by its id, which Nowcast knows.
      this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): void {
    this.#takes = false;
    this.#warn(`the spool cannot be used: ${(error as Error)?.message ?? error}`);
  }
}
