import { openApi } from '@nowcast/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type BatchId, OverloadedError, RefusedRowsError } from '../store/request.ts';
import { checkBatchId, decompress, parseBatch, parseJson } from './body.ts';
import { HttpError } from './httpError.ts';
import type { Intake, RejectedEvent } from './intake.ts';

/** As sent, compressed or not. */
const maxSingleBodyBytes = 1024 * 1024;
const maxBatchBodyBytes = 16 * 1024 * 1024;
/** Ten thousand events of the article's kind have 3 MB. */
const maxDecompressedBytes = 32 * 1024 * 1024;
const maxBatchEvents = 10_000;

export interface IngestDependencies {
  readonly intake: Intake;
  /** Names who sends: batch ids are scoped by it. */
  readonly senderOf: (request: FastifyRequest) => string;
  readonly log: Logger;
}

/** The article's route and its batch form. */
export function registerIngest(app: FastifyInstance, { intake, senderOf, log }: IngestDependencies): void {
  app.register(async (door) => {
    door.removeAllContentTypeParsers();
    // Everything is taken as bytes and parsed here, so that a wrong encoding or syntax gets our own sentence. A
    // missing or odd content type is no reason to lose telemetry.
    door.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    door.setErrorHandler((error, _request, reply) => answerError(error, reply, log));

    door.post('/telemetry/inference', { bodyLimit: maxSingleBodyBytes }, async (request, reply) => {
      const { headers } = request;
      const encoding = headers['content-encoding'];
      // The common case does not wait for a decompressor that has nothing to do.
      const body =
        encoding === undefined && Buffer.isBuffer(request.body) && request.body.length > 0
          ? request.body
          : await decompress(request.body, encoding, maxSingleBodyBytes);
      const { rejected, warnings, outcome } = await intake.take(
        [parseJson(body)],
        batchIdOf(request),
        () => ({
          status: 'logged',
        }),
      );
      const refused = rejected[0];
      if (refused !== undefined) throw new HttpError(400, 'invalid_event', refused.message, refused.field);
      if (outcome.kind === 'duplicate') return { ...(outcome.answer as object), duplicate: true };
      if (warnings.length > 0) return { status: 'logged', warnings };
      // The common answer is made once.
      reply.header('content-type', 'application/json; charset=utf-8');
      return logged;
    });

    door.post('/telemetry/inference/batch', { bodyLimit: maxBatchBodyBytes }, async (request) => {
      const { headers } = request;
      intake.assertRoomFor(Number(headers['content-length'] ?? 0) || 0);
      const body = await decompress(request.body, headers['content-encoding'], maxDecompressedBytes);
      const batch = parseBatch(body, headers['content-type']);
      if (batch.events.length > maxBatchEvents) {
        const got = batch.events.length;
        throw new HttpError(413, 'too_many_events', `a batch may hold ${maxBatchEvents} events, got ${got}`);
      }
      const named = batchIdOf(request, batch.batchId);
      const { accepted, rejected, warnings, outcome } = await intake.take(
        batch.events,
        named,
        (count, refused) => batchAnswer(count, refused),
        batch.unreadable,
      );
      if (outcome.kind === 'duplicate') return { ...(outcome.answer as object), duplicate: true };
      return { ...batchAnswer(accepted, rejected), ...(warnings.length > 0 ? { warnings } : {}) };
    });
  });

  app.get('/openapi.json', async (request) => openApi(`${request.protocol}://${request.host}`));

  function batchIdOf(request: FastifyRequest, inBody?: string): BatchId | undefined {
    const header = request.headers['idempotency-key'];
    if (header === undefined && inBody === undefined) return undefined;
    return { sender: senderOf(request), id: inBody ?? checkBatchId(header, 'Idempotency-Key')! };
  }
}

const logged = '{"status":"logged"}';

function batchAnswer(accepted: number, rejected: readonly RejectedEvent[]) {
  return { status: 'logged', accepted, rejected: rejected.length, duplicate: false, errors: rejected };
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
