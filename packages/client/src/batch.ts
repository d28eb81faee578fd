import type { InferenceEvent } from './event.ts';
import type { QueuedEvent } from './eventQueue.ts';
import type { DropCounts, DropReason, Tally } from './tally.ts';

/** Events as they travel. The id makes retries harmless: Nowcast stores it once. */
export interface Batch {
  readonly id: string;
  readonly events: number;
  /** JSON text, `batch_id` included. */
  readonly body: string;
  readonly dropped: DropCounts | undefined;
  readonly formedAtMs: number;
  /** From the spool's files: its events have left memory before. */
  readonly spooled?: boolean;
  /** The events one by one, so that a batch that is too large can be halved. */
  readonly lines?: readonly string[];
}

export type Redact = (event: InferenceEvent) => InferenceEvent | null | undefined;

/** Writes events as JSON, without those that cannot be sent, which are counted. */
export function linesOf(
  queued: readonly QueuedEvent[],
  tally: Tally,
  redact: Redact | undefined,
  onInvalid: (why: string) => void,
): string[] {
  const lines: string[] = [];
  for (const { event, atMs } of queued) {
    let reason: DropReason = 'invalid';
    try {
      if (redact !== undefined) reason = 'redacted';
      const shown = redact === undefined ? event : redact(event);
      if (shown === null || shown === undefined) {
        tally.drop('redacted', 1);
        continue;
      }
      reason = 'invalid';
      const fault = faultOf(shown);
      if (fault !== undefined) throw new TypeError(fault);
      lines.push(JSON.stringify({ timestamp: new Date(atMs).toISOString(), ...withoutNulls(shown) }));
    } catch (error) {
      tally.drop(reason, 1);
      onInvalid(`an event was not sent: ${(error as Error)?.message ?? error}`);
    }
  }
  return lines;
}

export function batchOf(
  lines: readonly string[],
  client: string,
  sampleRate: number,
  dropped: DropCounts | undefined,
  nowMs: number,
): Batch {
  const id = uuid();
  // Of none of the successes there is nothing to weigh.
  const sample_rate = sampleRate > 0 && sampleRate < 1 ? sampleRate : undefined;
  const head = JSON.stringify({ batch_id: id, client, sample_rate, dropped });
  const body = `${head.slice(0, -1)},"events":[${lines.join(',')}]}`;
  return { id, events: lines.length, body, dropped, formedAtMs: nowMs, lines };
}

/** Only what would lose the event for certain; Nowcast checks the rest and names the field. */
function faultOf({ model_version, inference_time_ms }: InferenceEvent): string | undefined {
  if (typeof model_version !== 'string' || model_version === '') return 'model_version must be a text';
  if (typeof inference_time_ms !== 'number' || !(inference_time_ms >= 0))
    return 'inference_time_ms must be a number of milliseconds';
  return undefined;
}

/** Null counts as absent, and absent costs no bytes. */
function withoutNulls(event: InferenceEvent): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...event };
  for (const key in fields) if (fields[key] === null) delete fields[key];
  return fields;
}

function uuid(): string {
  // A page that came over plain http has no randomUUID; the id needs to be unlikely, not secret.
  return (
    globalThis.crypto?.randomUUID?.() ??
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'.replace(/x/g, () => Math.floor(Math.random() * 16).toString(16))
  );
}
