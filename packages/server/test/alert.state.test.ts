import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AlertEvent,
  type AlertState,
  flapMemoryMs,
  holdMs,
  inactive,
  type Judgement,
  judge,
  maxUnknownMs,
  step,
  transitions,
} from '../src/alert/state.ts';

const isOpen = ({ phase }: AlertState) => phase === 'firing' || phase === 'resolving';
const events = Object.keys(transitions.inactive) as AlertEvent[];

describe('the state of an alert', () => {
  test('opens and closes in turn, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...events), { maxLength: 60 }), (happenings) => {
        let state = inactive(0);
        for (const [index, event] of happenings.entries()) {
          const next = step(state, event, index);
          if (next.effect === 'open') expect([isOpen(state), isOpen(next.state)]).toEqual([false, true]);
          else if (next.effect === 'close')
            expect([isOpen(state), isOpen(next.state)]).toEqual([true, false]);
          // Only somebody's own hand closes it without the engine.
          else if (event !== 'closed') expect(isOpen(next.state)).toBe(isOpen(state));
          state = next.state;
        }
      }),
    );
  });

  test('fires after the condition held for its time without a break, and ends after as much calm as it asks for', () => {
    const look = fc.record({
      judgement: fc.constantFrom<Judgement>('breach', 'breach', 'calm', 'unknown'),
      afterMs: fc.integer({ min: 1, max: 200_000 }),
    });
    const timing = fc.record({
      forMs: fc.constantFrom(0, 1_000, 60_000),
      keepFiringMs: fc.constantFrom(0, 5_000, 300_000),
    });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 80 }), timing, (looks, rule) => {
        let nowMs = 0;
        let state = inactive(nowMs);
        let heldSinceMs: number | undefined;
        let calmSinceMs: number | undefined;
        let judgedAtMs = 0;
        for (const { judgement, afterMs } of looks) {
          nowMs += afterMs;
          if (judgement !== 'unknown') judgedAtMs = nowMs;
          heldSinceMs = judgement === 'breach' ? (heldSinceMs ?? nowMs) : undefined;
          if (judgement === 'breach') calmSinceMs = undefined;
          else if (judgement === 'calm') calmSinceMs ??= nowMs;
          const before = state;
          const next = judge(state, judgement, nowMs, rule);
          state = next.state;
          const due = heldSinceMs !== undefined && nowMs - heldSinceMs >= rule.forMs;
          if (!isOpen(before)) expect(next.effect === 'open').toBe(due);
          if (next.effect === 'close') {
            const calmFor = nowMs - (calmSinceMs ?? nowMs);
            const unknownFor = nowMs - judgedAtMs;
            expect(calmFor >= holdMs(rule, before.flaps) || unknownFor >= maxUnknownMs).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('that flaps all day is news a few times and not a thousand', () => {
    const rule = { forMs: 0, keepFiringMs: 60_000 };
    let state = inactive(0);
    let opened = 0;
    for (let nowMs = 0; nowMs < 86_400_000; nowMs += 10_000) {
      const next = judge(state, nowMs % 120_000 < 20_000 ? 'breach' : 'calm', nowMs, rule);
      if (next.effect === 'open') opened += 1;
      state = next.state;
    }
    expect(opened).toBeLessThanOrEqual(3);
  });

  test('is forgotten an hour after its end', () => {
    const rule = { forMs: 0, keepFiringMs: 0 };
    let { state } = judge(inactive(0), 'breach', 0, rule);
    state = judge(state, 'calm', 1, rule).state;
    expect(state.phase).toBe('resolved');
    expect(judge(state, 'calm', flapMemoryMs, rule).state.phase).toBe('resolved');
    expect(judge(state, 'calm', flapMemoryMs + 1, rule).state.phase).toBe('inactive');
    expect(judge(state, 'breach', 2, rule)).toMatchObject({ effect: 'open', state: { flaps: 1 } });
  });
});
