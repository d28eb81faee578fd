import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventQueue } from '../src/eventQueue.ts';
import { heapBytes } from '../src/heapBytes.ts';

const decoder = new TextDecoder();

interface Noted {
  readonly model_version: string;
  readonly inference_time_ms: number;
  readonly is_error?: boolean;
}

function linesOf(bytes: Uint8Array): Noted[] {
  const text = decoder.decode(bytes);
  return text === '' ? [] : JSON.parse(`[${text.slice(0, -2)}]`);
}

const aStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      // One that is wider than a page, and one of several bytes a character, among ordinary ones.
      text: fc.constantFrom('v1', 'v1', 'v1', 'größe ✓ 𝒳', 'x'.repeat(900)),
      isError: fc.boolean(),
      events: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('write' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      events: fc.integer({ min: 1, max: 30 }),
      bytes: fc.constantFrom(500, 100_000),
    }),
  },
);

test('waiting events are bounded and counted, come out whole, errors first and each kind in its order', () => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 40 }), fc.constantFrom(6_000, 1_000_000), (steps, maxBytes) => {
      let evicted = 0;
      const queue = new EventQueue({
        maxBytes,
        write: ({ event }) => JSON.stringify(event),
        onEvicted: (events) => {
          evicted += events;
        },
      });
      let pushed = 0;
      const taken: Noted[] = [];
      const take = (events: number, bytes: number) => {
        const lines = queue.take(events, bytes);
        const read = linesOf(lines.bytes);
        expect(read).toHaveLength(lines.events);
        expect(lines.events).toBeLessThanOrEqual(events);
        const kinds = read.map(({ is_error }) => is_error === true);
        expect(kinds).toEqual([...kinds].sort().reverse());
        taken.push(...read);
        return lines.events;
      };
      for (const step of steps) {
        if (step.kind === 'push')
          for (let at = 0; at < step.events; at++) {
            const event = {
              model_version: step.text,
              inference_time_ms: pushed++,
              ...(step.isError ? { is_error: true } : {}),
            };
            queue.push({ event, atMs: 0, bytes: heapBytes(event) });
          }
        else if (step.kind === 'write') queue.writeSlice();
        else expect(take(step.events, step.bytes) > 0 || queue.size === 0).toBe(true);
        expect(queue.bytes).toBeLessThanOrEqual(maxBytes);
        expect(taken.length + evicted + queue.size).toBe(pushed);
      }
      while (take(7, 100_000) > 0);
      expect(queue.size).toBe(0);
      expect(queue.bytes).toBe(0);
      for (const isError of [true, false]) {
        const order = taken
          .filter(({ is_error }) => (is_error === true) === isError)
          .map((one) => one.inference_time_ms);
        expect(order).toEqual([...order].sort((one, other) => one - other));
      }
      if (maxBytes === 1_000_000) expect(evicted).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test('while successes wait, no error goes, and of each kind the newest stay', () => {
  let evicted = 0;
  const queue = new EventQueue({
    maxBytes: 40_000,
    write: ({ event }) => JSON.stringify(event),
    onEvicted: (events) => {
      evicted += events;
    },
  });
  const events = 1_000;
  for (let at = 0; at < events; at++) {
    const event = { model_version: 'v1', inference_time_ms: at, is_error: at % 10 === 0 };
    queue.push({ event, atMs: 0, bytes: heapBytes(event) });
    if (at % 16 === 0) queue.writeSlice();
  }
  const kept = linesOf(queue.take(events, 1_000_000).bytes);
  expect(kept.length + evicted).toBe(events);
  const errors = kept.filter(({ is_error }) => is_error).map((one) => one.inference_time_ms);
  expect(errors).toEqual(Array.from({ length: 100 }, (_, at) => at * 10));
  const successes = kept.filter(({ is_error }) => !is_error).map((one) => one.inference_time_ms);
  expect(successes.length).toBeGreaterThan(0);
  const all = Array.from({ length: events }, (_, at) => at).filter((at) => at % 10 !== 0);
  expect(successes).toEqual(all.slice(-successes.length));
});
