import { type Segment, withoutTopic } from './segment.ts';

/**
 * The data waiting for one client that reads more slowly than it is sent to. Bounded: the oldest is
 * dropped, and `takeMissed` says how much of which topic, to be told before the next data. No socket here.
 */
export class Outbox {
  readonly #maxBytes: number;
  readonly #backlog: Backlog;
  #segments: Segment[] = [];
  /** Index of the oldest: shifting an array of thousands for each segment would be quadratic. */
  #first = 0;
  #bytes = 0;
  #missed = new Map<string, number>();
  #dropped = 0;

  constructor(maxBytes: number, backlog: Backlog) {
    this.#maxBytes = maxBytes;
    this.#backlog = backlog;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing waits, not even word of a loss. */
  get isEmpty(): boolean {
    return this.oldest === undefined && this.#missed.size === 0;
  }

  get oldest(): Segment | undefined {
    return this.#segments[this.#first];
  }

  /** Messages dropped since the beginning; a gap of unknown size counts as one. */
  get dropped(): number {
    return this.#dropped;
  }

  push(segment: Segment): void {
    this.#segments.push(segment);
    this.#bytes += segment.bytes.length;
    this.#backlog.hold(segment);
    while (this.#bytes > this.#maxBytes) this.dropOldest();
  }

  shift(): Segment | undefined {
    const segment = this.#segments[this.#first];
    if (segment === undefined) return undefined;
    this.#first++;
    if (this.#first > 64 && this.#first * 2 > this.#segments.length) {
      this.#segments = this.#segments.slice(this.#first);
      this.#first = 0;
    }
    this.#bytes -= segment.bytes.length;
    this.#backlog.release(segment);
    return segment;
  }

  dropOldest(): void {
    for (const mark of this.shift()?.marks ?? []) {
      this.#missed.set(mark.topic, (this.#missed.get(mark.topic) ?? 0) + mark.messages);
      this.#dropped += Number.isFinite(mark.messages) ? mark.messages : 1;
    }
  }

  /** Messages missed since the last call, by topic; Infinity where the number is not known. */
  takeMissed(): ReadonlyMap<string, number> {
    const missed = this.#missed;
    if (missed.size > 0) this.#missed = new Map();
    return missed;
  }

  /** Takes a topic's messages out, untold: the client asked for no more of them. */
  forget(topic: string): void {
    this.#missed.delete(topic);
    if (this.oldest === undefined) return;
    const kept: Segment[] = [];
    for (const segment of this.#segments.slice(this.#first)) {
      const rest = withoutTopic(segment, topic);
      if (rest !== undefined) {
        kept.push(rest);
        this.#backlog.hold(rest);
      }
      this.#backlog.release(segment);
    }
    this.#segments = kept;
    this.#first = 0;
    this.#bytes = kept.reduce((sum, segment) => sum + segment.bytes.length, 0);
  }

  clear(): void {
    while (this.shift() !== undefined);
    this.#missed.clear();
  }
}

/** The bytes that all outboxes keep alive; a segment in many outboxes is in memory once and counts once. */
export class Backlog {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  hold(segment: Segment): void {
    if (segment.holders++ === 0) this.#bytes += segment.bytes.length;
  }

  release(segment: Segment): void {
    if (--segment.holders === 0) this.#bytes -= segment.bytes.length;
  }
}
