/**
 * Turns fields, conditions and order terms into SQL text. The text is made of three things only: constants of
 * this file, identifiers and types from the catalog, and `$n`; everything a client wrote is a bound value.
 */
import type { Column } from '../catalog.ts';
import type { Scope } from '../published.ts';
import type {
  CompareOperator,
  Condition,
  Field,
  IsValue,
  Operation,
  OrderTerm,
  SearchOperator,
} from './ast.ts';
import { notAllowed, RestError, unknownColumn } from './errors.ts';

export interface Statement {
  text: string;
  values: unknown[];
}

/** The values of one statement, in the order of their placeholders. */
export class Parameters {
  readonly values: unknown[] = [];

  /** Gives the placeholder, cast to a type of the catalog or of this program. */
  bind(value: unknown, type: string, array = false): string {
    this.values.push(value);
    return `$${this.values.length}::${quoteIdentifier(type)}${array ? '[]' : ''}`;
  }
}

/** What a query reads: a relation, a function's result, or the rows just written. Its alias is always `t`. */
export interface Source {
  /** What errors call it. */
  name: string;
  columns: readonly Column[];
  /** Columns that exist but that this scope does not see. */
  hidden: readonly string[];
  scope: Scope;
}

export function quoteIdentifier(fromCatalog: string): string {
  return `"${fromCatalog.replaceAll('"', '""')}"`;
}

export function columnOf(source: Source, name: string): Column {
  const column = source.columns.find((candidate) => candidate.name === name);
  if (column) return column;
  if (source.hidden.includes(name)) {
    throw notAllowed(source.scope, `column ${name} of table ${source.name}`);
  }
  throw unknownColumn(source.name, name);
}

export function fieldSql(field: Field, source: Source, parameters: Parameters): string {
  return typedField(field, source, parameters).sql;
}

export function whereSql(conditions: readonly Condition[], source: Source, parameters: Parameters): string {
  if (conditions.length === 0) return '';
  return ` where ${conditions.map((condition) => conditionSql(condition, source, parameters)).join(' and ')}`;
}

export function orderSql(terms: readonly OrderTerm[], source: Source, parameters: Parameters): string {
  if (terms.length === 0) return '';
  const rendered = terms.map((term) => {
    const nulls = term.nulls === undefined ? '' : ` nulls ${term.nulls}`;
    return `${fieldSql(term.field, source, parameters)}${term.descending ? ' desc' : ''}${nulls}`;
  });
  return ` order by ${rendered.join(', ')}`;
}

/** `a::text` in select: a type name from the URL, so only names of this list, written as here. */
export function castSql(expression: string, typeName: string): string {
  const normalized = typeName.toLowerCase().replace(/\s+/g, ' ');
  if (!CAST_TYPES.has(normalized)) {
    throw new RestError(400, '42704', `type "${typeName}" does not exist`, {
      hint: `One can cast to ${[...CAST_TYPES].join(', ')}.`,
    });
  }
  return `cast(${expression} as ${normalized})`;
}

const CAST_TYPES: ReadonlySet<string> = new Set([
  'text',
  'varchar',
  'int',
  'integer',
  'int2',
  'int4',
  'int8',
  'smallint',
  'bigint',
  'numeric',
  'decimal',
  'real',
  'float4',
  'float8',
  'double precision',
  'bool',
  'boolean',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
  'json',
  'jsonb',
  'uuid',
]);

interface TypedSql {
  sql: string;
  /** pg_type.typname */
  type: string;
}

function typedField(field: Field, source: Source, parameters: Parameters): TypedSql {
  const column = columnOf(source, field.column);
  let sql = `t.${quoteIdentifier(column.name)}`;
  if (field.path.length === 0) return { sql, type: column.type };
  if (column.type !== 'jsonb') sql = `to_jsonb(${sql})`;
  let type = 'jsonb';
  for (const step of field.path) {
    // `a->>b->c` reads on from text: PostgreSQL answers with its own error, as it does to PostgREST.
    const key = parameters.bind(step.key, typeof step.key === 'number' ? 'int4' : 'text');
    sql = `(${sql} ${step.asText ? '->>' : '->'} ${key})`;
    type = step.asText ? 'text' : 'jsonb';
  }
  return { sql, type };
}

function conditionSql(condition: Condition, source: Source, parameters: Parameters): string {
  const inner =
    condition.kind === 'filter'
      ? operationSql(condition.operation, typedField(condition.field, source, parameters), parameters)
      : `(${condition.conditions
          .map((part) => conditionSql(part, source, parameters))
          .join(condition.kind === 'or' ? ' or ' : ' and ')})`;
  return condition.negated ? `not (${inner})` : inner;
}

function operationSql(operation: Operation, field: TypedSql, parameters: Parameters): string {
  switch (operation.kind) {
    case 'compare': {
      const { operator } = operation;
      const value = isLike(operator) ? likePattern(operation.value) : operation.value;
      const type = TEXT_OPERATORS.has(operator) ? 'text' : field.type;
      return `${field.sql} ${COMPARE_SQL[operator]} ${parameters.bind(value, type)}`;
    }
    case 'quantified': {
      const { operator, quantifier } = operation;
      const literal = isLike(operator) ? likePattern(operation.value) : operation.value;
      const type = TEXT_OPERATORS.has(operator) ? 'text' : field.type;
      return `${field.sql} ${COMPARE_SQL[operator]} ${quantifier} (${parameters.bind(literal, type, true)})`;
    }
    case 'in': {
      if (!field.type.startsWith('_')) {
        return `${field.sql} = any (${parameters.bind(operation.values, field.type, true)})`;
      }
      // PostgreSQL has no array of arrays, so for an array column each value is its own parameter.
      const values = operation.values.map((value) => parameters.bind(value, field.type));
      return values.length === 0 ? 'false' : `${field.sql} in (${values.join(', ')})`;
    }
    case 'is':
      return `${field.sql} ${IS_SQL[operation.value]}`;
    case 'search': {
      const config =
        operation.config === undefined ? '' : `${parameters.bind(operation.config, 'regconfig')}, `;
      const document = field.type === 'tsvector' ? field.sql : `to_tsvector(${config}${field.sql})`;
      const value = parameters.bind(operation.value, 'text');
      return `${document} @@ ${SEARCH_SQL[operation.operator]}(${config}${value})`;
    }
  }
}

const COMPARE_SQL: Readonly<Record<CompareOperator, string>> = {
  eq: '=',
  neq: '<>',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  like: 'like',
  ilike: 'ilike',
  match: '~',
  imatch: '~*',
  isdistinct: 'is distinct from',
  cs: '@>',
  cd: '<@',
  ov: '&&',
  sl: '<<',
  sr: '>>',
  nxr: '&<',
  nxl: '&>',
  adj: '-|-',
};

const SEARCH_SQL: Readonly<Record<SearchOperator, string>> = {
  fts: 'to_tsquery',
  plfts: 'plainto_tsquery',
  phfts: 'phraseto_tsquery',
  wfts: 'websearch_to_tsquery',
};

const IS_SQL: Readonly<Record<IsValue, string>> = {
  null: 'is null',
  not_null: 'is not null',
  true: 'is true',
  false: 'is false',
  unknown: 'is unknown',
};

const TEXT_OPERATORS: ReadonlySet<CompareOperator> = new Set(['like', 'ilike', 'match', 'imatch']);

function isLike(operator: CompareOperator): boolean {
  return operator === 'like' || operator === 'ilike';
}

/** PostgREST takes `*` for `%`, which needs escaping in a URL. */
function likePattern(value: string): string {
  return value.replaceAll('*', '%');
}
