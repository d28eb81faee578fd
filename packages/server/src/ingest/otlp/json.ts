/**
 * OTLP's messages in JSON, as far as they are needed. It is protobuf's JSON but for ids, which are hexadecimal, and
 * enums, which are numbers (OTLP specification 1.x, "JSON Protobuf Encoding"). Senders are not trusted with its shape.
 */
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

type JsonObject = Readonly<Record<string, unknown>>;

const statusCodeError = 2;
const twoTo32 = 2n ** 32n;

/** @throws HttpError 400 naming the field */
export function readJsonSpans(body: unknown, wanted: Wanted): ResourceSpans[] {
  return listOf(objectOf(body, 'the body'), 'resourceSpans').map((resourceSpans) => ({
    resource: attributesOf(objectOf(resourceSpans.resource ?? {}, 'resource'), wanted),
    spans: listOf(resourceSpans, 'scopeSpans').flatMap((scopeSpans) =>
      listOf(scopeSpans, 'spans').map((span) => spanOf(span, wanted)),
    ),
  }));
}

/**
 * Counts what lies at the end of a path of fields, such as log records: resourceLogs, scopeLogs, logRecords.
 *
 * @throws HttpError 400
 */
export function countJson(body: unknown, path: readonly (readonly string[])[]): number {
  let level: readonly JsonObject[] = [objectOf(body, 'the body')];
  for (const names of path) {
    level = level.flatMap((holder) =>
      names.flatMap((name) => {
        // The kinds of a metric are objects that hold lists; everything else is a list.
        const inner = holder[name];
        return isObject(inner) ? [inner] : listOf(holder, name);
      }),
    );
  }
  return level.length;
}

function spanOf(span: JsonObject, wanted: Wanted): Span {
  const status = objectOf(span.status ?? {}, 'status');
  return {
    traceId: idOf(span, 'traceId'),
    spanId: idOf(span, 'spanId'),
    parentSpanId: idOf(span, 'parentSpanId'),
    start: nanosOf(span, 'startTimeUnixNano'),
    end: nanosOf(span, 'endTimeUnixNano'),
    attributes: attributesOf(span, wanted),
    events: listOf(span, 'events').map((event) => eventOf(event, wanted)),
    isError: status.code === statusCodeError || status.code === 'STATUS_CODE_ERROR',
    statusMessage: textOf(status, 'message'),
  };
}

function eventOf(event: JsonObject, wanted: Wanted): SpanEvent {
  return {
    at: nanosOf(event, 'timeUnixNano'),
    name: textOf(event, 'name'),
    attributes: attributesOf(event, wanted),
  };
}

function attributesOf(holder: JsonObject, wanted: Wanted): Attribute[] {
  const attributes: Attribute[] = [];
  for (const entry of listOf(holder, 'attributes')) {
    const name = textOf(entry, 'key');
    if (!wanted(name)) continue;
    const value = attributeValueOf(entry.value);
    if (value !== undefined) attributes.push({ name, value });
  }
  return attributes;
}

function attributeValueOf(given: unknown): AttributeValue | undefined {
  const scalar = scalarOf(given);
  if (scalar !== undefined || !isObject(given) || !isObject(given.arrayValue)) return scalar;
  return listOf(given.arrayValue, 'values').flatMap((item) => scalarOf(item) ?? []);
}

function scalarOf(given: unknown): string | number | boolean | undefined {
  if (!isObject(given)) return undefined;
  const { stringValue, boolValue, intValue, doubleValue } = given;
  if (typeof stringValue === 'string') return stringValue;
  if (typeof boolValue === 'boolean') return boolValue;
  // 64-bit integers are strings in protobuf's JSON; numbers are met too.
  const number = intValue ?? doubleValue;
  return typeof number === 'string' || typeof number === 'number' ? Number(number) : undefined;
}

function nanosOf(holder: JsonObject, name: string): Nanos {
  const given = holder[name] ?? '0';
  const digits = typeof given === 'number' && Number.isSafeInteger(given) ? String(given) : given;
  if (typeof digits === 'string' && /^\d{1,19}$/.test(digits)) {
    const nanos = BigInt(digits);
    return { high: Number(nanos / twoTo32), low: Number(nanos % twoTo32) };
  }
  // A number beyond what a double holds exactly has lost some hundred nanoseconds on its way already.
  if (typeof given === 'number' && given > 0 && given < 2 ** 63) {
    const high = Math.floor(given / 2 ** 32);
    return { high, low: given - high * 2 ** 32 };
  }
  throw malformed(`${name} must be nanoseconds since 1970 as a string of digits`);
}

/** Of 16 and of 8 bytes. */
const base64Id = /^(?:[\w+/]{22}==|[\w+/]{11}=)$/;

/** Hexadecimal; senders that leave the encoding to a protobuf library write base64. */
function idOf(holder: JsonObject, name: string): string {
  const text = textOf(holder, name);
  return validId(base64Id.test(text) ? Buffer.from(text, 'base64').toString('hex') : text.toLowerCase());
}

function textOf(holder: JsonObject, name: string): string {
  const given = holder[name];
  if (given === undefined || given === null) return '';
  if (typeof given === 'string') return given;
  throw malformed(`${name} must be a string`);
}

function listOf(holder: JsonObject, name: string): readonly JsonObject[] {
  const given = holder[name];
  if (given === undefined || given === null) return [];
  if (!Array.isArray(given)) throw malformed(`${name} must be an array`);
  return given.map((item) => objectOf(item, name));
}

function objectOf(given: unknown, what: string): JsonObject {
  if (isObject(given)) return given;
  throw malformed(`${what} must be an object`);
}

function isObject(given: unknown): given is JsonObject {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}
