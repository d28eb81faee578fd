/**
 * Every failure of the REST door, in PostgREST's shape and with its codes
 * (https://docs.postgrest.org/en/stable/references/errors.html): clients switch on `code`.
 */
import { distance } from 'fastest-levenshtein';
import { OverloadedError } from '../../store/request.ts';
import type { Scope } from '../published.ts';

export class RestError extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: string | null;
  readonly hint: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, more: ErrorDetails = {}) {
    super(message);
    this.name = 'RestError';
    this.status = status;
    this.code = code;
    this.details = more.details ?? null;
    this.hint = more.hint ?? null;
    this.headers = more.headers ?? {};
  }

  toJSON(): { code: string; details: string | null; hint: string | null; message: string } {
    return { code: this.code, details: this.details, hint: this.hint, message: this.message };
  }
}

interface ErrorDetails {
  details?: string | undefined;
  hint?: string | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}

export const unknownTable = (name: string, known: readonly string[]) =>
  new RestError(404, 'PGRST205', `Could not find the table 'public.${name}' in the schema cache`, {
    hint: suggestion(name, known, (near) => `Perhaps you meant the table 'public.${near}'`),
  });

export const unknownColumn = (relation: string, column: string) =>
  new RestError(400, '42703', `column ${relation}.${column} does not exist`);

export const unknownBodyColumn = (relation: string, column: string) =>
  new RestError(
    400,
    'PGRST204',
    `Could not find the '${column}' column of '${relation}' in the schema cache`,
  );

export const unknownFunction = (
  name: string,
  argumentNames: readonly string[],
  known: readonly string[],
  overloads: readonly (readonly string[])[],
) => {
  const list = argumentNames.join(', ');
  const shown = list === '' ? ' without parameters' : `(${list})`;
  const searched =
    list === '' ? ' without parameters' : ` with parameter${argumentNames.length > 1 ? 's' : ''} ${list}`;
  const hint =
    overloads.length > 0
      ? `Perhaps you meant to call the function public.${name}(${[...overloads[0]!].sort().join(', ')})`
      : suggestion(name, known, (near) => `Perhaps you meant to call the function public.${near}`);
  return new RestError(
    404,
    'PGRST202',
    `Could not find the function public.${name}${shown} in the schema cache`,
    {
      details: `Searched for the function public.${name}${searched}, but no matches were found in the schema cache.`,
      hint,
    },
  );
};

/** PostgREST answers 401 to a caller that could do it with another key, 403 to one that is signed in. */
export const notAllowed = (scope: Scope, what: string) =>
  new RestError(scope === 'anon' ? 401 : 403, '42501', `permission denied for ${what}`, {
    hint: scope === 'anon' ? 'The anon key only reads what is published. Use a service key.' : undefined,
    headers: scope === 'anon' ? { 'www-authenticate': 'Bearer' } : undefined,
  });

export const notOneRow = (rows: number) =>
  new RestError(406, 'PGRST116', 'Cannot coerce the result to a single JSON object', {
    details: `The result contains ${rows} rows`,
  });

export const overloaded = (what: string) =>
  new RestError(503, 'PGRST003', `Too many ${what} are waiting. Try again in a second.`, {
    // supabase-js repeats a read by itself after this many seconds.
    headers: { 'retry-after': '1' },
  });

/** The answer to anything thrown while a request was served. */
export function toRestError(error: unknown, scope: Scope): RestError {
  if (error instanceof RestError) return error;
  if (isPostgresError(error)) {
    const status = statusOfSqlState(error.code, error.message, scope);
    return new RestError(status, error.code, error.message, {
      details: error.detail,
      hint: error.hint,
      headers: status === 503 ? { 'retry-after': '1' } : undefined,
    });
  }
  if (error instanceof OverloadedError) return overloaded('requests');
  if (isBodyParserError(error)) return new RestError(error.statusCode, 'PGRST102', error.message);
  if (error instanceof Error && /timeout exceeded when trying to connect/.test(error.message)) {
    return new RestError(504, 'PGRST003', 'Timed out acquiring connection from connection pool.');
  }
  if (isConnectionError(error)) {
    return new RestError(503, 'PGRST000', 'Database connection error. Retrying the connection.', {
      headers: { 'retry-after': '1' },
    });
  }
  return new RestError(500, 'PGRSTX00', 'Internal error');
}

interface PostgresError {
  code: string;
  message: string;
  detail?: string;
  hint?: string;
}

function isPostgresError(error: unknown): error is PostgresError {
  return (
    error instanceof Error &&
    'severity' in error &&
    'code' in error &&
    /^[0-9A-Z]{5}$/.test(String(error.code))
  );
}

function isBodyParserError(error: unknown): error is Error & { statusCode: number } {
  return (
    error instanceof Error &&
    'statusCode' in error &&
    typeof error.statusCode === 'number' &&
    error.statusCode >= 400 &&
    error.statusCode < 500
  );
}

/** node-pg gives a lost or refused connection either the system's error code or one of these texts. */
function isConnectionError(error: unknown): boolean {
  return (
    error instanceof Error &&
    (('code' in error && /^E[A-Z]+$/.test(String(error.code))) ||
      /Connection terminated|not queryable|Client was closed/.test(error.message))
  );
}

/** PostgREST's table; 57014 (statement timeout) falls under 57. */
function statusOfSqlState(code: string, message: string, scope: Scope): number {
  switch (code) {
    case '23503':
    case '23505':
      return 409;
    case '25006':
      return 405;
    case '21000':
      return message.endsWith('requires a WHERE clause') ? 400 : 500;
    case '42501':
      return scope === 'anon' ? 401 : 403;
    case '42883':
    case '42P01':
      return 404;
    case '42P17':
    case '53400':
      return 500;
    // Shutting down or starting up: a later attempt will do.
    case '57P01':
    case '57P02':
    case '57P03':
      return 503;
    case 'P0001':
      return 400;
  }
  const byClass: Readonly<Record<string, number>> = {
    '08': 503,
    '09': 500,
    '0L': 403,
    '0P': 403,
    '25': 500,
    '28': 403,
    '2D': 500,
    '38': 500,
    '39': 500,
    '3B': 500,
    '40': 500,
    '53': 503,
    '54': 500,
    '55': 500,
    '57': 500,
    '58': 500,
    F0: 500,
    HV: 500,
    P0: 500,
    XX: 500,
  };
  return byClass[code.slice(0, 2)] ?? 400;
}

/** Suggests only what is near: naming a stranger would puzzle more than it helps. */
function suggestion(
  name: string,
  known: readonly string[],
  phrase: (near: string) => string,
): string | undefined {
  const short = name.slice(0, 100);
  const nearest = known
    .map((candidate) => ({ candidate, edits: distance(short, candidate) }))
    .sort((a, b) => a.edits - b.edits)[0];
  return nearest && nearest.edits <= Math.max(short.length, nearest.candidate.length) / 3
    ? phrase(nearest.candidate)
    : undefined;
}
