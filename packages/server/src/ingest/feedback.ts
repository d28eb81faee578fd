import type { FastifyInstance, FastifyRequest } from 'fastify';
import type pg from 'pg';
import type { Logger } from 'pino';
import { OverloadedError } from '../store/request.ts';
import { failureOf } from '../store/sqlState.ts';
import { failureAnswer } from './answer.ts';
import { parseJson } from './body.ts';
import { describeKind, HttpError } from './httpError.ts';
import { type BodyBudget, leaveBodies, ReceivedBody } from './receivedBody.ts';

const maxBodyBytes = 64 * 1024;
const maxTraceIdLength = 8192;
/** How often feedback that came before its event looks for it. */
const retryIntervalMs = 1_000;
/** With thousands waiting a look takes long: it may use this share of the time. */
const maxLookingShare = 0.05;

export interface FeedbackDependencies {
  readonly pool: pg.Pool;
  /** Counts feedback towards the caller's limit. @throws HttpError 429 */
  readonly charge: (request: FastifyRequest, events: number) => void;
  readonly log: Logger;
  readonly bodies: BodyBudget;
  /** Whether an event of this trace may still come: sampling leaves others out, and nothing waits for them. */
  readonly mayCome: (traceId: string) => boolean;
}

interface Feedback {
  readonly traceId: string;
  readonly qualityScore: number | null;
  readonly thumb: number | null;
}

/**
 * `POST /telemetry/feedback`: a verdict that comes after its event. What comes before it waits in the database, for ten
 * minutes, and is answered `matched: 0`.
 *
 * @returns to be called before the pool ends
 */
export function registerFeedback(
  app: FastifyInstance,
  { pool, charge, log, bodies, mayCome }: FeedbackDependencies,
): () => Promise<void> {
  // What a stopped server left is looked for once.
  let mayWait = true;
  let notBeforeMs = 0;
  let applying: Promise<void> | undefined;
  const timer = setInterval(() => {
    if (!mayWait || performance.now() < notBeforeMs) return;
    applying ??= applyPending().finally(() => {
      applying = undefined;
    });
  }, retryIntervalMs).unref();

  app.register(async (door) => {
    leaveBodies(door);
    door.setErrorHandler((error, request, reply) => {
      const { statusCode, body, retryAfterSeconds } = failureAnswer(error, request.log);
      if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
      return reply.code(statusCode).send(body);
    });

    door.post('/telemetry/feedback', async (request, reply) => {
      charge(request, 1);
      const received = await ReceivedBody.of(request, reply, bodies, maxBodyBytes);
      const body = await received.decompressed(request.headers['content-encoding'], maxBodyBytes);
      const matched = await write(checkFeedback(parseJson(body)));
      if (matched === 0) mayWait = true;
      return { status: 'logged', matched };
    });
  });

  return async () => {
    clearInterval(timer);
    await applying;
  };

  async function write({ traceId, qualityScore, thumb }: Feedback): Promise<number> {
    let matched: number | null;
    try {
      const { rows } = await pool.query<{ matched: number | null }>(
        `select nowcast.${mayCome(traceId) ? 'log_feedback' : 'apply_feedback'}($1, $2, $3) as matched`,
        [traceId, qualityScore, thumb],
      );
      matched = rows[0]!.matched;
    } catch (error) {
      const { kind, message } = failureOf(error);
      if (kind === 'refused') throw error;
      throw new OverloadedError(`the database does not take feedback now: ${message}`);
    }
    if (matched === null) {
      throw new OverloadedError('too much feedback waits for events that have not come', 60);
    }
    return matched;
  }

  async function applyPending(): Promise<void> {
    mayWait = false;
    const startedAtMs = performance.now();
    try {
      const { rows } = await pool.query<{ waiting: string }>(
        'select nowcast.apply_pending_feedback() as waiting',
      );
      if (rows[0]!.waiting !== '0') mayWait = true;
    } catch (error) {
      mayWait = true;
      log.warn({ err: error }, 'applying feedback failed; it is tried again');
    }
    const endedAtMs = performance.now();
    notBeforeMs = endedAtMs + (endedAtMs - startedAtMs) / maxLookingShare;
  }
}

/** @throws HttpError 400 naming the field */
function checkFeedback(body: unknown): Feedback {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('', `feedback must be a JSON object, got ${describeKind(body)}`);
  }
  const { trace_id: traceId, quality_score: qualityScore, feedback: thumb } = body as Record<string, unknown>;
  if (
    typeof traceId !== 'string' ||
    traceId === '' ||
    traceId.length > maxTraceIdLength ||
    traceId.includes('\0')
  ) {
    throw invalid(
      'trace_id',
      `trace_id must be a string of 1 to ${maxTraceIdLength} characters, got ${describeKind(traceId)}`,
    );
  }
  if (
    !isAbsent(qualityScore) &&
    !(typeof qualityScore === 'number' && qualityScore >= 0 && qualityScore <= 1)
  ) {
    throw invalid(
      'quality_score',
      `quality_score must be a number from 0 to 1, got ${describe(qualityScore)}`,
    );
  }
  if (!isAbsent(thumb) && !(typeof thumb === 'number' && [-1, 0, 1].includes(thumb))) {
    throw invalid('feedback', `feedback must be -1, 0 or 1, got ${describe(thumb)}`);
  }
  if (isAbsent(qualityScore) && isAbsent(thumb)) {
    throw invalid('quality_score', 'quality_score or feedback is required, got neither');
  }
  return {
    traceId,
    qualityScore: (qualityScore as number | null | undefined) ?? null,
    thumb: (thumb as number | null | undefined) ?? null,
  };
}

function isAbsent(value: unknown): boolean {
  return value === null || value === undefined;
}

function describe(value: unknown): string {
  return typeof value === 'number' ? `the number ${value}` : describeKind(value);
}

function invalid(field: string, message: string): HttpError {
  return new HttpError(400, 'invalid_feedback', message, field);
}
