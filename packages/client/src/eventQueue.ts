import type { InferenceEvent } from './event.ts';

export interface QueuedEvent {
  readonly event: InferenceEvent;
  /** When it was tracked, milliseconds since 1970. */
  readonly atMs: number;
  readonly bytes: number;
}

/** Waiting events, bounded in bytes: errors outlive successes, and the oldest of its kind goes first. */
export class EventQueue {
  readonly #successes = new Fifo<QueuedEvent>();
  readonly #errors = new Fifo<QueuedEvent>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#successes.size + this.#errors.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns how many events had to go to make room */
  push(queued: QueuedEvent): number {
    (queued.event.is_error === true ? this.#errors : this.#successes).push(queued);
    this.#bytes += queued.bytes;
    let evicted = 0;
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#successes.shift() ?? this.#errors.shift();
      if (oldest === undefined) break;
      this.#bytes -= oldest.bytes;
      evicted++;
    }
    return evicted;
  }

  /** Up to so many events and about so many bytes, at least one; errors first. */
  take(maxEvents: number, maxBytes: number): QueuedEvent[] {
    const taken: QueuedEvent[] = [];
    let bytes = 0;
    while (taken.length < maxEvents && bytes < maxBytes) {
      const next = this.#errors.shift() ?? this.#successes.shift();
      if (next === undefined) break;
      bytes += next.bytes;
      taken.push(next);
    }
    this.#bytes -= bytes;
    return taken;
  }
}

/** An array read from the front without moving what follows at every step. */
class Fifo<Item> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 512 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
