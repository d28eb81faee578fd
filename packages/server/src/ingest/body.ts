import { isUtf8 } from 'node:buffer';
import { senderName } from '../health/ledger.ts';
import { describeKind, HttpError } from './httpError.ts';

/** What a batch holds: its events, the lines of NDJSON that are no JSON, and the id that its sender gave it. */
export interface Batch {
  readonly events: readonly unknown[];
  /** By index of the event: why its line could not be read. */
  readonly unreadable: ReadonlyMap<number, string>;
  readonly batchId: string | undefined;
  /** The name that the sender gives itself. */
  readonly client?: string | undefined;
  /** What the sender reports to have dropped before, by reason. */
  readonly dropped?: ReadonlyMap<string, number> | undefined;
  /** Share of its events other than errors that the sender kept, where it kept not all. */
  readonly sampleRate?: number | undefined;
  /** What of this could not be understood; no event is lost over it. */
  readonly warnings?: readonly string[];
}

const maxBatchIdLength = 200;
const maxDropReasons = 50;
const maxDropped = 1_000_000_000;
const leastSampleRate = 1e-6;
const byteOrderMark = 0xfeff;

export function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw new HttpError(400, 'invalid_utf8', 'the body must be valid UTF-8');
  try {
    return JSON.parse(textOf(body));
  } catch (error) {
    throw new HttpError(400, 'invalid_json', `the body must be JSON: ${(error as Error).message}`);
  }
}

/** A JSON array, an object with `events` (and perhaps `batch_id`), or NDJSON: by its content type, or by its look. */
export function parseBatch(body: Buffer, contentType: string | undefined): Batch {
  if (/ndjson|jsonl|json-?lines/i.test(contentType ?? '')) return parseLines(body);
  try {
    return batchOf(parseJson(body));
  } catch (error) {
    // Several objects, one a line, sent as something else.
    if (error instanceof HttpError && error.code === 'invalid_json' && looksLikeLines(body))
      return parseLines(body);
    throw error;
  }
}

export function checkBatchId(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= maxBatchIdLength &&
    !value.includes('\0')
  ) {
    return value;
  }
  throw new HttpError(
    400,
    'invalid_batch_id',
    `${field} must be a string of 1 to ${maxBatchIdLength} characters, got ${describeKind(value)}`,
    field,
  );
}

function batchOf(body: unknown): Batch {
  if (Array.isArray(body)) return { events: body, unreadable: noneUnreadable, batchId: undefined };
  if (typeof body === 'object' && body !== null && 'events' in body) {
    const { events, batch_id, client, dropped, sample_rate } = body as Record<string, unknown>;
    if (!Array.isArray(events)) {
      throw new HttpError(
        400,
        'invalid_batch',
        `events must be an array, got ${describeKind(events)}`,
        'events',
      );
    }
    return {
      events,
      unreadable: noneUnreadable,
      batchId: checkBatchId(batch_id, 'batch_id'),
      client: senderName(client),
      ...together(droppedOf(dropped), sampleRateOf(sample_rate)),
    };
  }
  throw new HttpError(
    400,
    'invalid_batch',
    `a batch must be a JSON array of events, an object with an array "events", or NDJSON, got ${describeKind(body)}`,
    'events',
  );
}

/** `{"reason": count}`; a report that breaks the rule is named in the warnings. */
function droppedOf(given: unknown): Report {
  if (given === undefined || given === null) return {};
  const entries = typeof given === 'object' ? Object.entries(given) : [];
  const dropped = new Map<string, number>();
  for (const [reason, count] of entries) {
    const name = senderName(reason);
    if (name !== undefined && Number.isInteger(count) && count >= 0 && count <= maxDropped)
      dropped.set(name, count);
  }
  if (dropped.size === entries.length && dropped.size <= maxDropReasons && !Array.isArray(given))
    return { dropped };
  return {
    warnings: [
      `dropped was not counted: it must be an object of up to ${maxDropReasons} reasons with whole numbers from 0 to ${maxDropped}, got ${describeKind(given)}`,
    ],
  };
}

/** Above 0 to 1; a report that breaks the rule is named in the warnings. */
function sampleRateOf(given: unknown): Report {
  if (given === undefined || given === null || given === 1) return {};
  if (typeof given === 'number' && given >= leastSampleRate && given < 1) return { sampleRate: given };
  const got = typeof given === 'number' ? `the number ${given}` : describeKind(given);
  return {
    warnings: [`sample_rate was not used: it must be a number from ${leastSampleRate} to 1, got ${got}`],
  };
}

/** What a sender reports beside its events. */
type Report = Pick<Batch, 'dropped' | 'sampleRate' | 'warnings'>;

function together(first: Report, second: Report): Report {
  const warnings = [...(first.warnings ?? []), ...(second.warnings ?? [])];
  return { ...first, ...second, ...(warnings.length === 0 ? {} : { warnings }) };
}

const noneUnreadable: ReadonlyMap<number, string> = new Map();

function parseLines(body: Buffer): Batch {
  if (!isUtf8(body)) throw new HttpError(400, 'invalid_utf8', 'the body must be valid UTF-8');
  const events: unknown[] = [];
  const unreadable = new Map<number, string>();
  for (const line of textOf(body).split('\n')) {
    if (line.trim() === '') continue;
    try {
      events.push(JSON.parse(line));
    } catch (error) {
      unreadable.set(events.length, `this line must be JSON: ${(error as Error).message}`);
      events.push(undefined);
    }
  }
  return { events, unreadable, batchId: undefined };
}

function looksLikeLines(body: Buffer): boolean {
  return /^\s*\{[^\n]*\}\s*\n\s*\{/.test(body.toString('utf8', 0, 65_536));
}

/** Without the byte order mark that programs on Windows begin a file with (RFC 8259, 8.1, lets a reader ignore it). */
function textOf(body: Buffer): string {
  const text = body.toString('utf8');
  return text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text;
}
