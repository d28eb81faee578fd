import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { clusteredSurprise } from '../src/process/detect/binomial.ts';
import { parseBudget, RateDetector, SeriesDetector, type Verdict } from '../src/process/detect/index.ts';
import { formatNumber, formatPercent } from '../src/process/detect/words.ts';
import { buildServer, spawnNowcast } from './support/processes.ts';

const startMs = Date.UTC(2026, 0, 5);
const minuteMs = 60_000;

/** Wild streams: ordinary values, repeats, gaps, time going back, and every number there is. */
const stream = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.constant(5 * minuteMs) },
      fc.integer({ min: -minuteMs, max: 86_400_000 }),
    ),
    fc.oneof(
      { weight: 6, arbitrary: fc.double({ min: 90, max: 110, noNaN: true }) },
      { weight: 2, arbitrary: fc.constant(100) },
      fc.double(),
    ),
  ),
  { minLength: 60, maxLength: 150, size: 'max' },
);
const counts = fc.array(
  fc.tuple(
    fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 3 }) }, fc.double()),
    fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 100 }) }, fc.double()),
  ),
  { minLength: 60, maxLength: 150, size: 'max' },
);

type Step = (detector: { state(): unknown }, index: number) => Verdict;
interface Kind {
  readonly restore: (state: unknown) => { state(): unknown };
  readonly step: Step;
  readonly length: number;
}

function seriesOf(points: readonly (readonly [number, number])[]): Kind {
  let timestampMs = startMs;
  const timed = points.map(([passedMs, value]) => {
    timestampMs += passedMs;
    return [timestampMs, value] as const;
  });
  return {
    restore: (state) => SeriesDetector.restore(state),
    step: (detector, index) => (detector as SeriesDetector).push(...timed[index]!),
    length: points.length,
  };
}

function ratesOf(points: readonly (readonly [number, number])[]): Kind {
  return {
    restore: (state) => RateDetector.restore(state),
    step: (detector, index) => (detector as RateDetector).push(startMs + index * minuteMs, ...points[index]!),
    length: points.length,
  };
}

const kinds = [
  ['SeriesDetector', stream, seriesOf],
  ['RateDetector', counts, ratesOf],
] as const;

describe.each(kinds)('%s', (_name, streams, kindOf) => {
  test('goes on from its state at any point as if it had never stopped', () => {
    fc.assert(
      fc.property(streams, fc.nat(59), (points, stopAt) => {
        const kind = kindOf(points);
        const through = kind.restore(undefined);
        let stopped = kind.restore(undefined);
        for (let i = 0; i < kind.length; i++) {
          if (i === stopAt) stopped = kind.restore(JSON.parse(JSON.stringify(stopped.state())));
          expect(kind.step(stopped, i)).toEqual(kind.step(through, i));
        }
        expect(JSON.stringify(stopped.state())).toBe(JSON.stringify(through.state()));
      }),
      { numRuns: 100 },
    );
  });

  test('scores between 0 and 1 and keeps a finite state, whatever comes', () => {
    fc.assert(
      fc.property(streams, (points) => {
        const kind = kindOf(points);
        const detector = kind.restore(undefined);
        for (let i = 0; i < kind.length; i++) {
          const { score, reason } = kind.step(detector, i);
          expect(score >= 0 && score <= 1).toBe(true);
          expect(reason).not.toMatch(/NaN|Infinity|undefined/);
        }
        // A number that JSON cannot hold would be null.
        expect(JSON.stringify(detector.state())).not.toContain('null');
      }),
      { numRuns: 200 },
    );
  });

  test('begins anew on a state it does not know', () => {
    for (const state of [
      null,
      7,
      {},
      { version: 99 },
      { version: 1, numbers: [1], tails: [], episode: [] },
    ]) {
      const kind = kindOf([[1, 100]]);
      expect(kind.restore(state).state()).toEqual(kind.restore(undefined).state());
    }
  });
});

