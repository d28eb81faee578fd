/** Frames: what the real client's serializer writes is read, and what is written here it reads. */
import type { Writable } from 'node:stream';
import { createClient, type RealtimeClientOptions } from '@supabase/supabase-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as wsModule from 'ws';
import { BINARY, TEXT, webSocketFrame } from '../src/deliver/realtime/websocket-frame.ts';
import {
  decodeBinary,
  decodeText,
  encodeBroadcast,
  encodeText,
  type Outbound,
} from '../src/deliver/realtime/wire.ts';

const { serializer } = createClient('http://localhost', 'key', {
  realtime: { transport: wsModule.WebSocket as unknown as NonNullable<RealtimeClientOptions['transport']> },
}).realtime;

/** Exported by ws, though not by its types. */
const { Receiver } = wsModule as unknown as { Receiver: new (options: object) => Writable };

interface Message {
  readonly join_ref: string | null;
  readonly ref: string | null;
  readonly topic: string;
  readonly event: string;
  readonly payload: Record<string, unknown>;
}

const ref = fc.option(fc.nat().map(String), { nil: null });
/** What JSON keeps: no -0, which it writes as 0. */
const jsonObject = fc.dictionary(fc.string(), fc.jsonValue()).map((o) => JSON.parse(JSON.stringify(o)));
const outbound: fc.Arbitrary<Outbound> = fc.record({
  joinRef: ref,
  ref,
  topic: fc.string({ unit: 'grapheme' }),
  event: fc.string().filter((event) => event !== 'broadcast'),
  payload: jsonObject,
});

function clientEncodes(message: object): Buffer | string {
  let result: unknown;
  serializer.encode(message as never, (encoded) => {
    result = encoded;
  });
  return typeof result === 'string' ? result : Buffer.from(result as ArrayBuffer);
}

function clientDecodes(data: Buffer | string): Message {
  let result: Message | undefined;
  const raw =
    typeof data === 'string' ? data : data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  serializer.decode(raw as ArrayBuffer | string, (message: Message) => {
    result = message;
  });
  return result!;
}

/** The payload of a frame as ws, a client's own implementation, receives it. */
function received(frame: Buffer): { data: Buffer; isBinary: boolean } {
  const receiver = new Receiver({ isServer: false, allowSynchronousEvents: true });
  let result: { data: Buffer; isBinary: boolean } | undefined;
  receiver.on('message', (data: Buffer, isBinary: boolean) => {
    result = { data, isBinary };
  });
  receiver.write(frame);
  return result!;
}

describe('a text message', () => {
  test.each(['1.0.0', '2.0.0'] as const)('survives encoding and decoding in vsn %s', (vsn) => {
    fc.assert(
      fc.property(outbound, (message) => {
        expect(decodeText(vsn, encodeText(vsn, message))).toEqual(message);
      }),
    );
  });

  test('written here is read by the client', () => {
    fc.assert(
      fc.property(outbound, ({ joinRef, ...message }) => {
        const text = encodeText('2.0.0', { joinRef, ...message });
        expect(clientDecodes(text)).toEqual({ join_ref: joinRef, ...message });
      }),
    );
  });

  test('written by the client is read here', () => {
    fc.assert(
      fc.property(outbound, ({ joinRef, ...message }) => {
        const text = clientEncodes({ join_ref: joinRef, ...message }) as string;
        expect(decodeText('2.0.0', text)).toEqual({ joinRef, ...message });
      }),
    );
  });

  test('that is malformed is undefined and never an exception', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.array(fc.jsonValue()).map((a) => JSON.stringify(a)),
        ),
        (text) => {
          for (const vsn of ['1.0.0', '2.0.0'] as const) {
            const message = decodeText(vsn, text);
            if (message !== undefined) expect(typeof message.topic).toBe('string');
          }
        },
      ),
    );
  });
});

describe('a binary broadcast', () => {
  /** The client cuts its texts to one byte a character. */
  const latin = fc.string({
    unit: fc.integer({ min: 32, max: 255 }).map((c) => String.fromCharCode(c)),
    maxLength: 50,
  });
  const push = fc.record({
    join_ref: fc.nat().map(String),
    ref: fc.nat().map(String),
    topic: latin,
    event: fc.constant('broadcast'),
    userEvent: latin,
  });

  test('with JSON in it, written by the client, is read here', () => {
    fc.assert(
      fc.property(push, jsonObject, ({ userEvent, ...head }, payload) => {
        const bytes = clientEncodes({ ...head, payload: { type: 'broadcast', event: userEvent, payload } });
        expect(decodeBinary(bytes as Buffer)).toEqual({
          joinRef: head.join_ref,
          ref: head.ref,
          topic: head.topic,
          event: 'broadcast',
          payload: {},
          broadcast: { event: userEvent, encoding: 'json', json: JSON.stringify(payload) },
        });
      }),
    );
  });

  test('with bytes in it goes from one client to another unchanged', () => {
    fc.assert(
      fc.property(push, fc.uint8Array({ maxLength: 500 }), ({ userEvent, ...head }, blob) => {
        const payload = { type: 'broadcast', event: userEvent, payload: Uint8Array.from(blob).buffer };
        const inbound = decodeBinary(clientEncodes({ ...head, payload }) as Buffer);
        const { data, isBinary } = received(encodeBroadcast('2.0.0', head.topic, inbound!.broadcast!)!);
        expect(isBinary).toBe(true);
        const message = clientDecodes(data);
        expect(message).toMatchObject({ topic: head.topic, event: 'broadcast' });
        expect(message.payload.event).toBe(userEvent);
        expect(new Uint8Array(message.payload.payload as ArrayBuffer)).toEqual(Uint8Array.from(blob));
      }),
    );
  });

  test('of arbitrary bytes never throws', () => {
    const kindThree = fc.uint8Array().map((bytes) => Uint8Array.from([3, ...bytes]));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), kindThree), (bytes) => {
        decodeBinary(Buffer.from(bytes));
      }),
    );
  });
});

test('a WebSocket frame of any length is received whole by ws', () => {
  const lengths = fc.oneof(fc.constantFrom(0, 125, 126, 127, 65_535, 65_536), fc.nat(70_000));
  fc.assert(
    fc.property(lengths, fc.constantFrom(TEXT, BINARY), fc.nat(), (length, opcode, cut) => {
      const payload = Buffer.alloc(length, 'a');
      const at = length === 0 ? 0 : cut % length;
      const { data, isBinary } = received(
        webSocketFrame(opcode, [payload.subarray(0, at), payload.subarray(at)]),
      );
      expect(Buffer.compare(data, payload)).toBe(0);
      expect(isBinary).toBe(opcode === BINARY);
    }),
  );
});
