import type { FastifyInstance, FastifyReply } from 'fastify';
import type pg from 'pg';
import { failureAnswer } from '../../ingest/answer.ts';
import { describeKind, HttpError, RateLimitedError } from '../../ingest/httpError.ts';
import { dayMs } from '../timeline.ts';
import { backtest } from './backtest.ts';
import { candidateOf, InvalidRule } from './candidate.ts';

const maxBodyBytes = 64 * 1024;
/** A quarter of a year by the minute takes a minute or so. */
const maxWindowMs = 92 * dayMs;
const retryAfterSeconds = 15;

/** `POST /alerts/backtest`: one at a time, beside live traffic; ends when its caller goes. */
export function registerBacktest(app: FastifyInstance, { pool }: { readonly pool: pg.Pool }): void {
  let running = false;
  app.register(async (door) => {
    door.setErrorHandler((error, request, reply) => {
      const known =
        error instanceof InvalidRule ? new HttpError(400, 'invalid_rule', error.message, error.field) : error;
      const { statusCode, body, retryAfterSeconds: seconds } = failureAnswer(known, request.log);
      if (seconds !== undefined) reply.header('retry-after', String(seconds));
      return reply.code(statusCode).send(body);
    });

    door.post('/alerts/backtest', { bodyLimit: maxBodyBytes }, async (request, reply) => {
      const nowMs = Date.now();
      const { rule, sinceMs, untilMs } = read(request.body, nowMs);
      if (running)
        throw new RateLimitedError('another backtest is running; one runs at a time', retryAfterSeconds);
      running = true;
      try {
        const candidate = await candidateOf(pool, rule);
        return await backtest(pool, candidate, {
          sinceMs,
          untilMs,
          nowMs,
          signal: whileConnected(reply),
          isGentle: true,
        });
      } finally {
        running = false;
      }
    });
  });
}

function whileConnected({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  const stop = () => gone.abort(new HttpError(499, 'gone', 'the client went away'));
  if (raw.destroyed) stop();
  raw.once('close', () => {
    if (!raw.writableFinished) stop();
  });
  return gone.signal;
}

/** @throws HttpError 400 naming the field */
function read(
  body: unknown,
  nowMs: number,
): { rule: unknown; sinceMs: number | undefined; untilMs: number | undefined } {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new HttpError(400, 'invalid', `the body must be a JSON object, got ${describeKind(body)}`);
  const { rule, since, until, ...others } = body as Record<string, unknown>;
  const [strange] = Object.keys(others);
  if (strange !== undefined)
    throw new HttpError(400, 'invalid', `there is no "${strange}"; give rule, since, until`, strange);
  const sinceMs = readTime('since', since);
  const untilMs = readTime('until', until);
  const [fromMs, toMs] = [sinceMs ?? 0, untilMs ?? nowMs];
  if (sinceMs !== undefined && fromMs >= toMs)
    throw new HttpError(400, 'invalid', 'since must be earlier than until', 'since');
  if (sinceMs !== undefined && toMs - fromMs > maxWindowMs)
    throw new HttpError(400, 'invalid', 'since and until may lie at most 92 days apart', 'since');
  return { rule, sinceMs, untilMs };
}

function readTime(field: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const atMs = typeof value === 'string' && /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN;
  if (!Number.isNaN(atMs)) return atMs;
  const got = typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : describeKind(value);
  throw new HttpError(400, 'invalid', `${field} must be an ISO 8601 time, got ${got}`, field);
}