describe('SeriesDetector', () => {
  /** A wave a day with a little noise, without a random source. */
  const usual = (index: number) =>
    100 +
    40 * Math.sin((index / 288) * 2 * Math.PI) +
    4 * Math.sin(index * 12.9898) * Math.cos(index * 78.233);
  const judge = (values: readonly number[]) => {
    const detector = SeriesDetector.restore(undefined, { name: 'p95 latency' });
    return values.map((value, index) => detector.push(startMs + index * 5 * minuteMs, value));
  };
  const days = (count: number) => Array.from({ length: count * 288 }, (_, index) => usual(index));

  test('says nothing while it learns', () => {
    expect(
      judge(days(1))
        .slice(0, 30)
        .every(({ score, anomaly }) => score === 0 && !anomaly),
    ).toBe(true);
  });

  test.each([
    ['a spike', (value: number, at: number) => (at < 2 ? value + 200 : value), 1, /far above/],
    ['a drop to nothing', () => 0, 1, /below|down/],
    ['a value that stands still', () => 91.5, 12, /times in a row/],
  ])('raises one alarm for %s, at once', (_name, change, within, sentence) => {
    const from = 10 * 288;
    const values = days(11).map((value, index) =>
      index >= from && index < from + 40 ? change(value, index - from) : value,
    );
    const verdicts = judge(values);
    const alarms = verdicts.flatMap(({ anomaly }, index) =>
      anomaly && index >= from - 288 && index < from + 40 ? [index] : [],
    );
    expect(alarms[0]).toBeGreaterThanOrEqual(from);
    expect(alarms[0]).toBeLessThan(from + within);
    expect(alarms.length).toBeLessThanOrEqual(2);
    expect(verdicts[alarms[0]!]!.reason).toMatch(sentence);
  });

  test.each([
    ['a spike', 2],
    ['an hour at another level', 12],
    ['a day at another level', 300],
  ])('is not surprised by the return from %s', (_name, length) => {
    const from = 8 * 288;
    const scores = judge(
      days(10).map((value, index) => (index >= from && index < from + length ? value + 60 : value)),
    ).map(({ score }) => score);
    const most = (since: number, until: number) => Math.max(...scores.slice(since, until));
    expect(most(from, from + 3)).toBeGreaterThan(0.8);
    expect(most(from + length, from + length + 60)).toBeLessThan(0.4);
  });

  /** Without a day that could be known. */
  const level = (from: number, to: number, by: number) => (_: unknown, index: number) =>
    100 + 4 * Math.sin(index * 12.9898) * Math.cos(index * 78.233) + (index >= from && index < to ? by : 0);

  test('is less surprised by the end of an incident than by its beginning, though it lasted a day', () => {
    const scores = judge(Array.from({ length: 700 }, level(250, 550, 60))).map(({ score }) => score);
    const [begins, ends] = [250, 550].map((from) => Math.max(...scores.slice(from, from + 60)));
    expect(begins).toBeGreaterThan(0.8);
    expect(ends).toBeLessThan(0.7 * begins!);
  });

  test('sees the second incident nearly like the first, for what lasts is not learnt as usual', () => {
    const [first, second] = [level(250, 400, 25), level(1200, 1220, 25)];
    const scores = judge(
      Array.from(
        { length: 1300 },
        (_, index) => first(_, index) + second(_, index) - level(0, 0, 0)(_, index),
      ),
    ).map(({ score }) => score);
    const [before, after] = [250, 1200].map((from) => Math.max(...scores.slice(from, from + 3)));
    expect(after).toBeGreaterThan(0.62 * before!);
  });

  test('knows the week of a series of days: a Friday like a Sunday is news', () => {
    const detector = SeriesDetector.restore(undefined);
    const dayMs = 86_400_000;
    const scores = Array.from({ length: 298 }, (_, day) => {
      const value = (day % 7 >= 5 ? 400 : 1000) + 40 * Math.sin(day * 12.9898);
      return detector.push(startMs + day * dayMs, value).score;
    });
    const friday = detector.push(startMs + 298 * dayMs, 400);
    expect(friday.score).toBeGreaterThan(1.5 * Math.max(...scores.slice(100)));
    expect(friday.reason).toMatch(/^Value is 400, far below the usual 9\d\d at this time\.$/);
  });

  test('speaks of counts that cannot be negative, with their unit', () => {
    const detector = SeriesDetector.restore(undefined, {
      name: 'traffic of m',
      unit: 'events a minute',
      isNonNegative: true,
    });
    const reasons = [...days(6).map((value) => Math.max(0, value - 120)), 5000].map(
      (value, index) => detector.push(startMs + index * 5 * minuteMs, value).reason,
    );
    expect(reasons.join(' ')).not.toMatch(/-\d|e[-+]/);
    expect(reasons.at(-1)).toMatch(/^Traffic of m is 5,000 events a minute, far above/);
  });

  test('watches only the side that is bad', () => {
    const fell = [...days(10), 0, 0, 0];
    const detector = SeriesDetector.restore(undefined, { direction: 'up' });
    const last = fell.map((value, index) => detector.push(startMs + index * 5 * minuteMs, value)).slice(-3);
    expect(last.some(({ anomaly }) => anomaly)).toBe(false);
  });
});

