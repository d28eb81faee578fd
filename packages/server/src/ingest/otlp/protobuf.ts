/**
 * OTLP's messages in protobuf, as far as they are needed (opentelemetry-proto, collector/trace/v1 and trace/v1): fields
 * that are not named here are skipped without being decoded, and so are values that nobody wants: prompts, which are
 * most of what instrumentations send, cost nothing here.
 */
import protobuf from 'protobufjs/minimal.js';
import {
  type Attribute,
  type AttributeValue,
  malformed,
  type Nanos,
  type ResourceSpans,
  type Span,
  type SpanEvent,
  validId,
  type Wanted,
} from './span.ts';

type Reader = protobuf.Reader;
/** Takes a field's value from the reader; returns false when the field is not known, so that it is skipped. */
type Field = (field: number, reader: Reader) => boolean;

const lengthDelimited = 2;

/** @throws HttpError 400 */
export function readProtobufSpans(body: Buffer, wanted: Wanted): ResourceSpans[] {
  const resources: ResourceSpans[] = [];
  readBody(body, (field, reader) => {
    if (field !== 1) return false;
    const spans: Span[] = [];
    let resource: Attribute[] = [];
    readMessage(reader, (inResource) => {
      if (inResource === 1) resource = readResource(reader, wanted);
      else if (inResource === 2) {
        readMessage(reader, (inScope) => {
          if (inScope !== 2) return false;
          spans.push(readSpan(reader, wanted));
          return true;
        });
      } else return false;
      return true;
    });
    resources.push({ resource, spans });
    return true;
  });
  return resources;
}

/**
 * Counts what lies at the end of a path of fields, such as log records: resourceLogs, scopeLogs, logRecords.
 *
 * @throws HttpError 400
 */
export function countProtobuf(body: Buffer, path: readonly (readonly number[])[]): number {
  let count = 0;
  const visit =
    (depth: number): Field =>
    (field, reader) => {
      if (path[depth]?.includes(field) !== true) return false;
      if (depth < path.length - 1) {
        readMessage(reader, visit(depth + 1));
        return true;
      }
      count += 1;
      return false;
    };
  readBody(body, visit(0));
  return count;
}

/** `ExportTraceServiceResponse` and its siblings: they differ in names only. */
export function writePartialSuccess(rejected: number, message: string): Uint8Array {
  const writer = protobuf.Writer.create();
  if (rejected === 0 && message === '') return writer.finish();
  writer.uint32(tag(1, lengthDelimited)).fork();
  if (rejected > 0) writer.uint32(tag(1, 0)).int64(rejected);
  if (message !== '') writer.uint32(tag(2, lengthDelimited)).string(message);
  return writer.ldelim().finish();
}

/** `google.rpc.Status` */
export function writeStatus(code: number, message: string): Uint8Array {
  const writer = protobuf.Writer.create().uint32(tag(1, 0)).int32(code);
  return writer.uint32(tag(2, lengthDelimited)).string(message).finish();
}

/** The words of a `google.rpc.Status` that we wrote. */
export function readStatusMessage(body: Uint8Array): string {
  const reader = protobuf.Reader.create(body);
  let message = '';
  while (reader.pos < reader.len) {
    const key = reader.uint32();
    if (key === tag(2, lengthDelimited)) message = reader.string();
    else reader.skipType(key & 7);
  }
  return message;
}

function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

function readBody(body: Buffer, take: Field): void {
  try {
    const reader = protobuf.Reader.create(body);
    readFields(reader, reader.len, take);
  } catch (error) {
    throw malformed(`the body is no OTLP protobuf: ${(error as Error).message}`);
  }
}

function readMessage(reader: Reader, take: Field): void {
  readFields(reader, endOfMessage(reader), take);
}

function endOfMessage(reader: Reader): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError('a message is longer than the body');
  return end;
}

function readFields(reader: Reader, end: number, take: Field): void {
  while (reader.pos < end) {
    const key = reader.uint32();
    if (!take(key >>> 3, reader)) reader.skipType(key & 7);
  }
  assertAt(reader, end);
}

function assertAt(reader: Reader, end: number): void {
  if (reader.pos !== end) throw new RangeError('a field is longer than its message');
}

function readResource(reader: Reader, wanted: Wanted): Attribute[] {
  const attributes: Attribute[] = [];
  readMessage(reader, (field) => {
    if (field !== 1) return false;
    readAttribute(reader, wanted, attributes);
    return true;
  });
  return attributes;
}

const noEvents: readonly SpanEvent[] = [];
const noTime: Nanos = { high: 0, low: 0 };

