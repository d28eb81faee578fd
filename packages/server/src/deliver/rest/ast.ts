/**
 * What a request asks for, as data: the parser makes it from the URL, the SQL writers read it. Column names and
 * values in it are the client's own; a name becomes an identifier only after the catalog has confirmed it.
 */
export interface RestQuery {
  /** Empty means no columns (`select=`); an absent `select` is one `all`. */
  select: readonly SelectItem[];
  /** All of them must hold. */
  where: readonly Condition[];
  order: readonly OrderTerm[];
  limit: number | undefined;
  offset: number;
  /** `columns=`: which keys of a bulk insert count. */
  columns: readonly string[] | undefined;
  onConflict: readonly string[] | undefined;
}

export interface Field {
  column: string;
  /** Steps into a JSON value, outermost first. */
  path: readonly JsonStep[];
}

export interface JsonStep {
  /** `->>` gives text, `->` gives JSON. */
  asText: boolean;
  /** A number is an array index. */
  key: string | number;
}

export type SelectItem =
  | { kind: 'all' }
  | { kind: 'field'; field: Field; cast: string | undefined; alias: string | undefined };

export interface OrderTerm {
  field: Field;
  descending: boolean;
  nulls: 'first' | 'last' | undefined;
}

export type Condition =
  | { kind: 'filter'; negated: boolean; field: Field; operation: Operation }
  | { kind: 'and' | 'or'; negated: boolean; conditions: readonly Condition[] };

export type Operation =
  | { kind: 'compare'; operator: CompareOperator; value: string }
  /** `eq(any).{a,b}`: the value is a PostgreSQL array literal. */
  | { kind: 'quantified'; operator: QuantifiableOperator; quantifier: 'any' | 'all'; value: string }
  | { kind: 'in'; values: readonly string[] }
  | { kind: 'is'; value: IsValue }
  | { kind: 'search'; operator: SearchOperator; config: string | undefined; value: string };

export const QUANTIFIABLE_OPERATORS = [
  'eq',
  'gte',
  'gt',
  'lte',
  'lt',
  'like',
  'ilike',
  'match',
  'imatch',
] as const;
type QuantifiableOperator = (typeof QUANTIFIABLE_OPERATORS)[number];

export const COMPARE_OPERATORS = [
  ...QUANTIFIABLE_OPERATORS,
  'neq',
  'isdistinct',
  'cs',
  'cd',
  'ov',
  'sl',
  'sr',
  'nxr',
  'nxl',
  'adj',
] as const;
export type CompareOperator = (typeof COMPARE_OPERATORS)[number];

export const SEARCH_OPERATORS = ['fts', 'plfts', 'phfts', 'wfts'] as const;
export type SearchOperator = (typeof SEARCH_OPERATORS)[number];

export const IS_VALUES = ['null', 'not_null', 'true', 'false', 'unknown'] as const;
export type IsValue = (typeof IS_VALUES)[number];
