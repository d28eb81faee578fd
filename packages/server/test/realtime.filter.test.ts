/** The filter language: its text form, and its meaning against simple oracles. */
import { postgresChangesFilter } from '@supabase/supabase-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Condition,
  FilterError,
  parseFilter,
  printFilter,
  SCALAR_OPERATORS,
} from '../src/deliver/realtime/filter.ts';
import { compileFilter, type Row } from '../src/deliver/realtime/filter-match.ts';
import { likeMatcher } from '../src/deliver/realtime/like.ts';
import { regexMatcher } from '../src/deliver/realtime/posix-regex.ts';

const TYPES: Readonly<Record<string, string>> = {
  i: 'int4',
  b: 'int8',
  f: 'float8',
  r: 'float4',
  n: 'numeric',
  t: 'text',
  ok: 'bool',
  at: 'timestamptz',
  day: 'date',
  u: 'uuid',
  j: 'jsonb',
  arr: '_text',
};

function matches(filter: string, row: Row): boolean {
  return compileFilter(parseFilter(filter), (column) => TYPES[column])(row);
}

const column = fc.stringMatching(/^[a-z_][a-z0-9_ $.-]{0,20}$/);
const value = fc.string({ unit: 'grapheme' });
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ column, negated: fc.boolean(), operator: fc.constantFrom(...SCALAR_OPERATORS), value }),
  fc.record({
    column,
    negated: fc.boolean(),
    operator: fc.constant('in' as const),
    values: fc.array(value, { minLength: 1, maxLength: 100 }),
  }),
);

