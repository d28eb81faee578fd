import { isUtf8 } from 'node:buffer';
import { openApi } from '@nowcast/protocol';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { OverloadedError, RefusedRowsError } from '../store/request.ts';
import { describeKind, HttpError } from './httpError.ts';
import type { Intake, RejectedEvent } from './intake.ts';

const maxSingleBodyBytes = 1024 * 1024;
const maxBatchBodyBytes = 16 * 1024 * 1024;
const maxBatchEvents = 10_000;

export interface IngestDependencies {
  readonly intake: Intake;
  readonly log: Logger;
}

/** The article's route and its batch form. */
export function registerIngest(app: FastifyInstance, { intake, log }: IngestDependencies): void {
  app.register(async (door) => {
    door.removeAllContentTypeParsers();
    // Everything is taken as bytes and parsed here, so that a wrong encoding or syntax gets our own sentence. A
    // missing or odd content type is no reason to lose telemetry.
    door.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    door.setErrorHandler((error, _request, reply) => answerError(error, reply, log));

    door.post('/telemetry/inference', { bodyLimit: maxSingleBodyBytes }, async (request, reply) => {
      const body = parseJson(request.body);
      const { rejected, warnings } = await intake.take([body]);
      const refused = rejected[0];
      if (refused !== undefined) throw new HttpError(400, 'invalid_event', refused.message, refused.field);
      if (warnings.length > 0) return { status: 'logged', warnings };
      // The common answer is made once.
      reply.header('content-type', 'application/json; charset=utf-8');
      return logged;
    });

    door.post('/telemetry/inference/batch', { bodyLimit: maxBatchBodyBytes }, async (request) => {
      const length = Number(request.headers['content-length'] ?? 0);
      intake.assertRoomFor(Number.isFinite(length) ? length : 0);
      const events = eventsOf(parseJson(request.body));
      if (events.length > maxBatchEvents) {
        throw new HttpError(
          413,
          'too_many_events',
          `a batch may hold ${maxBatchEvents} events, got ${events.length}`,
        );
      }
      const { accepted, rejected, warnings } = await intake.take(events);
      return batchAnswer(accepted, rejected, warnings);
    });
  });

  app.get('/openapi.json', async (request) => openApi(`${request.protocol}://${request.host}`));
}

const logged = '{"status":"logged"}';

function batchAnswer(accepted: number, rejected: readonly RejectedEvent[], warnings: readonly string[]) {
  return {
    status: 'logged',
    accepted,
    rejected: rejected.length,
    duplicate: false,
    errors: rejected,
    ...(warnings.length > 0 ? { warnings } : {}),
  };
}

function eventsOf(body: unknown): readonly unknown[] {
  if (Array.isArray(body)) return body;
  if (typeof body === 'object' && body !== null && 'events' in body) {
    if (Array.isArray(body.events)) return body.events;
    throw new HttpError(
      400,
      'invalid_batch',
      `events must be an array, got ${describeKind(body.events)}`,
      'events',
    );
  }
  throw new HttpError(
    400,
    'invalid_batch',
    `a batch must be a JSON array of events or an object with an array "events", got ${describeKind(body)}`,
    'events',
  );
}

function parseJson(body: unknown): unknown {
  if (!Buffer.isBuffer(body) || body.length === 0) {
    throw new HttpError(400, 'invalid_json', 'the body must be JSON, got an empty body');
  }
  if (!isUtf8(body)) throw new HttpError(400, 'invalid_utf8', 'the body must be valid UTF-8');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new HttpError(400, 'invalid_json', `the body must be JSON: ${(error as Error).message}`);
  }
}

function answerError(error: unknown, reply: FastifyReply, log: Logger): FastifyReply {
  if (error instanceof HttpError) {
    return reply
      .code(error.statusCode)
      .send({ error: error.code, message: error.message, field: error.field });
  }
  if (error instanceof OverloadedError) {
    return reply
      .code(503)
      .header('retry-after', String(error.retryAfterSeconds))
      .send({ error: 'overloaded', message: error.message });
  }
  if (error instanceof RefusedRowsError) {
    return reply.code(400).send({ error: 'refused_by_database', message: error.message });
  }
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode === 413) {
    return reply
      .code(413)
      .send({ error: 'body_too_large', message: 'the body is too large: send smaller batches' });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return reply.code(statusCode).send({ error: 'bad_request', message: message ?? 'bad request' });
  }
  // The article's answer, for the truly unexpected; the reason goes to the log.
  log.error({ err: error }, 'ingest failed');
  return reply.code(500).send({ error: 'internal', message: 'Logging failed', detail: 'Logging failed' });
}
