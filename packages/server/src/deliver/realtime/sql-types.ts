/**
 * How values of a column's SQL type are read and ordered, so that `inference_time_ms=gt.500` compares
 * numbers and `timestamp=gte.…` compares instants. Keys are `pg_type.typname`.
 */
export interface ColumnType {
  /** LIKE and regular expressions apply. */
  readonly textual: boolean;
  /** `<` and `>` apply; json and friends only know equality. */
  readonly ordered: boolean;
  /**
   * Reads the filter's literal once; the result compares a record's value to it: negative, 0,
   * positive, or null when the value is NULL or not of this type.
   * @throws RangeError when the literal is not one of this type, in PostgreSQL's words
   */
  comparator(literal: string): (value: unknown) => number | null;
}

/** undefined: filters on such a column are refused rather than answered by a guess. */
export function columnType(typname: string): ColumnType | undefined {
  return TYPES.get(typname);
}

function type<T>(
  name: string,
  read: { literal(text: string): T | undefined; value(value: unknown): T | undefined },
  compare: (a: T, b: T) => number,
  traits: { textual?: boolean; ordered?: boolean } = {},
): ColumnType {
  return {
    textual: traits.textual ?? false,
    ordered: traits.ordered ?? true,
    comparator(literal) {
      const operand = read.literal(literal);
      if (operand === undefined) {
        throw new RangeError(
          `invalid input syntax for type ${name}: ${JSON.stringify(literal.slice(0, 80))}`,
        );
      }
      return (raw) => {
        if (raw === null || raw === undefined) return null;
        const value = read.value(raw);
        return value === undefined ? null : compare(value, operand);
      };
    },
  };
}

const order = <T extends number | bigint | string | boolean>(a: T, b: T): number =>
  a < b ? -1 : a > b ? 1 : 0;

// Integers. A number and a bigint compare exactly in JavaScript, so rows need no conversion.
function integer(name: string, bits: 16 | 32 | 64): ColumnType {
  const limit = 2n ** BigInt(bits - 1);
  const parse = (text: string): bigint | undefined => {
    const trimmed = text.trim();
    if (!/^[+-]?\d{1,30}$/.test(trimmed)) return undefined;
    const value = BigInt(trimmed.replace(/^\+/, ''));
    return value >= -limit && value < limit ? value : undefined;
  };
  return type<number | bigint>(
    name,
    {
      literal: parse,
      value: (value) =>
        typeof value === 'number' || typeof value === 'bigint'
          ? value
          : typeof value === 'string'
            ? parse(value)
            : undefined,
    },
    order<number | bigint>,
  );
}

// Floating point. PostgreSQL, unlike IEEE, has NaN equal to itself and above everything.
function float(name: string, round: (value: number) => number): ColumnType {
  const parse = (text: string): number | undefined => {
    const trimmed = text.trim();
    const special = SPECIAL_NUMBERS.get(trimmed.toLowerCase());
    if (special !== undefined) return special;
    if (!DECIMAL.test(trimmed)) return undefined;
    const value = round(Number(trimmed));
    return Number.isFinite(value) ? value : undefined;
  };
  return type<number>(
    name,
    {
      literal: parse,
      value: (value) =>
        typeof value === 'number' ? round(value) : typeof value === 'string' ? parse(value) : undefined,
    },
    compareFloats,
  );
}

function compareFloats(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return order(a, b);
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SPECIAL_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['nan', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['+infinity', Number.POSITIVE_INFINITY],
  ['inf', Number.POSITIVE_INFINITY],
  ['+inf', Number.POSITIVE_INFINITY],
  ['-infinity', Number.NEGATIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
]);

/** An exact decimal `digits × 10^-scale`, or one of numeric's three special values. */
type Decimal = number | { readonly digits: bigint; readonly scale: number };
/** Beyond this a literal would cost more to hold than any column can store sensibly. */
const MAX_DECIMAL_DIGITS = 1000;

function parseDecimal(text: string): Decimal | undefined {
  const trimmed = text.trim();
  const special = SPECIAL_NUMBERS.get(trimmed.toLowerCase());
  if (special !== undefined) return special;
  const parts = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,4}))?$/i.exec(trimmed);
  if (parts === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  if (whole + fraction === '') return undefined;
  const scale = fraction.length - Number(exponent);
  if (whole.length + fraction.length > MAX_DECIMAL_DIGITS || Math.abs(scale) > MAX_DECIMAL_DIGITS) {
    return undefined;
  }
  const magnitude = BigInt(whole + fraction);
  return { digits: sign === '-' ? -magnitude : magnitude, scale };
}

function compareDecimals(a: Decimal, b: Decimal): number {
  if (typeof a === 'number' || typeof b === 'number') {
    return compareFloats(typeof a === 'number' ? a : 0, typeof b === 'number' ? b : 0);
  }
  const scale = Math.max(a.scale, b.scale);
  return order(a.digits * 10n ** BigInt(scale - a.scale), b.digits * 10n ** BigInt(scale - b.scale));
}

