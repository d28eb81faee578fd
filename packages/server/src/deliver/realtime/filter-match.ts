/**
 * A parsed filter becomes a function over a record, with the column's SQL type and SQL's three truth
 * values: a comparison with NULL is unknown, `not` leaves unknown unknown, and only true is delivered.
 */
import { type Condition, FilterError } from './filter.ts';
import { likeMatcher } from './like.ts';
import { regexMatcher } from './posix-regex.ts';
import { type ColumnType, columnType } from './sql-types.ts';

export type Row = Readonly<Record<string, unknown>>;
export type Matcher = (row: Row) => boolean;

/**
 * @param typeOf the `typname` of a column this subscriber may read, undefined for any other
 * @throws FilterError naming the column, operator or literal that does not fit
 */
export function compileFilter(
  conditions: readonly Condition[],
  typeOf: (column: string) => string | undefined,
): Matcher {
  const tests = conditions.map((condition) => compileCondition(condition, typeOf));
  if (tests.length === 0) return () => true;
  if (tests.length === 1) return tests[0]!;
  return (row) => tests.every((test) => test(row));
}

type Truth = boolean | null;

function compileCondition(condition: Condition, typeOf: (column: string) => string | undefined): Matcher {
  const { column, negated } = condition;
  const typname = typeOf(column);
  if (typname === undefined) throw new FilterError(`column ${JSON.stringify(column)} does not exist`);
  const type = columnType(typname);
  if (type === undefined && condition.operator !== 'is') {
    throw new FilterError(`filters on columns of type ${typname} are not supported (${column})`);
  }
  let test: (value: unknown) => Truth;
  try {
    test = compileTest(condition, typname, type);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FilterError(`${error.message} (column ${column})`);
  }
  const wanted = !negated;
  return (row) => {
    const value = row[column];
    // Absent, not NULL: the old record of a DELETE holds only the key, and nothing is known of the rest.
    return value !== undefined && test(value) === wanted;
  };
}

function compileTest(
  condition: Condition,
  typname: string,
  type: ColumnType | undefined,
): (value: unknown) => Truth {
  if (condition.operator === 'is') return compileIs(condition.value, typname);
  const known = type!;
  if (condition.operator === 'in') {
    const comparators = condition.values.map((value) => known.comparator(value));
    return (value) => {
      let result: Truth = false;
      for (const compare of comparators) {
        const difference = compare(value);
        if (difference === 0) return true;
        if (difference === null) result = null;
      }
      return result;
    };
  }
  const { operator, value: literal } = condition;
  switch (operator) {
    case 'like':
    case 'ilike':
      return textTest(likeMatcher(literal, operator === 'ilike'), known, operator, typname);
    case 'match':
    case 'imatch':
      return textTest(regexMatcher(literal, operator === 'imatch'), known, operator, typname);
    case 'isdistinct': {
      // The client's builder writes SQL NULL as the bare word.
      if (literal === 'null') return (value) => value !== null;
      const compare = known.comparator(literal);
      return (value) => compare(value) !== 0;
    }
    default: {
      if (!known.ordered && operator !== 'eq' && operator !== 'neq') {
        throw new RangeError(`${operator} is not defined for type ${typname}`);
      }
      const compare = known.comparator(literal);
      const holds = COMPARISONS[operator];
      return (value) => {
        const difference = compare(value);
        return difference === null ? null : holds(difference);
      };
    }
  }
}

const COMPARISONS = {
  eq: (difference: number) => difference === 0,
  neq: (difference: number) => difference !== 0,
  lt: (difference: number) => difference < 0,
  lte: (difference: number) => difference <= 0,
  gt: (difference: number) => difference > 0,
  gte: (difference: number) => difference >= 0,
} as const;

function compileIs(keyword: string, typname: string): (value: unknown) => Truth {
  switch (keyword.toLowerCase()) {
    case 'null':
      return (value) => value === null;
    case 'unknown':
    case 'true':
    case 'false': {
      if (typname !== 'bool') throw new RangeError(`is.${keyword} needs a boolean column, not ${typname}`);
      const wanted = { unknown: null, true: true, false: false }[keyword.toLowerCase()];
      return (value) => value === wanted;
    }
    default:
      throw new RangeError(`is takes null, true, false or unknown, not ${JSON.stringify(keyword)}`);
  }
}

function textTest(
  matches: (text: string) => boolean,
  type: ColumnType,
  operator: string,
  typname: string,
): (value: unknown) => Truth {
  if (!type.textual) throw new RangeError(`${operator} needs a text column, not ${typname}`);
  return (value) => (typeof value === 'string' ? matches(value) : null);
}
