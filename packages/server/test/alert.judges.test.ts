import { describe, expect, test } from 'vitest';
import { ChangedMinutes } from '../src/alert/changedMinutes.ts';
import { judgeRule, type Outcome, type Rule } from '../src/alert/judge.ts';
import { fiveMs, hourMs, minuteMs, Timeline } from '../src/alert/timeline.ts';
import { noTotals, type Totals } from '../src/alert/totals.ts';

const startMs = Date.parse('2026-01-05T12:00:00Z');

function totals(fields: Partial<Totals>): Totals {
  return { ...noTotals(), ...fields };
}

function rule(kind: string, fields: Partial<Rule> = {}): Rule {
  return {
    name: kind,
    kind,
    condition: {},
    severity: 'critical',
    minEvents: 5,
    forMs: 0,
    keepFiringMs: 300_000,
    version: 1,
    ...fields,
  };
}

/** A model with a day behind it: so many events a minute, this share of them errors, by turns more and less. */
function timelineWithHistory(perMinute: number, errorShare: number, waver = 0): Timeline {
  const timeline = new Timeline();
  for (let atMs = startMs - 24 * hourMs, sign = 1; atMs < startMs - hourMs; atMs += fiveMs, sign = -sign) {
    const share = errorShare * (1 + sign * waver);
    timeline.setFive(atMs, totals({ requests: 5 * perMinute, errors: 5 * perMinute * share }));
  }
  for (let atMs = startMs - 24 * hourMs; atMs < startMs; atMs += hourMs) {
    timeline.setHour(atMs, totals({ requests: 60 * perMinute, errors: 60 * perMinute * errorShare }));
  }
  for (let atMs = startMs - 75 * minuteMs; atMs < startMs; atMs += minuteMs) {
    timeline.setMinute(atMs, totals({ requests: perMinute, errors: perMinute * errorShare }));
  }
  timeline.roll(startMs);
  return timeline;
}

const judged = (of: Rule, timeline: Timeline, nowMs: number): Outcome =>
  judgeRule(
    of,
    {
      labels: { model_version: 'v1' },
      timeline,
      around: { total: timeline, watchedSinceMs: 0, problems: [], isBlind: false, models: 1 },
    },
    nowMs,
  );

describe('sudden failure', () => {
  const failure = rule('error_failure');

  test('is seen in the second in which six of twenty events failed, where one in a hundred is usual', () => {
    const timeline = timelineWithHistory(1200, 0.01);
    timeline.arrivals.add(startMs, 20, 6);
    const outcome = judged({ ...failure, condition: { p_value: 1e-7 } }, timeline, startMs + 500);
    expect(outcome).toMatchObject({
      judgement: 'breach',
      sinceMs: startMs,
      message: '30 % of the events of v1 failed in the last 5 s (6 of 20), usually 1 %.',
    });
  });

  test('is not what clusters of errors ordinarily come to, and is all the same when everything fails', () => {
    const timeline = timelineWithHistory(1200, 0.02, 0.9);
    timeline.arrivals.add(startMs, 60, 10);
    expect(judged(failure, timeline, startMs).judgement).toBe('calm');
    const calmer = timelineWithHistory(1200, 0.02, 0.1);
    calmer.arrivals.add(startMs, 60, 10);
    expect(judged({ ...failure, condition: { p_value: 1e-6 } }, calmer, startMs).judgement).toBe('breach');
    timeline.arrivals.add(startMs + 1000, 20, 20);
    expect(judged(failure, timeline, startMs + 61_000).judgement).toBe('calm');
    timeline.arrivals.add(startMs + 61_500, 20, 20);
    expect(judged(failure, timeline, startMs + 61_500).judgement).toBe('breach');
  });

  test('is no four failures at night, though all failed', () => {
    const timeline = timelineWithHistory(1, 0);
    for (let second = 0; second < 40; second += 10) timeline.arrivals.add(startMs + second * 1000, 1, 1);
    expect(judged(failure, timeline, startMs + 40_000).judgement).toBe('calm');
    timeline.arrivals.add(startMs + 40_000, 1, 1);
    expect(judged(failure, timeline, startMs + 40_000).judgement).toBe('breach');
  });

  test('is not what a model always does', () => {
    const timeline = timelineWithHistory(1200, 0.3);
    timeline.arrivals.add(startMs, 100, 45);
    expect(judged(failure, timeline, startMs).judgement).toBe('calm');
    timeline.arrivals.add(startMs + 1000, 100, 100);
    expect(judged(failure, timeline, startMs + 1000).judgement).toBe('breach');
  });

  test('is over when its windows have passed', () => {
    const timeline = timelineWithHistory(1200, 0.01);
    timeline.arrivals.add(startMs, 20, 20);
    expect(judged(failure, timeline, startMs).judgement).toBe('breach');
    timeline.arrivals.add(startMs + 61_000, 20, 0);
    expect(judged(failure, timeline, startMs + 61_000).judgement).toBe('calm');
  });
});