const numeric = type<Decimal>(
  'numeric',
  {
    literal: parseDecimal,
    value: (value) =>
      typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
        ? parseDecimal(String(value))
        : undefined,
  },
  compareDecimals,
);

/** By code point (collation "C"): the only order that does not depend on the database's locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    if (a[at] !== b[at]) return order(a.codePointAt(at)!, b.codePointAt(at)!);
  }
  return order(a.length, b.length);
}

const text = type<string>(
  'text',
  { literal: (value) => value, value: (value) => (typeof value === 'string' ? value : undefined) },
  compareText,
  { textual: true },
);

const BOOLEAN_WORDS: ReadonlyMap<string, boolean> = new Map(
  (
    [
      ['true', 1, true],
      ['yes', 1, true],
      ['on', 2, true],
      ['1', 1, true],
      ['false', 1, false],
      ['no', 1, false],
      ['off', 2, false],
      ['0', 1, false],
    ] as const
  ).flatMap(([word, shortest, value]) =>
    Array.from({ length: word.length - shortest + 1 }, (_, cut) => [word.slice(0, shortest + cut), value]),
  ),
);

const bool = type<boolean>(
  'boolean',
  {
    literal: (value) => BOOLEAN_WORDS.get(value.trim().toLowerCase()),
    value: (value) =>
      typeof value === 'boolean' ? value : typeof value === 'string' ? BOOLEAN_WORDS.get(value) : undefined,
  },
  order<boolean>,
);

const UUID = /^[0-9a-f]{32}$/;
const parseUuid = (value: unknown): string | undefined => {
  const hex = typeof value === 'string' ? value.toLowerCase().replace(/[-{}]/g, '') : '';
  return UUID.test(hex) ? hex : undefined;
};
const uuid = type<string>('uuid', { literal: parseUuid, value: parseUuid }, order<string>);

/** jsonb equality ignores key order and number spelling; the canonical text has neither. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).sort(([a], [b]) => compareText(a, b));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

const jsonb = type<string>(
  'jsonb',
  {
    literal: (value) => {
      try {
        return canonicalJson(JSON.parse(value));
      } catch {
        return undefined;
      }
    },
    value: canonicalJson,
  },
  order<string>,
  { ordered: false },
);

/** Whole seconds since 1970 and microseconds within: exact, where one double ends in the year 2255. */
type Instant = readonly [seconds: number, micros: number];

const TIMESTAMP =
  /^(\d{4,6})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(?:(Z|UTC)|([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)?$/i;

function parseInstant(value: unknown, zone: 'zone' | 'no zone' | 'date'): Instant | undefined {
  if (typeof value !== 'string') return undefined;
  const trimmed = value.trim();
  if (/^-?infinity$/i.test(trimmed)) return [SPECIAL_NUMBERS.get(trimmed.toLowerCase())!, 0];
  const parts = TIMESTAMP.exec(trimmed);
  if (parts === null) return undefined;
  const number = (index: number): number => Number(parts[index] ?? 0);
  const [month, day] = [number(2), number(3)];
  const midnight = new Date(0);
  midnight.setUTCFullYear(number(1), month - 1, day);
  if (midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return undefined;
  const dayStart = midnight.getTime() / 1000;
  if (zone === 'date') return [dayStart, 0];
  if (number(4) > 23 || number(5) > 59 || number(6) > 59) return undefined;
  // PostgreSQL rounds a literal to microseconds; a time without a zone is read in UTC.
  const micros = Math.round(Number(`0.${parts[7] ?? 0}`) * 1e6);
  const offset = (number(10) * 60 + number(11)) * 60 + number(12);
  const seconds = dayStart + (number(4) * 60 + number(5)) * 60 + number(6);
  const utc = zone === 'no zone' || offset === 0 ? seconds : seconds - (parts[9] === '-' ? -offset : offset);
  return micros === 1e6 ? [utc + 1, 0] : [utc, micros];
}

function instant(name: string, zone: 'zone' | 'no zone' | 'date'): ColumnType {
  const parse = (value: unknown): Instant | undefined => parseInstant(value, zone);
  return type<Instant>(
    name,
    { literal: parse, value: parse },
    (a, b) => order(a[0], b[0]) || order(a[1], b[1]),
  );
}

const TYPES: ReadonlyMap<string, ColumnType> = new Map<string, ColumnType>([
  ['int2', integer('smallint', 16)],
  ['int4', integer('integer', 32)],
  ['int8', integer('bigint', 64)],
  ['float4', float('real', Math.fround)],
  ['float8', float('double precision', (value) => value)],
  ['numeric', numeric],
  ['text', text],
  ['varchar', text],
  ['bpchar', text],
  ['name', text],
  ['bool', bool],
  ['uuid', uuid],
  ['jsonb', jsonb],
  ['timestamptz', instant('timestamp with time zone', 'zone')],
  ['timestamp', instant('timestamp', 'no zone')],
  ['date', instant('date', 'date')],
]);