function readSpan(reader: Reader, wanted: Wanted): Span {
  const attributes: Attribute[] = [];
  let events: SpanEvent[] | undefined;
  let traceId = '';
  let spanId = '';
  let parentSpanId = '';
  let start = noTime;
  let end = noTime;
  let isError = false;
  let statusMessage = '';
  readMessage(reader, (field) => {
    switch (field) {
      case 1:
        traceId = readId(reader);
        return true;
      case 2:
        spanId = readId(reader);
        return true;
      case 4:
        parentSpanId = readId(reader);
        return true;
      case 7:
        start = readNanos(reader);
        return true;
      case 8:
        end = readNanos(reader);
        return true;
      case 9:
        readAttribute(reader, wanted, attributes);
        return true;
      case 11:
        events ??= [];
        events.push(readEvent(reader, wanted));
        return true;
      case 15:
        readMessage(reader, (inStatus) => {
          if (inStatus === 2) statusMessage = reader.string();
          else if (inStatus === 3) isError = reader.uint32() === 2;
          else return false;
          return true;
        });
        return true;
      default:
        return false;
    }
  });
  return {
    traceId,
    spanId,
    parentSpanId,
    start,
    end,
    attributes,
    events: events ?? noEvents,
    isError,
    statusMessage,
  };
}

function readEvent(reader: Reader, wanted: Wanted): SpanEvent {
  const attributes: Attribute[] = [];
  let at = noTime;
  let name = '';
  readMessage(reader, (field) => {
    if (field === 1) at = readNanos(reader);
    else if (field === 2) name = reader.string();
    else if (field === 3) readAttribute(reader, wanted, attributes);
    else return false;
    return true;
  });
  return { at, name, attributes };
}

// Attributes are nearly all of a span: these two spell out what readMessage does, without its callback.
function readAttribute(reader: Reader, wanted: Wanted, into: Attribute[]): void {
  const end = endOfMessage(reader);
  let name: string | undefined;
  let valueAt = -1;
  while (reader.pos < end) {
    const key = reader.uint32();
    if (key === tag(1, lengthDelimited)) {
      name = readName(reader);
      continue;
    }
    if (key === tag(2, lengthDelimited)) valueAt = reader.pos;
    reader.skipType(key & 7);
  }
  assertAt(reader, end);
  if (name === undefined || valueAt < 0 || !wanted(name)) return;
  reader.pos = valueAt;
  const value = readValue(reader, true);
  reader.pos = end;
  if (value !== undefined) into.push({ name, value });
}

function readValue(reader: Reader, listsToo: boolean): AttributeValue | undefined {
  const end = endOfMessage(reader);
  let value: AttributeValue | undefined;
  while (reader.pos < end) {
    const key = reader.uint32();
    if (key === tag(1, lengthDelimited)) value = reader.string();
    else if (key === tag(2, 0)) value = reader.bool();
    else if (key === tag(3, 0)) value = Number(reader.int64());
    else if (key === tag(4, 1)) value = reader.double();
    else if (key === tag(5, lengthDelimited) && listsToo) value = readList(reader);
    else reader.skipType(key & 7);
  }
  assertAt(reader, end);
  return value;
}

interface KnownName {
  readonly bytes: Uint8Array;
  readonly name: string;
}

const maxKnownNameBytes = 100;
/** A power of two. A name that falls on another's place takes it: nothing grows. */
const knownNames: (KnownName | undefined)[] = Array(4096).fill(undefined);

/** The same few names come with every span: found by their bytes, they are not decoded again. */
function readName(reader: Reader): string {
  const start = reader.pos;
  const length = reader.uint32();
  const from = reader.pos;
  if (length > maxKnownNameBytes || from + length > reader.len) {
    reader.pos = start;
    return reader.string();
  }
  const { buf } = reader;
  let hash = length;
  for (let at = from; at < from + length; at += 1) hash = (Math.imul(hash, 31) + buf[at]!) | 0;
  const place = (hash ^ (hash >>> 12)) & (knownNames.length - 1);
  const known = knownNames[place];
  if (known !== undefined && isAt(buf, from, length, known.bytes)) {
    reader.pos = from + length;
    return known.name;
  }
  reader.pos = start;
  const name = reader.string();
  knownNames[place] = { bytes: Uint8Array.from(buf.subarray(from, from + length)), name };
  return name;
}

function isAt(buf: Uint8Array, from: number, length: number, bytes: Uint8Array): boolean {
  if (bytes.length !== length) return false;
  for (let at = 0; at < length; at += 1) if (bytes[at] !== buf[from + at]) return false;
  return true;
}

/** Lists in lists are not read: no attribute that means anything here has them. */
function readList(reader: Reader): (string | number | boolean)[] {
  const items: (string | number | boolean)[] = [];
  readMessage(reader, (field) => {
    if (field !== 1) return false;
    const item = readValue(reader, false);
    if (item !== undefined && typeof item !== 'object') items.push(item);
    return true;
  });
  return items;
}

function readId(reader: Reader): string {
  const bytes = reader.bytes();
  return validId(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex'));
}

function readNanos(reader: Reader): Nanos {
  const low = reader.fixed32();
  return { low, high: reader.fixed32() };
}
