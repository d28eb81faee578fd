import type { InferenceEvent } from './event.ts';
import { Fifo } from './fifo.ts';
import { LinePages, type Lines } from './linePages.ts';

export interface QueuedEvent {
  readonly event: InferenceEvent;
  /** When it was tracked, milliseconds since 1970. */
  readonly atMs: number;
  /** What it holds in memory, estimated. */
  readonly bytes: number;
}

export interface EventQueueOptions {
  readonly maxBytes: number;
  /** An event as JSON without line breaks; undefined when it is not to be sent, and counted by whoever says so. */
  readonly write: (queued: QueuedEvent) => string | undefined;
  /** Hears of events that had to go to make room. */
  readonly onEvicted: (events: number) => void;
}

/**
 * Events that are written in one turn of the event loop: some twenty microseconds, which the host's requests wait. With
 * fewer the turns themselves cost more than the writing.
 */
export const eventsPerSlice = 16;
const heapBytesPerSlice = 32 * 1024;

/**
 * Waiting events, bounded in bytes: errors outlive successes, and the oldest of their kind go first.
 *
 * They come in as objects and are soon written as lines into pages outside the heap. Thousands of objects that wait for a
 * dead collector would be copied by the garbage collector again and again, at the cost of the host's slowest requests.
 */
export class EventQueue {
  readonly #options: EventQueueOptions;
  readonly #freshSuccesses = new Fifo<QueuedEvent>();
  readonly #freshErrors = new Fifo<QueuedEvent>();
  readonly #pages: LinePages;
  #freshBytes = 0;
  /** Events that are not written yet. */
  fresh = 0;

  constructor(options: EventQueueOptions) {
    this.#options = options;
    this.#pages = new LinePages(options.maxBytes);
  }

  get size(): number {
    return this.fresh + this.#pages.size;
  }

  get bytes(): number {
    return this.#freshBytes + this.#pages.bytes;
  }

  push(queued: QueuedEvent): void {
    (queued.event.is_error === true ? this.#freshErrors : this.#freshSuccesses).push(queued);
    this.fresh++;
    this.#freshBytes += queued.bytes;
    this.#makeRoom();
  }

  /** Writes some of what came in since. */
  writeSlice(): void {
    let bytes = 0;
    for (let written = 0; written < eventsPerSlice && bytes < heapBytesPerSlice; written++) {
      const error = this.#shift(this.#freshErrors);
      const next = error ?? this.#shift(this.#freshSuccesses);
      if (next === undefined) break;
      bytes += next.bytes;
      const line = this.#options.write(next);
      if (line !== undefined) this.#pages.add(line, error !== undefined);
    }
    this.#makeRoom();
  }

  /** Up to so many events and about so many bytes, at least one of what there is; errors first. */
  take(maxEvents: number, maxBytes: number): Lines {
    while (this.fresh > 0 && this.#pages.size < maxEvents && this.#pages.bytes < maxBytes) this.writeSlice();
    return this.#pages.take(maxEvents, maxBytes);
  }

  #makeRoom(): void {
    while (this.#freshBytes + this.#pages.heldBytes > this.#options.maxBytes) {
      const gone =
        this.#pages.evict(false) ||
        (this.#shift(this.#freshSuccesses) ? 1 : 0) ||
        this.#pages.evict(true) ||
        (this.#shift(this.#freshErrors) ? 1 : 0);
      if (gone === 0) return;
      this.#options.onEvicted(gone);
    }
  }

  #shift(fresh: Fifo<QueuedEvent>): QueuedEvent | undefined {
    const oldest = fresh.shift();
    if (oldest !== undefined) {
      this.fresh--;
      this.#freshBytes -= oldest.bytes;
    }
    return oldest;
  }
}
