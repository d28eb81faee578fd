import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Unit, valueAxis } from '../src/chart/valueAxis.ts';

const said = (unit: Unit, ...values: number[]) => {
  const { ticks, format } = valueAxis(unit, values);
  return ticks.map(format);
};

test('steps are round and of one unit with one number of digits', () => {
  expect(said('count', 5, 611)).toEqual(['0', '200', '400', '600', '800']);
  expect(said('count', 35_000)).toEqual(['0', '10K', '20K', '30K', '40K']);
  expect(said('count', 14_200)).toEqual(['0', '5K', '10K', '15K']);
  expect(said('count', 751_000)).toEqual(['0', '200K', '400K', '600K', '800K']);
  expect(said('count', 1_400_000)).toEqual(['0', '0.5M', '1.0M', '1.5M']);
  expect(said('dollars', 2.4)).toEqual(['$0', '$1', '$2', '$3']);
  expect(said('dollars', 0.17)).toEqual(['$0', '$0.05', '$0.10', '$0.15', '$0.20']);
  expect(said('dollars', 0.000_003)).toEqual(['$0', '$1.0e-6', '$2.0e-6', '$3.0e-6']);
  expect(said('latency', 640)).toEqual(['0 ms', '200 ms', '400 ms', '600 ms', '800 ms']);
  expect(said('latency', 1_300)).toEqual(['0 s', '0.5 s', '1.0 s', '1.5 s']);
  expect(said('latency', 13_200)).toEqual(['0 s', '5 s', '10 s', '15 s']);
  expect(said('percent', 45)).toEqual(['0 %', '20 %', '40 %', '60 %']);
  expect(said('percent', 0.3)).toEqual(['0 %', '0.1 %', '0.2 %', '0.3 %']);
});

test('where nothing or only zero is known the axis still has a top', () => {
  expect(said('count')).toEqual(['0', '1']);
  expect(said('percent', 0, 0)).toEqual(['0 %', '1 %']);
  expect(said('count', 1)).toEqual(['0', '1']);
});

test('scores end at one and begin at a round place below the lowest', () => {
  expect(said('score', 0.93, 0.99)).toEqual(['0.90', '0.95', '1.00']);
  expect(said('score', 0.76, 0.99)).toEqual(['0.70', '0.80', '0.90', '1.00']);
  expect(said('score', 0.55)).toEqual(['0.40', '0.60', '0.80', '1.00']);
  expect(said('score', 0.01)).toEqual(['0.00', '0.25', '0.50', '0.75', '1.00']);
  expect(said('score', 1)).toEqual(['0.90', '0.95', '1.00']);
  expect(said('score')).toEqual(['0.90', '0.95', '1.00']);
});

test('whatever is drawn lies within the axis, and no two ticks read the same', () => {
  const units: Unit[] = ['count', 'latency', 'percent', 'dollars'];
  const value = fc
    .tuple(fc.nat(99_999), fc.integer({ min: -12, max: 7 }))
    .map(([digits, power]) => digits * 10 ** power);
  const values = fc.array(value, { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(fc.constantFrom(...units), values, (unit, values) => {
      const { ticks, format } = valueAxis(unit, values);
      expect(ticks[0]).toBe(0);
      expect(ticks.at(-1)! * (1 + 1e-6)).toBeGreaterThanOrEqual(Math.max(...values));
      expect(ticks.length).toBeLessThanOrEqual(5);
      const texts = ticks.map(format);
      expect(new Set(texts).size).toBe(texts.length);
      const digits = texts.slice(1).map((text) => /\.(\d+)/.exec(text)?.[1]?.length ?? 0);
      expect(new Set(digits).size).toBe(1);
    }),
  );
  const scores = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(scores, (values) => {
      const { ticks } = valueAxis('score', values);
      expect(ticks[0]).toBeLessThanOrEqual(Math.min(...values));
      expect(ticks.at(-1)).toBe(1);
    }),
  );
});
