/** OTLP's protobuf, written by hand for tests: what reads it must not check itself. */

type Json = Readonly<Record<string, unknown>>;

/** The protobuf of an `ExportTraceServiceRequest` in its JSON form. */
export function protobufSpans(request: unknown): Buffer {
  return joined(
    each(request, 'resourceSpans', (resourceSpans) =>
      message(1, [
        message(1, attributes(1, (resourceSpans.resource ?? {}) as Json)),
        ...each(resourceSpans, 'scopeSpans', (scopeSpans) =>
          message(2, [
            // A scope, which nobody reads.
            message(1, [text(1, 'scope')]),
            ...each(scopeSpans, 'spans', (span) => message(2, spanFields(span))),
          ]),
        ),
      ]),
    ),
  );
}

function spanFields(span: Json): Buffer[] {
  const status = (span.status ?? {}) as Json;
  return [
    bytes(1, Buffer.from(String(span.traceId ?? ''), 'hex')),
    bytes(2, Buffer.from(String(span.spanId ?? ''), 'hex')),
    bytes(4, Buffer.from(String(span.parentSpanId ?? ''), 'hex')),
    text(5, String(span.name ?? '')),
    integer(6, 3n),
    fixed64(7, BigInt(String(span.startTimeUnixNano ?? 0))),
    fixed64(8, BigInt(String(span.endTimeUnixNano ?? 0))),
    ...attributes(9, span),
    ...each(span, 'events', (event) =>
      message(11, [
        fixed64(1, BigInt(String(event.timeUnixNano ?? 0))),
        text(2, String(event.name ?? '')),
        ...attributes(3, event),
      ]),
    ),
    message(15, [text(2, String(status.message ?? '')), integer(3, BigInt(Number(status.code ?? 0)))]),
  ];
}

function attributes(field: number, holder: Json): Buffer[] {
  return each(holder, 'attributes', ({ key, value }) =>
    message(field, [text(1, String(key)), message(2, [anyValue(value as Json)])]),
  );
}

function anyValue(value: Json): Buffer {
  if (value.stringValue !== undefined) return text(1, String(value.stringValue));
  if (value.boolValue !== undefined) return integer(2, value.boolValue === true ? 1n : 0n);
  if (value.intValue !== undefined) return integer(3, BigInt.asUintN(64, BigInt(String(value.intValue))));
  if (value.doubleValue !== undefined) {
    const double = Buffer.alloc(8);
    double.writeDoubleLE(Number(value.doubleValue));
    return joined([varint(BigInt((4 << 3) | 1)), double]);
  }
  return message(
    5,
    each(value.arrayValue, 'values', (item) => message(1, [anyValue(item)])),
  );
}

function each<Made>(holder: unknown, name: string, make: (item: Json) => Made): Made[] {
  return (((holder as Json)[name] ?? []) as Json[]).map(make);
}

function joined(parts: Buffer[]): Buffer {
  return Buffer.concat(parts);
}

function varint(value: bigint): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
  return Buffer.from(out);
}

function integer(field: number, value: bigint): Buffer {
  return joined([varint(BigInt(field << 3)), varint(value)]);
}

function bytes(field: number, value: Buffer): Buffer {
  return joined([varint(BigInt((field << 3) | 2)), varint(BigInt(value.length)), value]);
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value));
}

function message(field: number, parts: Buffer[]): Buffer {
  return bytes(field, joined(parts));
}

function fixed64(field: number, value: bigint): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(value);
  return joined([varint(BigInt((field << 3) | 1)), out]);
}
