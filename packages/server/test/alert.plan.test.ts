import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultPace, plan, type Standing, type Told } from '../src/alert/outbox/plan.ts';

const nothing: Told = {
  told: 'nothing',
  severity: null,
  alerts: 0,
  hash: null,
  toldAtMs: null,
  notifiedAtMs: null,
};
const told: Told = {
  told: 'firing',
  severity: 'critical',
  alerts: 1,
  hash: 'a',
  toldAtMs: 0,
  notifiedAtMs: 0,
};
const standing: Standing = {
  openedAtMs: 0,
  closedAtMs: null,
  severity: 'critical',
  alerts: 1,
  acknowledged: false,
  silenced: false,
  explained: true,
  repeatIntervalMs: 3_600_000,
  hash: 'a',
};
const hour = 3_600_000;

describe('what a channel is told next', () => {
  test.for([
    ['of a beginning, at once', nothing, {}, 0, { step: 'firing' }],
    [
      'of one that waits for its explanation, after two seconds at most',
      nothing,
      { explained: false },
      1,
      { waitUntilMs: 2_000 },
    ],
    ['of one without an explanation, then', nothing, { explained: false }, 2_000, { step: 'firing' }],
    ['of one that is silenced, nothing', nothing, { silenced: true }, hour, 'rest'],
    ['of one whose silence is over, its beginning', nothing, {}, hour, { step: 'firing' }],
    ['of one that ended before it was told, both', nothing, { closedAtMs: 5 }, 6, { step: 'late' }],
    [
      'of one that was silenced to its end, nothing ever',
      nothing,
      { closedAtMs: 5, silenced: true },
      6,
      'over',
    ],
    ['of an end a day ago, nothing ever', nothing, { closedAtMs: 5 }, 25 * hour, 'expired'],
    [
      'of an end, also when it is silenced by then',
      told,
      { closedAtMs: 5, silenced: true },
      6,
      { step: 'resolved' },
    ],
    ['of the same again, after the interval', told, {}, hour, { step: 'repeat' }],
    ['of the same before it, nothing', told, {}, hour - 1, { waitUntilMs: hour }],
    ['of what somebody has in hand, nothing', told, { acknowledged: true }, 9 * hour, 'rest'],
    [
      'of a warning, never the same again',
      { ...told, severity: 'warning' },
      { severity: 'warning' },
      9 * hour,
      'rest',
    ],
    [
      'of a warning that became critical, that',
      { ...told, severity: 'warning' },
      {},
      1,
      { step: 'escalated' },
    ],
    ['of more alerts, no sooner than after five minutes', told, { alerts: 3 }, 1, { waitUntilMs: 300_000 }],
    ['of more alerts, then', told, { alerts: 3 }, 300_000, { step: 'update' }],
    ['of everything, nothing after its end', { ...told, told: 'resolved' }, { closedAtMs: 5 }, 6, 'over'],
  ] as [string, Told, Partial<Standing>, number, unknown][])('%s', ([, before, change, nowMs, expected]) => {
    expect(plan(before, { ...standing, ...change }, false, defaultPace, nowMs)).toEqual(expected);
  });

  test('that can change its message: each change, at most every ten seconds', () => {
    const changed = { ...standing, hash: 'b' };
    expect(plan(told, changed, true, defaultPace, 9_999)).toEqual({ waitUntilMs: 10_000 });
    expect(plan(told, changed, true, defaultPace, 10_000)).toEqual({ step: 'update' });
  });

  test('over any life of an incident: a beginning before anything else, an end once, repeats an interval apart', () => {
    const moment = fc.record({
      passMs: fc.integer({ min: 1, max: 2 * hour }),
      acknowledged: fc.boolean(),
      silenced: fc.boolean(),
      critical: fc.boolean(),
      alerts: fc.integer({ min: 0, max: 3 }),
      reachable: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(moment, { maxLength: 30 }), fc.boolean(), (life, edits) => {
        let state = nothing;
        let world: Standing = { ...standing, severity: 'warning' };
        let nowMs = 0;
        const said: { step: string; atMs: number }[] = [];
        const tell = (reachable: boolean) => {
          const next = plan(state, world, edits, defaultPace, nowMs);
          if (typeof next === 'string' || !('step' in next) || !reachable) return;
          said.push({ step: next.step, atMs: nowMs });
          const ends = next.step === 'resolved' || next.step === 'late';
          state = {
            told: ends ? 'resolved' : 'firing',
            severity: world.severity,
            alerts: world.alerts,
            hash: world.hash,
            toldAtMs: nowMs,
            notifiedAtMs: next.step === 'update' ? state.notifiedAtMs : nowMs,
          };
        };
        for (const { passMs, reachable, critical, alerts, ...now } of life) {
          nowMs += passMs;
          const more = world.alerts + alerts;
          world = {
            ...world,
            ...now,
            alerts: more,
            hash: `${more} ${now.acknowledged}`,
            severity: critical ? 'critical' : world.severity,
          };
          tell(reachable);
        }
        world = { ...world, silenced: false, closedAtMs: nowMs };
        tell(true);
        tell(true);
        const steps = said.map(({ step }) => step);
        expect(steps[0]).toMatch(/^(firing|late)$/);
        expect(steps.filter((step) => step === 'resolved' || step === 'late')).toHaveLength(1);
        expect(steps.at(-1)).toMatch(/^(resolved|late)$/);
        expect(steps.filter((step) => step === 'firing' || step === 'late')).toHaveLength(1);
        const noises = said.filter(({ step }) => step !== 'update');
        for (const [index, { step, atMs }] of noises.entries())
          if (step === 'repeat') expect(atMs - noises[index - 1]!.atMs).toBeGreaterThanOrEqual(hour);
      }),
    );
  });
});
