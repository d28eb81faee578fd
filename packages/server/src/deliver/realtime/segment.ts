/**
 * What is queued and written: whole WebSocket frames, back to back, made once and shared by all their
 * receivers, with an index that says which message belongs to which topic.
 */
export interface Segment {
  readonly bytes: Buffer;
  readonly marks: readonly Mark[];
  /** Rises with time over the whole process, so that "the oldest" is defined across clients. */
  readonly sequence: number;
  /** How many queues hold it; kept by Backlog. */
  holders: number;
}

export interface Mark {
  readonly topic: string;
  /** Offset just past this frame. */
  readonly end: number;
  /** What a client misses when this frame is dropped: 1, a gap notice's number, or Infinity for unknown. */
  readonly messages: number;
}

/**
 * Small enough that a control frame behind one is not delayed, large enough that a write's fixed cost
 * disappears in it.
 */
const SEGMENT_BYTES = 64 * 1024;

let sequence = 0;

/** Gathers frames, and cuts them into segments of about 64 KiB. */
export class SegmentBuilder {
  readonly #segments: Segment[] = [];
  #frames: Buffer[] = [];
  #marks: Mark[] = [];
  #bytes = 0;

  add(topic: string, frame: Buffer, messages = 1): void {
    if (this.#bytes > 0 && this.#bytes + frame.length > SEGMENT_BYTES) this.#cut();
    this.#bytes += frame.length;
    this.#frames.push(frame);
    this.#marks.push({ topic, end: this.#bytes, messages });
  }

  finish(): readonly Segment[] {
    this.#cut();
    return this.#segments;
  }

  #cut(): void {
    if (this.#frames.length === 0) return;
    const bytes = this.#frames.length === 1 ? this.#frames[0]! : Buffer.concat(this.#frames, this.#bytes);
    this.#segments.push({ bytes, marks: this.#marks, sequence: ++sequence, holders: 0 });
    this.#frames = [];
    this.#marks = [];
    this.#bytes = 0;
  }
}

/** The segment without a topic's messages; undefined when nothing is left, itself when it had none. */
export function withoutTopic(segment: Segment, topic: string): Segment | undefined {
  if (!segment.marks.some((mark) => mark.topic === topic)) return segment;
  const parts: Buffer[] = [];
  const marks: Mark[] = [];
  let start = 0;
  let end = 0;
  for (const mark of segment.marks) {
    if (mark.topic !== topic) {
      parts.push(segment.bytes.subarray(start, mark.end));
      end += mark.end - start;
      marks.push({ ...mark, end });
    }
    start = mark.end;
  }
  if (parts.length === 0) return undefined;
  return { bytes: Buffer.concat(parts), marks, sequence: segment.sequence, holders: 0 };
}
