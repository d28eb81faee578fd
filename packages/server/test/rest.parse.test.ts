import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Column } from '../src/deliver/catalog.ts';
import {
  COMPARE_OPERATORS,
  type Condition,
  QUANTIFIABLE_OPERATORS,
  SEARCH_OPERATORS,
} from '../src/deliver/rest/ast.ts';
import { RestError } from '../src/deliver/rest/errors.ts';
import { parseQuery } from '../src/deliver/rest/parse.ts';
import { narrowByRange, parseAccept, parsePrefer } from '../src/deliver/rest/prefer.ts';
import { planRead } from '../src/deliver/rest/read.ts';

const parse = (...parameters: [string, string][]) => parseQuery(parameters, 'probe');
const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`;
const onlyFilter = (conditions: readonly Condition[]) => {
  const [condition] = conditions;
  if (conditions.length !== 1 || condition?.kind !== 'filter') throw new Error('not one filter');
  return condition;
};

/** Any text, with the characters that mean something more often than chance would have them. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...'"\\,.:(){}[]*%$\' \n-'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
});
/** Text that is likely to go deep into the grammar. */
const grammarText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...[
          'select',
          'order',
          'or',
          'and',
          'not',
          'not.',
          'in',
          'is',
          'null',
          'eq',
          'fts',
          'any',
          'asc',
          'desc',
        ],
        ...[
          'nullslast',
          'a',
          'meta',
          '->',
          '->>',
          '::',
          ':',
          '.',
          ',',
          '(',
          ')',
          '{',
          '}',
          '[',
          '"',
          '\\',
          '*',
          ' ',
        ],
        ...['...', '!', '-', '0', '99999999999', 'text', 'count()', '\u0000', '\ud800', 'é'],
      ),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const key = fc.oneof(
  fc.constantFrom('select', 'order', 'limit', 'offset', 'columns', 'on_conflict', 'or', 'and', 'not.or', 'a'),
  grammarText,
);

describe('the parser', () => {
  it('never throws anything but its own error, whatever the URL holds', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.oneof(grammarText, anyText)), { maxLength: 4 }), (parameters) => {
        try {
          parse(...parameters);
        } catch (error) {
          expect(error).toBeInstanceOf(RestError);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('reads headers without ever throwing anything else', () => {
    fc.assert(
      fc.property(fc.oneof(grammarText, anyText), (text) => {
        for (const read of [
          () => parsePrefer(`handling=strict,${text}`),
          () => parseAccept(text),
          () => narrowByRange({ offset: 0, limit: undefined }, text),
        ]) {
          try {
            read();
          } catch (error) {
            expect(error).toBeInstanceOf(RestError);
          }
        }
      }),
    );
  });

  it('takes a value as it stands after any operator', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...COMPARE_OPERATORS),
        fc.boolean(),
        anyText,
        (operator, negated, value) => {
          const filter = onlyFilter(parse(['a', `${negated ? 'not.' : ''}${operator}.${value}`]).where);
          expect(filter).toMatchObject({ negated, operation: { kind: 'compare', operator, value } });
        },
      ),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...QUANTIFIABLE_OPERATORS),
        fc.constantFrom('any', 'all'),
        anyText,
        (operator, quantifier, value) => {
          const filter = onlyFilter(parse(['a', `${operator}(${quantifier}).${value}`]).where);
          expect(filter.operation).toEqual({ kind: 'quantified', operator, quantifier, value });
        },
      ),
    );
    fc.assert(
      fc.property(fc.constantFrom(...SEARCH_OPERATORS), anyText, (operator, value) => {
        const filter = onlyFilter(parse(['a', `${operator}(english).${value}`]).where);
        expect(filter.operation).toEqual({ kind: 'search', operator, config: 'english', value });
      }),
    );
  });

  it('gives quoted values back equal: in lists, in trees, in lists in trees', () => {
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 1, maxLength: 4 }), (values) => {
        const list = `in.(${values.map(quoted).join(',')})`;
        expect(onlyFilter(parse(['a', list]).where).operation).toEqual({ kind: 'in', values });
        const tree = parse(['or', `(a.${list},${values.map((value) => `b.eq.${quoted(value)}`).join(',')})`]);
        expect(tree.where).toEqual([
          {
            kind: 'or',
            negated: false,
            conditions: [
              {
                kind: 'filter',
                negated: false,
                field: { column: 'a', path: [] },
                operation: { kind: 'in', values },
              },
              ...values.map((value) => ({
                kind: 'filter',
                negated: false,
                field: { column: 'b', path: [] },
                operation: { kind: 'compare', operator: 'eq', value },
              })),
            ],
          },
        ]);
      }),
    );
  });

  it('gives quoted names back equal', () => {
    fc.assert(
      fc.property(anyText, anyText, (name, alias) => {
        const { select, order } = parse(
          ['select', `${quoted(alias)}:${quoted(name)}`],
          ['order', `${quoted(name)}.desc`],
        );
        expect(select).toEqual([
          { kind: 'field', field: { column: name, path: [] }, cast: undefined, alias },
        ]);
        expect(order).toEqual([{ field: { column: name, path: [] }, descending: true, nulls: undefined }]);
      }),
    );
  });

  it('reads paths into JSON, indexes as numbers', () => {
    expect(parse(['select', 'm->a->0->>b-c::int8']).select).toEqual([
      {
        kind: 'field',
        field: {
          column: 'm',
          path: [
            { asText: false, key: 'a' },
            { asText: false, key: 0 },
            { asText: true, key: 'b-c' },
          ],
        },
        cast: 'int8',
        alias: undefined,
      },
    ]);
  });

  it('reads not before and after a column, and both as neither', () => {
    const negations = (text: string) => {
      const [tree] = parse(['or', `(${text})`]).where;
      return tree?.kind === 'filter' ? [] : tree?.conditions.map(({ negated }) => negated);
    };
    expect(negations('not.a.eq.1,a.not.eq.1,not.a.not.eq.1,not.and(a.eq.1)')).toEqual([
      true,
      true,
      false,
      true,
    ]);
  });
});

describe('the SQL of a read', () => {
  const column = (name: string, type: string): Column => ({
    name,
    type,
    isPrimaryKey: false,
    hasDefault: false,
    nullable: true,
  });
  const columns = [
    column('a', 'text'),
    column('n', 'int8'),
    column('meta', 'jsonb'),
    column('odd "name"', '_text'),
  ];
  const MARK = 'zqmarkqz';
  const marked = anyText.map((text) => `${MARK}${text}${MARK}`);

  it('holds no text of the URL: every value is bound', () => {
    fc.assert(
      fc.property(
        marked,
        fc.constantFrom(...COMPARE_OPERATORS),
        fc.constantFrom('exact', 'estimated', undefined),
        fc.constantFrom('array', 'object', 'csv'),
        (text, operator, count, kind) => {
          const query = parse(
            ['select', `${quoted(text)}:a,n::text,meta->${quoted(text)},meta->>3`],
            ['a', `${operator}.${text}`],
            ['n', `in.(${quoted(text)},1)`],
            ['odd "name"'.replace(/.*/, '"odd \\"name\\""'), `in.(${quoted(text)})`],
            [`meta->${quoted(text)}`, `not.eq(any).${text}`],
            ['or', `(a.fts(${MARK}).${quoted(text)},a.is.null)`],
            ['order', `meta->>${quoted(text)}.desc.nullslast`],
          );
          const plan = planRead({
            source: { name: 'probe', columns, hidden: [], scope: 'anon' },
            from: () => '"public"."probe"',
            query,
            count,
            format: { kind, nullsStripped: false },
            headersOnly: false,
          });
          for (const statement of [plan.statement, plan.estimate]) {
            if (!statement) continue;
            expect(statement.text).not.toContain(MARK);
            const placeholders = new Set(statement.text.match(/\$\d+/g));
            expect(placeholders.size).toBe(statement.values.length);
          }
        },
      ),
    );
  });
});
