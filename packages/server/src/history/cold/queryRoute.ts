import { spawn } from 'node:child_process';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { failureAnswer } from '../../ingest/answer.ts';
import { describeKind, HttpError, RateLimitedError } from '../../ingest/httpError.ts';
import { cliPath } from '../cliPath.ts';
import { isDay } from '../day.ts';

const maxBodyBytes = 64 * 1024;
const maxSqlLength = 20_000;
const defaultMaxRows = 1_000;
const mostRows = 10_000;
/** What a page can show; a query that yields more is cut there and says so. */
const maxAnswerBytes = 8 * 2 ** 20;
const timeoutMs = 30_000;
const retryAfterSeconds = 5;

export interface HistoryQueryDependencies {
  readonly databaseUrl: string;
  readonly timeoutMs?: number;
}

interface HistoryQuery {
  readonly sql: string;
  readonly since: string | undefined;
  readonly until: string | undefined;
  readonly maxRows: number;
}

/**
 * `POST /history/query` `{sql, since?, until?, max_rows?}`: one SELECT (DuckDB's SQL) over the table inference_logs, which
 * is PostgreSQL's days and the archive's together → `{rows, truncated}`. In a process of its own, which can neither write
 * nor open a file beside the archive's, one at a time; it ends after 30 s or when its caller goes.
 */
export function registerHistoryQuery(app: FastifyInstance, dependencies: HistoryQueryDependencies): void {
  let running = false;
  app.register(async (door) => {
    door.setErrorHandler((error, request, reply) => {
      const { statusCode, body, retryAfterSeconds: seconds } = failureAnswer(error, request.log);
      if (seconds !== undefined) reply.header('retry-after', String(seconds));
      return reply.code(statusCode).send(body);
    });
    door.post('/history/query', { bodyLimit: maxBodyBytes }, async (request, reply) => {
      const query = read(request.body);
      if (running)
        throw new RateLimitedError(
          'another query of the history is running; one runs at a time',
          retryAfterSeconds,
        );
      running = true;
      try {
        return await answer(query, dependencies, reply);
      } finally {
        running = false;
      }
    });
  });
}

async function answer(
  { sql, since, until, maxRows }: HistoryQuery,
  { databaseUrl, timeoutMs: limitMs = timeoutMs }: HistoryQueryDependencies,
  reply: FastifyReply,
): Promise<{ rows: unknown[]; truncated: boolean }> {
  const days = [since === undefined ? [] : ['--since', since], until === undefined ? [] : ['--until', until]];
  // The query goes by standard input: arguments of a process can be read by others.
  const child = spawn(
    process.execPath,
    [
      cliPath,
      'cold',
      'query',
      '-',
      '--json',
      '--read-only',
      '--no-progress',
      '--max-rows',
      String(maxRows + 1),
      ...days.flat(),
    ],
    { env: { ...process.env, DATABASE_URL: databaseUrl }, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let ended: 'late' | 'gone' | 'large' | undefined;
  const stop = (why: typeof ended) => {
    ended ??= why;
    child.kill('SIGKILL');
  };
  const timer = setTimeout(() => stop('late'), limitMs);
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) stop('gone');
  });
  let text = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    if (text.length > maxAnswerBytes) stop('large');
  });
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    complaint = (complaint + piece).slice(-4_000);
  });
  // A child that ended before it read everything says why by its exit code.
  child.stdin.on('error', () => undefined).end(sql);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  }).finally(() => clearTimeout(timer));
  if (ended === 'late')
    throw new HttpError(
      400,
      'query_too_slow',
      `the query took longer than ${limitMs / 1_000} s: look at fewer days with since and until`,
      'sql',
    );
  if (ended === 'gone') throw new HttpError(499, 'gone', 'the client went away');
  if (code !== 0 && ended === undefined)
    throw new HttpError(400, 'invalid_query', complaint.trim().replace(/^nowcast: /, ''), 'sql');
  // A line that was cut has no end.
  const lines = text.split('\n').slice(0, -1);
  return {
    rows: lines.slice(0, maxRows).map((line) => JSON.parse(line) as unknown),
    truncated: ended === 'large' || lines.length > maxRows,
  };
}

/** @throws HttpError 400 naming the field */
function read(body: unknown): HistoryQuery {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalid('', `the body must be a JSON object with "sql", got ${describeKind(body)}`);
  const { sql, since, until, max_rows: maxRows = defaultMaxRows } = body as Record<string, unknown>;
  if (typeof sql !== 'string' || sql.trim() === '' || sql.length > maxSqlLength)
    throw invalid('sql', `sql must be a text of 1 to ${maxSqlLength} characters, got ${describeKind(sql)}`);
  if (typeof maxRows !== 'number' || !Number.isInteger(maxRows) || maxRows < 1 || maxRows > mostRows)
    throw invalid(
      'max_rows',
      `max_rows must be a whole number from 1 to ${mostRows}, got ${describeKind(maxRows)}`,
    );
  const days = { since: day('since', since), until: day('until', until) };
  if (days.since !== undefined && days.until !== undefined && days.since > days.until)
    throw invalid('since', `since must not lie after until, got ${days.since} and ${days.until}`);
  return { sql, ...days, maxRows };
}

function day(field: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && isDay(value)) return value;
  const got = typeof value === 'string' ? value.slice(0, 20) : describeKind(value);
  throw invalid(field, `${field} must be a day of UTC as YYYY-MM-DD, got ${got}`);
}

function invalid(field: string, message: string): HttpError {
  return new HttpError(400, 'invalid_query', message, field);
}