describe('the text of a filter', () => {
  test('is read back as the conditions it was printed from', () => {
    fc.assert(
      fc.property(fc.array(condition, { maxLength: 8 }), (conditions) => {
        expect(parseFilter(printFilter(conditions))).toEqual(conditions);
      }),
    );
  });

  test('is read as the client helper meant it', () => {
    const text = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(
        text,
        fc.uniqueArray(text, { minLength: 1, maxLength: 100 }),
        fc.integer(),
        (a, list, n) => {
          const filter = postgresChangesFilter()
            .eq('t', a)
            .not('t', 'in', list)
            .gte('i', n)
            .is('ok', null)
            .build();
          expect(parseFilter(filter)).toEqual([
            { column: 't', negated: false, operator: 'eq', value: a },
            { column: 't', negated: true, operator: 'in', values: list },
            { column: 'i', negated: false, operator: 'gte', value: String(n) },
            { column: 'ok', negated: false, operator: 'is', value: 'null' },
          ]);
        },
      ),
    );
  });

  test('is either read or refused with a FilterError, whatever it is', () => {
    const near = fc
      .array(
        fc.constantFrom(
          'i',
          't',
          '=',
          'eq',
          '.',
          'in',
          '(',
          ')',
          ',',
          '"',
          '\\',
          'not.',
          'match',
          'like',
          '[',
          '*',
          '{2}',
          '5',
          ' ',
        ),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.string(), near), (text) => {
        try {
          matches(text, { i: 1, t: 'a' });
        } catch (error) {
          expect(error).toBeInstanceOf(FilterError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('may be empty, which lets everything through', () => {
    expect(matches('', {})).toBe(true);
  });

  test.each([
    ['i', 'not of the form'],
    ['=eq.1', 'does not start with a column name'],
    ['i=1', 'is not an operator'],
    ['i=equals.1', 'is not an operator'],
    ['i=eq.1,', 'a condition is missing'],
    ['i=in.1', 'in needs a list'],
    ['i=in.()', 'at least one value'],
    ['i=in.(1', 'not closed'],
    [`i=in.(${Array.from({ length: 101 }, () => 1)})`, 'at most 100 values'],
    ['t=eq."a', 'not closed'],
    ['t=eq."a"b', 'expected ","'],
    ['nope=eq.1', 'column "nope" does not exist'],
    ['i=eq.1.5', 'invalid input syntax for type integer: "1.5"'],
    ['i=eq.2147483648', 'invalid input syntax for type integer'],
    ['f=gt.fast', 'invalid input syntax for type double precision'],
    ['ok=eq.maybe', 'invalid input syntax for type boolean'],
    ['at=gt.yesterday', 'invalid input syntax for type timestamp with time zone'],
    ['at=gt.2026-02-30', 'invalid input syntax for type timestamp with time zone'],
    ['i=is.true', 'needs a boolean column'],
    ['t=is.maybe', 'is takes null'],
    ['i=like.1%', 'like needs a text column'],
    ['j=gt.{}', 'gt is not defined for type jsonb'],
    ['arr=eq.{a}', 'type _text are not supported'],
    ['t=like.a\\', 'escape character'],
    ['t=match.(a', 'unmatched "("'],
    ['t=match.\\1', 'is not supported'],
    ['t=match.(?=a)', 'look-around'],
    ['t=match.a{1000}', 'invalid repetition'],
    ['t=match.((a{200}){200}){200}', 'too large'],
  ])('%s is refused: %s', (filter, reason) => {
    expect(() => matches(filter, {})).toThrow(reason);
    expect(() => matches(filter, {})).toThrow(FilterError);
  });
});

describe('a comparison', () => {
  const operators = {
    eq: (a: number, b: number) => a === b,
    neq: (a: number, b: number) => a !== b,
    lt: (a: number, b: number) => a < b,
    lte: (a: number, b: number) => a <= b,
    gt: (a: number, b: number) => a > b,
    gte: (a: number, b: number) => a >= b,
  };

  test('of numbers is by value in every numeric type, whether the row holds a number or its text', () => {
    const small = fc.integer({ min: -20, max: 20 });
    const operator = fc.constantFrom(...(Object.keys(operators) as (keyof typeof operators)[]));
    fc.assert(
      fc.property(operator, small, small, fc.boolean(), (name, a, b, negated) => {
        const expected = operators[name](a, b) !== negated;
        for (const col of ['i', 'b', 'f', 'r', 'n']) {
          const filter = `${col}=${negated ? 'not.' : ''}${name}.${b}`;
          expect(matches(filter, { [col]: a })).toBe(expected);
          expect(matches(filter, { [col]: String(a) })).toBe(expected);
        }
      }),
    );
  });

  test.each<[string, Row, boolean]>([
    ['i=gt.9', { i: 10 }, true],
    ['b=eq.9007199254740993', { b: 9007199254740993n }, true],
    ['b=eq.9007199254740993', { b: '9007199254740992' }, false],
    ['n=eq.0.10', { n: '0.1' }, true],
    ['n=lt.0.3', { n: '0.29999999999999999999' }, true],
    ['n=eq.1e3', { n: 1000 }, true],
    ['r=eq.0.1', { r: 0.1 }, true],
    ['f=gt.1e308', { f: 'Infinity' }, true],
    ['f=eq.NaN', { f: 'NaN' }, true],
    ['f=gt.infinity', { f: 'NaN' }, true],
    ['t=eq.a,t=neq.b', { t: 'a' }, true],
    ['t=lt.b', { t: 'B' }, true],
    ['t=gt.\u{ffff}', { t: '\u{1f600}' }, true],
    ['t=eq."a,b (c) \\"d\\" \\\\"', { t: 'a,b (c) "d" \\' }, true],
    ['ok=eq.true', { ok: true }, true],
    ['ok=eq.t', { ok: false }, false],
    ['at=gte.2026-11-23T14:02:27.123456+00:00', { at: '2026-11-23T14:02:27.123456+00:00' }, true],
    ['at=gt.2026-11-23T14:02:27.123456+00:00', { at: '2026-11-23T14:02:27.123457+00:00' }, true],
    ['at=eq.2026-11-23 15:02:27+01', { at: '2026-11-23T14:02:27+00:00' }, true],
    ['at=eq.2026-11-23T08:32:27-05:30', { at: '2026-11-23T14:02:27Z' }, true],
    ['at=lt.2026-11-24', { at: '2026-11-23T23:59:59.999999+00:00' }, true],
    ['at=lt.infinity', { at: '2026-11-23T14:02:27+00:00' }, true],
    ['day=gte.2026-11-23', { day: '2026-11-23' }, true],
    ['u=eq.A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', { u: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' }, true],
    ['j=eq."{\\"b\\":1,\\"a\\":[1.0]}"', { j: { a: [1], b: 1 } }, true],
    ['i=in.(1,2,3)', { i: 2 }, true],
    ['i=not.in.(1,2,3)', { i: 2 }, false],
    ['t=in.("a,b",c)', { t: 'a,b' }, true],
    ['ok=is.unknown', { ok: null }, true],
    ['ok=not.is.true', { ok: false }, true],
    ['t=is.null', { t: null }, true],
    ['arr=not.is.null', { arr: ['a'] }, true],
  ])('%s over %o is %s', (filter, row, expected) => {
    expect(matches(filter, row)).toBe(expected);
  });

  test('with NULL is unknown, and so is its negation; only is and isdistinct see NULL', () => {
    for (const test of ['eq.a', 'neq.a', 'lt.a', 'gte.a', 'in.(a,b)', 'like.a', 'imatch.a']) {
      expect(matches(`t=${test}`, { t: null })).toBe(false);
      expect(matches(`t=not.${test}`, { t: null })).toBe(false);
    }
    expect(matches('t=isdistinct.a', { t: null })).toBe(true);
    expect(matches('t=isdistinct.a', { t: 'a' })).toBe(false);
    expect(matches('t=not.isdistinct.a', { t: 'a' })).toBe(true);
    expect(matches('t=isdistinct.null', { t: null })).toBe(false);
    expect(matches('t=isdistinct.null', { t: 'a' })).toBe(true);
  });

  test('with a column that the row does not carry is never delivered', () => {
    for (const filter of ['t=eq.a', 't=is.null', 't=not.is.null', 't=isdistinct.a', 't=not.eq.a']) {
      expect(matches(filter, { i: 1 })).toBe(false);
    }
  });
});

describe('patterns', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'A', '\n', 'é'), maxLength: 8 });

  test('LIKE agrees with the regular expression it abbreviates', () => {
    const token = fc.constantFrom('a', 'b', '%', '_', '\\%', '\\_', 'é');
    fc.assert(
      fc.property(fc.array(token, { maxLength: 6 }), word, fc.boolean(), (tokens, text, ignoreCase) => {
        const expression = tokens
          .map((t) => (t === '%' ? '.*' : t === '_' ? '.' : t.replace('\\', '')))
          .join('');
        const oracle = new RegExp(`^${expression}$`, ignoreCase ? 'isu' : 'su');
        expect(likeMatcher(tokens.join(''), ignoreCase)(text)).toBe(oracle.test(text));
      }),
      { numRuns: 1000 },
    );
  });

  test('regular expressions agree with JavaScript on what both understand', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '[a-c]', '\\w', '\\d', '^', '$', 'é');
    const { node } = fc.letrec<{ node: string; group: string }>((tie) => ({
      group: fc
        .tuple(tie('node'), fc.constantFrom('', '*', '+', '?', '{2}', '{1,2}', '{0,}'))
        .map(([n, q]) => `(${n})${q}`),
      node: fc.oneof(
        { maxDepth: 3 },
        atom,
        tie('group'),
        fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
        fc.tuple(tie('node'), tie('node')).map(([a, b]) => `${a}|${b}`),
      ),
    }));
    fc.assert(
      fc.property(node, word, fc.boolean(), (pattern, text, ignoreCase) => {
        // The one difference in this subset: \w is Unicode-aware in PostgreSQL.
        const oracle = new RegExp(pattern.replaceAll('\\w', '[\\p{L}\\p{Nd}_]'), ignoreCase ? 'isu' : 'su');
        expect(regexMatcher(pattern, ignoreCase)(text)).toBe(oracle.test(text));
      }),
      { numRuns: 2000 },
    );
  });

  test.each<[string, string, boolean]>([
    ['^v[0-9]+\\.[0-9]+$', 'v1.25', true],
    ['^(?:gpt|claude)-', 'claude-5', true],
    ['[[:digit:]]{3}', 'ab12', false],
    ['[]a]', ']', true],
    ['[a-]', '-', true],
    ['a.c', 'a\nc', true],
    ['', '', true],
  ])('%s on %s is %s', (pattern, text, expected) => {
    expect(regexMatcher(pattern, false)(text)).toBe(expected);
  });

  test('that make a backtracking engine explode are answered in steps proportional to the text', () => {
    // Finishing at all is the assertion: by backtracking this takes longer than the universe is old.
    expect(regexMatcher('(a+)+$', false)(`${'a'.repeat(5_000)}b`)).toBe(false);
    expect(likeMatcher('%a%a%a%a%a%a%a%a%b', false)('a'.repeat(5_000))).toBe(false);
  });
});
