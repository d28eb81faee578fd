import type { InferenceEvent } from './event.ts';
import type { QueuedEvent } from './eventQueue.ts';
import { concat, encoder, type Lines, lineEnd, lineFeed } from './linePages.ts';
import { messageOf } from './post.ts';
import type { DropCounts, DropReason, Tally } from './tally.ts';

/** Events as they travel. The id makes retries harmless: Nowcast stores it once. */
export interface Batch {
  readonly id: string;
  readonly events: number;
  /** JSON, `batch_id` included. */
  readonly body: Uint8Array<ArrayBuffer>;
  readonly dropped: DropCounts | undefined;
  /** By the clock that nobody sets, `performance.now()`. */
  readonly formedAtMs: number;
  /** From the spool's files: its events have left memory before. */
  readonly spooled?: boolean;
  /** Where in the body its events begin, so that a batch that is too large can be halved. */
  readonly linesAt?: number;
  /** Compressed once for all attempts. */
  gzipped?: Uint8Array<ArrayBuffer>;
}

/** What a batch tells of who sends it. */
interface Sender {
  readonly client: string;
  /** Share of the successes that were taken. */
  readonly sampleRate: number;
}

export type Redact = (event: InferenceEvent) => InferenceEvent | null | undefined;

/** Writes an event as JSON, unless it cannot be sent, which is counted. */
export function lineOf(
  { event, atMs }: QueuedEvent,
  tally: Tally,
  redact: Redact | undefined,
  onInvalid: (why: string) => void,
): string | undefined {
  let reason: DropReason = 'redacted';
  try {
    const shown = redact === undefined ? event : redact(event);
    if (shown === null || shown === undefined) tally.drop(reason, 1);
    else {
      reason = 'invalid';
      const fault = faultOf(shown);
      if (fault !== undefined) throw new TypeError(fault);
      // The queue's event is a copy already; what `redact` returns may be the application's own.
      return written(shown === event ? event : { ...shown }, atMs);
    }
  } catch (error) {
    tally.drop(reason, 1);
    onInvalid(`an event was not sent: ${messageOf(error)}`);
  }
  return undefined;
}

export function batchOf(
  { events, bytes }: Lines,
  { client, sampleRate }: Sender,
  dropped: DropCounts | undefined,
  nowMs: number,
): Batch {
  const id = unique();
  // Of none of the successes there is nothing to weigh.
  const sample_rate = sampleRate > 0 && sampleRate < 1 ? sampleRate : undefined;
  const head = JSON.stringify({ batch_id: id, client, sample_rate, dropped });
  const before = encoder.encode(`${head.slice(0, -1)},"events":[`);
  const body = concat([before, bytes]);
  // In the place of the last line's end, which is as long.
  body.set(encoder.encode(']}'), body.length - lineEnd.length);
  return { id, events, body, dropped, formedAtMs: nowMs, linesAt: before.length };
}

/** Two batches with ids of their own, or undefined where there is nothing to halve. */
export function halvesOf(batch: Batch, sender: Sender): [Batch, Batch] | undefined {
  const { body, linesAt, events, formedAtMs } = batch;
  if (linesAt === undefined || events < 2) return undefined;
  const half = events >> 1;
  let middle = linesAt;
  for (let line = 0; line < half; line++) middle = body.indexOf(lineFeed, middle) + 1;
  const part = (some: number, bytes: Uint8Array<ArrayBuffer>) =>
    batchOf({ events: some, bytes }, sender, undefined, formedAtMs);
  return [part(half, body.subarray(linesAt, middle)), part(events - half, body.subarray(middle))];
}

/** Only what would lose the event for certain; Nowcast checks the rest and names the field. */
function faultOf({ model_version, inference_time_ms }: InferenceEvent): string | undefined {
  if (typeof model_version !== 'string' || model_version === '') return 'model_version must be a text';
  if (typeof inference_time_ms !== 'number' || !(inference_time_ms >= 0))
    return 'inference_time_ms must be a number';
  return undefined;
}

function written(event: InferenceEvent, atMs: number): string {
  if (event.timestamp !== null && event.timestamp !== undefined) return JSON.stringify(event);
  // A null counts as absent, and would come after the time that is written here.
  delete event.timestamp;
  // As one more field of the object it would double the time that all of them take.
  return `{"timestamp":"${isoTime(atMs)}",${JSON.stringify(event).slice(1)}`;
}

let secondMs = Number.NaN;
let second = '';

/** Writes the second once: a date costs as much as the rest of an event. */
function isoTime(ms: number): string {
  const sinceMs = ms % 1_000;
  if (ms - sinceMs !== secondMs) {
    secondMs = ms - sinceMs;
    second = new Date(secondMs).toISOString().slice(0, -4);
  }
  return `${second}${String(sinceMs).padStart(3, '0')}Z`;
}

function unique(): string {
  // Node 18 and a page that came over plain http have no randomUUID; the id needs to be unlikely, not secret.
  return globalThis.crypto?.randomUUID?.() ?? randomText() + randomText();
}

function randomText(): string {
  return Math.random().toString(36).slice(2);
}
