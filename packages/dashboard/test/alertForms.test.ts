import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchersInWords, matchersOf } from '../src/alerts/matchers.ts';
import { fieldIn, fieldsOf, formOf, newRule, ruleOf } from '../src/alerts/ruleForm.ts';
import { ruleInWords } from '../src/alerts/ruleInWords.ts';
import type { AlertRule } from '../src/data/alertRule.ts';
import { readExplanation } from '../src/data/explanation.ts';

const key = fc.stringMatching(/^[a-z][a-z_]{0,20}$/);
const condition = fc.dictionary(
  key,
  fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.stringMatching(/^\S(.*\S)?$/),
    fc.array(fc.integer(), { minLength: 1 }),
  ),
);
const count = fc.nat(86_400);
const rule: fc.Arbitrary<AlertRule> = fc.record({
  name: key,
  kind: fc.constantFrom('threshold', 'error_burn', 'latency'),
  condition,
  severity: fc.constantFrom('warning' as const, 'critical' as const),
  minEvents: count,
  forSeconds: count,
  keepFiringSeconds: count,
  repeatIntervalSeconds: count,
  enabled: fc.boolean(),
  source: fc.constantFrom('default', 'user', 'config'),
});

test('a rule that nobody changed is sent as it came', () => {
  fc.assert(
    fc.property(rule, (rule) => {
      expect(ruleOf(formOf(rule))).toEqual(rule);
    }),
  );
});

test('what is no number is said at its field and not sent', () => {
  const form = formOf(newRule);
  for (const [name, text] of [
    ['condition.value', 'ten'],
    ['min_events', ''],
  ] as const) {
    expect(ruleOf({ ...form, values: { ...form.values, [name]: text } })).toEqual({
      field: name,
      problem: 'must be a number',
    });
  }
});

test('a complaint of the server is put at the field that it names', () => {
  const names = ['name', 'severity', ...fieldsOf(newRule).map(({ name }) => name)];
  for (const [problem, field] of [
    [
      'alert rule x: condition.window_seconds must be a number from 60 to 3600, not 5',
      'condition.window_seconds',
    ],
    ['alert rule x: condition.value must be a number from -1e+15 to 1e+15, not 1e16', 'condition.value'],
    ['new row violates check constraint on min_events', 'min_events'],
    ['statement timeout', undefined],
  ] as const) {
    expect(fieldIn(problem, names)).toBe(field);
  }
});

test('an explanation of any shape is read without a fall', () => {
  const hostile = fc.oneof(fc.jsonValue(), fc.constantFrom({ toString: '' }, [{ valueOf: 0, toString: 0 }]));
  const fields = [
    'id',
    'timestamp',
    'model_version',
    'inference_time_ms',
    'dimension',
    'what',
    'value',
    'first_seen_at',
  ];
  const parts = fc.dictionary(
    fc.constantFrom('causes', 'examples', 'deployed', 'since', 'sentence'),
    fc.oneof(hostile, fc.array(fc.dictionary(fc.constantFrom(...fields), hostile), { maxLength: 3 })),
  );
  fc.assert(
    fc.property(fc.jsonValue(), parts, (value, some) => {
      readExplanation(value);
      const read = readExplanation(some)!;
      expect(Array.isArray(read.examples) && Array.isArray(read.causes) && Array.isArray(read.deployed)).toBe(
        true,
      );
    }),
    { numRuns: 500 },
  );
});

test('an incident is silenced by its models, and by its rules where it has none', () => {
  expect(matchersOf({ models: ['a', 'b'], rules: ['r'] })).toEqual([
    { model_version: 'a' },
    { model_version: 'b' },
  ]);
  expect(matchersOf({ models: [], rules: ['r'] })).toEqual([{ rule: 'r' }]);
  expect([{}, { model_version: 'a' }, { rule: 'r' }].map(matchersInWords)).toEqual([
    'everything',
    'a',
    'rule r',
  ]);
});

test('a rule says in a sentence when it fires, and leaves out nothing of its condition', () => {
  const words = (kind: string, condition: AlertRule['condition']) => ruleInWords({ kind, condition });
  expect(words('error_burn', { long_seconds: 3_600, short_seconds: 300, burn_rate: 14.4 })).toBe(
    'the error budget burns at 14.4× its pace, over 1 h and over 5 min',
  );
  expect(words('latency', { factor: 2, min_difference_ms: 100, window_seconds: 300 })).toBe(
    'p95 latency over 5 min is 2 times the usual one, and 100 ms above it',
  );
  expect(words('threshold', newRule.condition)).toBe('Error rate, % over 5 min > 5');
  expect(words('error_failure', { min_error_rate: 0.1, windows_seconds: [5, 10] })).toBe(
    'far more events fail than is usual, within seconds; at least 10 %; windows seconds [5,10]',
  );
  expect(words('of_tomorrow', { level: 3 })).toBe('level 3');
  expect(words('of_tomorrow', {})).toBe('of tomorrow');
  fc.assert(
    fc.property(rule, (rule) => {
      const { kind, condition } = rule;
      const told = ruleInWords({ kind: `${kind} of tomorrow`, condition });
      for (const name of Object.keys(condition)) expect(told).toContain(name.replaceAll('_', ' '));
    }),
  );
});
