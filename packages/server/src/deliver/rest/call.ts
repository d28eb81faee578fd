/**
 * Function calls: `/rpc/f` by GET (arguments in the URL) or POST (arguments in the body). A call runs in a read-only
 * transaction, whatever the method; the few functions that change something (published.ts) are called by POST alone.
 */
import type { FunctionSignature } from '../catalog.ts';
import { RestError, unknownFunction } from './errors.ts';
import { Parameters, quoteIdentifier, type Source, type Statement } from './expression.ts';
import { looksLikeFilter } from './filter.ts';
import type { ReadPlan, ReadRequest } from './read.ts';
import { MAX_FUNCTION_ROWS, planRead } from './read.ts';

export interface CallArguments {
  /** `url`: every value is PostgreSQL's text form; `body`: JSON values. */
  from: 'url' | 'body';
  values: ReadonlyMap<string, unknown>;
}

/** Splits the parameters of a GET call: a known argument name, or anything that is no filter, is an argument. */
export function splitCallParameters(
  parameters: Iterable<[string, string]>,
  overloads: readonly FunctionSignature[],
): { callArguments: CallArguments; rest: [string, string][] } {
  const names = new Set(overloads.flatMap((overload) => overload.arguments.map((argument) => argument.name)));
  const values = new Map<string, unknown>();
  const rest: [string, string][] = [];
  for (const [key, value] of parameters) {
    if (!names.has(key) && (RESERVED.has(key) || looksLikeFilter(value))) rest.push([key, value]);
    else values.set(key, value);
  }
  return { callArguments: { from: 'url', values }, rest };
}

const RESERVED: ReadonlySet<string> = new Set([
  'select',
  'order',
  'limit',
  'offset',
  'and',
  'or',
  'not.and',
  'not.or',
  'columns',
  'on_conflict',
  'apikey',
]);

export function parseCallBody(body: string): CallArguments {
  if (body.trim() === '') return { from: 'body', values: new Map() };
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new RestError(400, 'PGRST102', 'Empty or invalid json');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new RestError(400, 'PGRST102', 'The arguments must be one JSON object');
  }
  return { from: 'body', values: new Map(Object.entries(parsed)) };
}

/** The overload that takes exactly these names, or with defaults more. */
export function chooseOverload(
  name: string,
  overloads: readonly FunctionSignature[],
  { values }: CallArguments,
  knownFunctions: readonly string[],
): FunctionSignature {
  const matching = overloads.filter((overload) => {
    const taken = overload.arguments.map((argument) => argument.name);
    return (
      [...values.keys()].every((given) => taken.includes(given)) &&
      overload.arguments.every((argument) => argument.hasDefault || values.has(argument.name))
    );
  });
  const [first, second] = matching;
  if (first === undefined) {
    throw unknownFunction(
      name,
      [...values.keys()],
      knownFunctions,
      overloads.map((overload) => overload.arguments.map((argument) => argument.name)),
    );
  }
  if (second !== undefined) {
    const shown = matching.map(
      (overload) =>
        `public.${name}(${overload.arguments.map((argument) => `${argument.name} => ${argument.type}`).join(', ')})`,
    );
    throw new RestError(
      300,
      'PGRST203',
      `Could not choose the best candidate function between: ${shown.join(', ')}`,
      {
        hint: 'Try renaming the parameters or the function itself in the database so function overloading can be resolved',
      },
    );
  }
  return first;
}

/** What the answer looks like: rows as of a table, one bare value, an array of bare values, or nothing. */
export type CallResult = 'rows' | 'row' | 'scalar' | 'scalars' | 'void';

export function resultOf(signature: FunctionSignature): CallResult {
  if (signature.columns.length > 0) return signature.returnsSet ? 'rows' : 'row';
  if (signature.returnsSet) return 'scalars';
  return signature.returnType === 'void' ? 'void' : 'scalar';
}

export function planCall(
  signature: FunctionSignature,
  callArguments: CallArguments,
  request: Omit<ReadRequest, 'from' | 'source'>,
  scope: Source['scope'],
): ReadPlan {
  const result = resultOf(signature);
  const call = (parameters: Parameters) => callSql(signature, callArguments, parameters);
  if (result === 'rows' || result === 'row') {
    return planRead({
      ...request,
      maxRows: MAX_FUNCTION_ROWS,
      from: call,
      source: { name: signature.name, columns: signature.columns, hidden: [], scope },
      format:
        result === 'row' && request.format.kind === 'array'
          ? { ...request.format, kind: 'object' }
          : request.format,
    });
  }
  const parameters = new Parameters();
  const from = call(parameters);
  const { limit = MAX_FUNCTION_ROWS, offset } = request.query;
  const body =
    result === 'scalars'
      ? `coalesce(json_agg(p.v)::text, '[]')`
      : `coalesce((json_agg(p.v) -> 0)::text, 'null')`;
  const window =
    result === 'scalars'
      ? ` limit ${parameters.bind(Math.min(limit, MAX_FUNCTION_ROWS), 'int8')} offset ${parameters.bind(offset, 'int8')}`
      : '';
  const statement: Statement = {
    text: `with page as (select t.v from ${from} as t(v)${window}) select count(*)::int4 as rows, ${result === 'void' ? 'null::text' : body} as body, null::text as total from page as p`,
    values: parameters.values,
  };
  return { statement, estimate: undefined, prefix: '' };
}

function callSql(signature: FunctionSignature, callArguments: CallArguments, parameters: Parameters): string {
  const { from, values } = callArguments;
  const rendered = signature.arguments
    .filter(({ name }) => values.has(name))
    .map(({ name, type }) => {
      const value = from === 'url' ? values.get(name) : argumentValue(values.get(name), type);
      return `${quoteIdentifier(name)} => ${parameters.bind(value, type)}`;
    });
  return `"public".${quoteIdentifier(signature.name)}(${rendered.join(', ')})`;
}

/** A JSON value to what a bind parameter takes; PostgreSQL's cast does the rest. */
function argumentValue(value: unknown, type: string): unknown {
  if (value === null || value === undefined) return null;
  if (type === 'json' || type === 'jsonb') return JSON.stringify(value);
  if (Array.isArray(value)) return type.startsWith('_') ? value : JSON.stringify(value);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
