/** A request of an OTLP exporter, whose trace ids can be renewed in place. */
import { randomBytes } from 'node:crypto';

export interface SpanBatch {
  request: Buffer;
  /** Gives each span a trace id that was never sent before. */
  stamp: () => void;
}

/** What a chat of some length holds. */
const PROMPT = 'a prompt and what came before it '.repeat(22);
/** Numbers of the field `attributes` in the two messages. */
const RESOURCE_ATTRIBUTES = 1;
const SPAN_ATTRIBUTES = 9;
const DURATION_NANOS = 1_500_000_000n;

export function makeSpanBatch(port: number, spans: number): SpanBatch {
  const marker = randomBytes(16);
  const made = Array.from({ length: spans }, () => message(2, spanOf(marker)));
  const resource = message(1, [attribute('service.name', text('shop'), RESOURCE_ATTRIBUTES)]);
  const body = message(1, [resource, message(2, made)]);
  const head =
    `POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
    `Content-Type: application/x-protobuf\r\nContent-Length: ${body.length}\r\n\r\n`;
  const request = Buffer.concat([Buffer.from(head), body]);
  const offsets: number[] = [];
  for (let at = request.indexOf(marker); at >= 0; at = request.indexOf(marker, at + 1)) offsets.push(at);
  let count = 0;
  const stamp = () => {
    for (const at of offsets) request.writeUInt32LE(count++ % 2 ** 32, at);
  };
  return { request, stamp };
}

function spanOf(traceId: Buffer): Buffer[] {
  const end = BigInt(Date.now()) * 1_000_000n;
  return [
    bytes(1, traceId),
    bytes(2, randomBytes(8)),
    bytes(4, randomBytes(8)),
    bytes(5, Buffer.from('chat gpt-4o')),
    fixed64(7, end - DURATION_NANOS),
    fixed64(8, end),
    attribute('gen_ai.operation.name', text('chat')),
    attribute('gen_ai.provider.name', text('openai')),
    attribute('gen_ai.request.model', text('gpt-4o')),
    attribute('gen_ai.response.model', text('gpt-4o-2024-08-06')),
    attribute('gen_ai.response.id', text(`chatcmpl-${randomBytes(10).toString('hex')}`)),
    attribute('gen_ai.response.finish_reasons', message(5, [message(1, [text('stop')])])),
    attribute('gen_ai.usage.input_tokens', integer(3, 1_000)),
    attribute('gen_ai.usage.output_tokens', integer(3, 100)),
    attribute('gen_ai.usage.cache_read.input_tokens', integer(3, 400)),
    attribute('gen_ai.conversation.id', text(randomBytes(8).toString('hex'))),
    attribute('gen_ai.agent.name', text('search')),
    attribute('gen_ai.input.messages', text(PROMPT)),
    attribute('gen_ai.output.messages', text(PROMPT)),
    attribute('user.id', text(`user ${Math.floor(Math.random() * 1_000)}`)),
  ];
}

function attribute(name: string, value: Buffer, field = SPAN_ATTRIBUTES): Buffer {
  return message(field, [bytes(1, Buffer.from(name)), message(2, [value])]);
}

function text(value: string): Buffer {
  return bytes(1, Buffer.from(value));
}

function message(field: number, parts: Buffer[]): Buffer {
  return bytes(field, Buffer.concat(parts));
}

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(value.length), value]);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function fixed64(field: number, value: bigint): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(value);
  return Buffer.concat([varint((field << 3) | 1), out]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  out.push(rest);
  return Buffer.from(out);
}