describe('the error budget', () => {
  const burn = rule('error_burn', {
    condition: { long_seconds: 3600, short_seconds: 300, burn_rate: 14.4 },
    minEvents: 10,
  });
  const failing = (timeline: Timeline, minutes: number, errors: number, perMinute = 100) => {
    let nowMs = startMs;
    for (let minute = 0; minute < minutes; minute++, nowMs += minuteMs) {
      timeline.roll(nowMs);
      timeline.setMinute(nowMs, totals({ requests: perMinute, errors }));
    }
    timeline.roll(nowMs - 1);
    return judged(burn, timeline, nowMs - 1);
  };

  test('burns when both windows are above the rate, and says by how much', () => {
    const outcome = failing(timelineWithHistory(100, 0.001), 10, 20);
    expect(outcome).toMatchObject({ judgement: 'breach' });
    expect((outcome as { message: string }).message).toMatch(
      /^v1 uses its error budget up [\d.]+ times too fast: 3.* % of 6,100 events failed in the last 60 min and 2\d % in the last 5 min, usually 0\.1\d? %; the objective is 99\.\d+ %\.$/,
    );
  });

  test('does not burn after the errors ended, though the hour still holds them', () => {
    const timeline = timelineWithHistory(100, 0.001);
    failing(timeline, 10, 20);
    let nowMs = startMs + 10 * minuteMs;
    for (; nowMs < startMs + 17 * minuteMs; nowMs += minuteMs) {
      timeline.setMinute(nowMs, totals({ requests: 100 }));
      timeline.roll(nowMs);
    }
    expect(judged(burn, timeline, nowMs - 1).judgement).toBe('calm');
  });

  test('does not burn for ever where one in twenty always fails', () => {
    const lasting = rule('error_burn', {
      condition: { long_seconds: 259_200, short_seconds: 21_600, burn_rate: 1 },
      minEvents: 10,
    });
    const timeline = timelineWithHistory(100, 0.05);
    expect(judged(lasting, timeline, startMs - 1).judgement).toBe('calm');
    expect(
      judged({ ...lasting, condition: { ...lasting.condition, objective: 0.99 } }, timeline, startMs - 1)
        .judgement,
    ).toBe('breach');
  });

  test('does not burn by a single failure at night', () => {
    expect(failing(timelineWithHistory(1, 0), 5, 1, 1).judgement).toBe('calm');
  });

  test('cannot be judged without events', () => {
    expect(judged(burn, new Timeline(), startMs).judgement).toBe('unknown');
  });
});

describe('of the newest minutes', () => {
  /** Seconds into a minute; `since` tells of events from that second on. */
  const at = (seconds: number) => startMs + seconds * 1000;
  const openMs = startMs;
  const look = (changed: ChangedMinutes, seconds: number) => {
    const sinceMs = changed.next(at(seconds));
    if (sinceMs !== undefined) changed.read(at(seconds));
    return sinceMs;
  };

  test('none is read while nothing comes, but now and then, for whoever tells of events may be gone', () => {
    const changed = new ChangedMinutes(5_000);
    const read = Array.from({ length: 40 }, (_, second) => look(changed, 10 + second)).filter(
      (sinceMs) => sinceMs !== undefined,
    );
    expect(read).toEqual(Array(8).fill(openMs - minuteMs));
  });

  test('the open one is read at the next look, and again until its quantiles have settled', () => {
    const changed = new ChangedMinutes(60_000);
    look(changed, 10);
    changed.hear(at(20), at(20.1));
    expect([21, 22, 23, 24].map((seconds) => look(changed, seconds))).toEqual([
      openMs,
      openMs,
      openMs,
      undefined,
    ]);
  });

  test('the one before is read when events of it came late, and in the first seconds', () => {
    const changed = new ChangedMinutes(60_000);
    look(changed, 10);
    changed.hear(at(19), at(20));
    changed.hear(at(-5), at(20.2));
    expect(look(changed, 21)).toBe(openMs - minuteMs);
    changed.hear(at(61), at(61));
    // Of the next minute, which is two seconds old: this one closes.
    expect(look(changed, 62)).toBe(openMs);
    changed.hear(at(70), at(70));
    expect(look(changed, 70)).toBe(openMs + minuteMs);
  });

  test('what is heard of while they are read is read next time, and so is what could not be read', () => {
    const changed = new ChangedMinutes(60_000);
    look(changed, 10);
    changed.hear(at(20), at(20));
    expect(changed.next(at(21))).toBe(openMs);
    changed.hear(at(21.1), at(21.1));
    changed.read(at(25));
    expect(changed.next(at(26))).toBe(openMs);
    // That reading failed.
    expect(changed.next(at(40))).toBe(openMs);
    changed.read(at(40));
    expect(changed.next(at(41))).toBeUndefined();
  });
});
