/**
 * Phoenix channel messages as supabase-js frames them: vsn 1.0.0 (JSON objects) and vsn 2.0.0 (JSON
 * arrays, and binary frames for broadcasts). Pure: bytes in, values out, never throws.
 */
import { BINARY, TEXT, webSocketFrame } from './websocket-frame.ts';

export type Vsn = '1.0.0' | '2.0.0';

export interface Inbound {
  readonly joinRef: string | null;
  readonly ref: string | null;
  readonly topic: string;
  readonly event: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Set when the event is a broadcast in either of its two forms. */
  readonly broadcast?: Broadcast;
}

export type Broadcast =
  | { readonly event: string; readonly encoding: 'json'; readonly json: string }
  | { readonly event: string; readonly encoding: 'binary'; readonly bytes: Buffer };

export interface Outbound {
  readonly joinRef: string | null;
  readonly ref: string | null;
  readonly topic: string;
  readonly event: string;
  readonly payload: object;
}

/** undefined for a malformed frame: it is dropped and the socket stays open, as Phoenix does. */
export function decodeText(vsn: Vsn, text: string): Inbound | undefined {
  const parsed = parseJson(text);
  if (vsn === '2.0.0') {
    if (!Array.isArray(parsed) || parsed.length !== 5) return undefined;
    return inbound(parsed[0], parsed[1], parsed[2], parsed[3], parsed[4]);
  }
  if (!isObject(parsed)) return undefined;
  return inbound(parsed.join_ref, parsed.ref, parsed.topic, parsed.event, parsed.payload);
}

/**
 * `03 | u8 len(join_ref) | u8 len(ref) | u8 len(topic) | u8 len(event) | u8 len(meta) | u8 encoding |
 * join_ref ref topic event meta payload`: how a vsn 2.0.0 client sends every broadcast.
 *
 * The client counts and writes UTF-16 units cut to one byte each, so its texts are read as latin1.
 */
export function decodeBinary(bytes: Buffer): Inbound | undefined {
  if (bytes.length < PUSH_HEADER_BYTES || bytes[0] !== BROADCAST_PUSH) return undefined;
  let offset = PUSH_HEADER_BYTES;
  const texts: string[] = [];
  for (let field = 1; field <= 5; field++) {
    const end = offset + (bytes[field] ?? 0);
    if (end > bytes.length) return undefined;
    texts.push(bytes.toString('latin1', offset, end));
    offset = end;
  }
  const [joinRef, ref, topic, event] = texts as [string, string, string, string];
  const payload = bytes.subarray(offset);
  let broadcast: Broadcast;
  if (bytes[6] === JSON_ENCODING) {
    // A broken payload would make the text frame of every receiver unreadable: it must parse here.
    const json = payload.toString('utf8');
    if (parseJson(json) === undefined) return undefined;
    broadcast = { event, encoding: 'json', json };
  } else {
    // Copied: the bytes belong to a shared receive buffer that a queued frame would keep alive.
    broadcast = { event, encoding: 'binary', bytes: Buffer.from(payload) };
  }
  return { joinRef: joinRef || null, ref: ref || null, topic, event: 'broadcast', payload: {}, broadcast };
}

export function encodeText(vsn: Vsn, message: Outbound): string {
  return (
    encodeHead(vsn, message.topic, message.event, message.joinRef, message.ref) +
    JSON.stringify(message.payload) +
    encodeTail(vsn, message.ref)
  );
}

/** Everything before the payload; with `encodeTail` it lets a fan-out splice one encoded payload into many topics. */
export function encodeHead(
  vsn: Vsn,
  topic: string,
  event: string,
  joinRef: string | null = null,
  ref: string | null = null,
): string {
  const [t, e] = [JSON.stringify(topic), JSON.stringify(event)];
  if (vsn === '2.0.0') return `[${JSON.stringify(joinRef)},${JSON.stringify(ref)},${t},${e},`;
  const join = joinRef === null ? '' : `"join_ref":${JSON.stringify(joinRef)},`;
  return `{${join}"topic":${t},"event":${e},"payload":`;
}

export function encodeTail(vsn: Vsn, ref: string | null = null): string {
  return vsn === '2.0.0' ? ']' : `,"ref":${JSON.stringify(ref)}}`;
}

/**
 * A broadcast as its receivers get it, framed; undefined when the receiver's protocol cannot carry
 * it: vsn 1.0.0 has no binary frames, and raw bytes have no JSON form.
 */
export function encodeBroadcast(vsn: Vsn, topic: string, broadcast: Broadcast): Buffer | undefined {
  if (broadcast.encoding === 'json') {
    // Text is understood by every client version; only raw bytes need the binary form.
    const payload = `{"type":"broadcast","event":${JSON.stringify(broadcast.event)},"payload":${broadcast.json}}`;
    const text = encodeHead(vsn, topic, 'broadcast') + payload + encodeTail(vsn);
    return webSocketFrame(TEXT, [Buffer.from(text)]);
  }
  if (vsn === '1.0.0') return undefined;
  const [topicBytes, eventBytes] = [Buffer.from(topic), Buffer.from(broadcast.event)];
  if (topicBytes.length > 255 || eventBytes.length > 255) return undefined;
  const header = Buffer.from([BROADCAST, topicBytes.length, eventBytes.length, 0, BINARY_ENCODING]);
  return webSocketFrame(BINARY, [header, topicBytes, eventBytes, broadcast.bytes]);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const PUSH_HEADER_BYTES = 7;
const BROADCAST_PUSH = 3;
const BROADCAST = 4;
const BINARY_ENCODING = 0;
const JSON_ENCODING = 1;

function inbound(
  joinRef: unknown,
  ref: unknown,
  topic: unknown,
  event: unknown,
  payload: unknown,
): Inbound | undefined {
  if (!isRef(joinRef) || !isRef(ref)) return undefined;
  if (typeof topic !== 'string' || typeof event !== 'string' || !isObject(payload)) return undefined;
  const message = { joinRef: joinRef ?? null, ref: ref ?? null, topic, event, payload };
  if (event !== 'broadcast') return message;
  if (typeof payload.event !== 'string') return undefined;
  const json = JSON.stringify(payload.payload ?? {});
  return { ...message, broadcast: { event: payload.event, encoding: 'json', json } };
}

function isRef(value: unknown): value is string | null | undefined {
  return value === undefined || value === null || typeof value === 'string';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
