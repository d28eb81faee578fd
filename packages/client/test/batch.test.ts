import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineOf } from '../src/batch.ts';
import { Tally } from '../src/tally.ts';

const endOf9999Ms = Date.UTC(9999, 11, 31);

test('an event has the time at which it was tracked, whatever was written before it', () => {
  const aTime = fc.integer({ min: 0, max: endOf9999Ms });
  const times = fc.array(
    fc.oneof(
      aTime,
      aTime.map((ms) => ms % 1_500),
    ),
    { minLength: 1 },
  );
  fc.assert(
    fc.property(times, (written) => {
      for (const atMs of written) {
        const event = { model_version: 'v1', inference_time_ms: 1 };
        const line = lineOf({ event, atMs, bytes: 0 }, new Tally(), undefined, () => undefined);
        expect(JSON.parse(line!).timestamp).toBe(new Date(atMs).toISOString());
      }
    }),
  );
});
