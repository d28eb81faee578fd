import { expect, test } from 'vitest';
import { afterWaiting } from '../src/patience.ts';

/** As a machine that is suspended. */
function standStill(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('patience ends with what was waited, not with what the process itself stood still', async () => {
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    afterWaiting(200, () => {
      hasEnded = true;
      resolve();
    });
  });
  standStill(400);
  // Timers that came due meanwhile have their turn.
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
  expect(hasEnded).toBe(false);
  await ended;
});

test('patience that is called off never ends', async () => {
  let hasEnded = false;
  const callOff = afterWaiting(1, () => {
    hasEnded = true;
  });
  callOff();
  await new Promise<void>((resolve) => afterWaiting(50, resolve));
  expect(hasEnded).toBe(false);
});