describe('RateDetector', () => {
  const afterDay = () => {
    const detector = RateDetector.restore(undefined);
    for (let minute = 0; minute < 1440; minute++)
      detector.push(startMs + minute * minuteMs, minute % 3 === 0 ? 1 : 0, 50);
    return detector;
  };

  test('sees many failures at once and tells the counts', () => {
    const verdict = afterDay().push(startMs + 1440 * minuteMs, 15, 50);
    expect(verdict.anomaly).toBe(true);
    expect(verdict.reason).toMatch(/30 % \(15 of 50\), far above the usual 0\.\d+ %/);
  });

  test('does not mind two failures of two at night', () => {
    expect(afterDay().push(startMs + 1440 * minuteMs, 2, 2).anomaly).toBe(false);
  });
});

describe('the surprise of errors in clusters', () => {
  const counts = fc.record({
    total: fc.integer({ min: 1, max: 5000 }),
    bad: fc.integer({ min: 0, max: 400 }),
    share: fc.double({ min: 1e-4, max: 0.5, noNaN: true }),
    isUp: fc.boolean(),
  });

  test('is never greater than that of independent ones, and less the more their share wavers', () => {
    fc.assert(
      fc.property(counts, ({ total, bad, share, isUp }) => {
        const few = Math.min(bad, total);
        const [none, little, much] = [0, 0.05, 1].map((wavering) =>
          clusteredSurprise(few, total, share, wavering, isUp),
        );
        expect(little).toBeLessThanOrEqual(none! + 1e-9);
        // Only where it is more than expected: the middle of a wide distribution lies lower.
        if (isUp && few > 3 * total * share) expect(much).toBeLessThanOrEqual(little! + 1e-9);
      }),
    );
  });

  test('is the tail of the negative binomial distribution', () => {
    const [expected, shape] = [5, 2];
    let below = 0;
    let chance = (shape / (expected + shape)) ** shape;
    for (let count = 0; count < 12; count++) {
      below += chance;
      chance *= ((count + shape) / (count + 1)) * (expected / (expected + shape));
    }
    expect(clusteredSurprise(12, 1000, 0.005, 1 / shape, true)).toBeCloseTo(-Math.log10(1 - below), 6);
  });
});

test.each([
  [2.48e-34, 12, '0'],
  [0.00025, 0, '0.00025'],
  [0.0000025, 0, '0.0000025'],
  [179.4, 0, '179'],
  [12_345.6, 0, '12,346'],
  [2_480_000_000, 0, '2.48 billion'],
  [-8.61, 0, '-8.61'],
])('%d beside %d reads %s', (value, scale, words) => {
  expect(formatNumber(value, scale)).toBe(words);
});

test('a share reads as a percentage, however small', () => {
  expect([0.5, 0.0123, 0.00002, 1e-9].map(formatPercent)).toEqual([
    '50 %',
    '1.2 %',
    '0.002 %',
    'less than 0.0001 %',
  ]);
});

describe('a budget in words', () => {
  test.each([
    ['1 per week', 1],
    ['twice a week', 2],
    ['one every 2 weeks', 0.5],
    ['3 alarms per day', 21],
  ])('%s', (words, perWeek) => {
    expect(parseBudget(words)).toBeCloseTo(perWeek);
  });

  test.each(['', 'often', '0 per week', '1 per eon', '-1 per week'])('"%s" is none', (words) => {
    expect(parseBudget(words)).toBeUndefined();
  });
});

describe('nowcast detect', () => {
  beforeAll(buildServer);

  const run = async (input: string, args: string[] = []) => {
    const { ended, stdout, stderr } = spawnNowcast(['detect', ...args], {}, input);
    const { code } = await ended;
    return { code, lines: stdout().split('\n').filter(Boolean), stderr: stderr() };
  };

  test('answers every row, also one that it cannot read', async () => {
    const { code, lines, stderr } = await run(
      'timestamp,value\n2026-01-05 00:00:00,1\n2026-01-05 00:05:00,n/a\n1767571800,2\n',
    );
    expect(code).toBe(0);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { timestamp: '2026-01-05 00:00:00', value: 1, score: 0, anomaly: false },
      { value: null, score: 0, anomaly: false, reason: 'The value is not a number.' },
      { timestamp: '1767571800', value: 2, score: 0, anomaly: false },
    ]);
    expect(stderr).toContain('Row 3: The value is not a number.');
  });

  test.each([
    ['a header it does not know', 'time,number\n1,2\n', []],
    ['no input', '', []],
    ['a budget that is none', 'timestamp,value\n', ['--budget', 'often']],
  ])('refuses %s as wrong usage', async (_name, input, args) => {
    expect(await run(input, args)).toMatchObject({ code: 2, lines: [] });
  });
});
