import type { Batch } from './batch.ts';
import { messageOf } from './post.ts';
import type { Tally } from './tally.ts';

/** Where batches wait outside memory while Nowcast is down. */
export interface BatchStore {
  /** Events that were there from before. Called once, before anything else. */
  open(): Promise<number>;
  /** @returns how many events of the oldest batches had to go to make room */
  put(batch: Batch): Promise<number>;
  oldest(): Promise<Batch | undefined>;
  remove(id: string): Promise<void>;
}

/** The spool as the delivery sees it: counted, and given up where the disk is full or gone. */
export class SpooledBatches {
  #store: BatchStore | undefined;
  readonly #tally: Tally;
  readonly #warn: (message: string) => void;
  #isOpen = false;
  #takes = true;
  #events = 0;

  constructor(store: BatchStore, tally: Tally, warn: (message: string) => void) {
    this.#store = store;
    this.#tally = tally;
    this.#warn = warn;
  }

  get events(): number {
    return this.#events;
  }

  /** False where memory is all there is left. */
  get takes(): boolean {
    return this.#takes;
  }

  /** Finds what an earlier process left; the first call counts. */
  async open(): Promise<void> {
    if (this.#store === undefined || this.#isOpen) return;
    this.#isOpen = true;
    try {
      const events = await this.#store.open();
      this.#tally.tracked += events;
      this.#events += events;
    } catch (error) {
      this.#giveUp(error);
      this.#store = undefined;
    }
  }

  /**
   * Moves batches from memory to the disk, as far as it takes them.
   *
   * @param form adds one more, if there is anything to make it of
   */
  async takeOver(batches: Batch[], form: () => boolean): Promise<void> {
    if (!this.#takes) return;
    // What came from the disk is there still.
    batches.splice(0, batches.length, ...batches.filter((batch) => !batch.spooled));
    try {
      while (batches.length > 0 || form()) {
        const batch = batches[0]!;
        const evicted = (await this.#store?.put(batch)) ?? 0;
        batches.shift();
        this.#events += batch.events - evicted;
        this.#tally.drop('spool_full', evicted);
      }
    } catch (error) {
      this.#giveUp(error);
    }
  }

  async oldest(): Promise<Batch | undefined> {
    if (this.#store === undefined || this.#events === 0) return undefined;
    try {
      const batch = await this.#store.oldest();
      if (batch !== undefined) return batch;
      this.#tally.drop('spool_taken', this.#events);
    } catch (error) {
      this.#giveUp(error);
      this.#store = undefined;
      this.#tally.drop('spool_full', this.#events);
    }
    this.#events = 0;
    return undefined;
  }

  async forget(batch: Batch): Promise<void> {
    this.#events -= batch.events;
    try {
      await this.#store?.remove(batch.id);
    } catch (error) {
      // It is sent again by its id, which Nowcast knows.
      this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): void {
    this.#takes = false;
    this.#warn(`the spool cannot be used: ${messageOf(error)}`);
  }
}
