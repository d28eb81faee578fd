import { openApi } from '@nowcast/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { BatchId } from '../store/request.ts';
import { failureAnswer } from './answer.ts';
import { checkBatchId, decompress, parseBatch, parseJson } from './body.ts';
import { HttpError } from './httpError.ts';
import type { Intake, RejectedEvent } from './intake.ts';
import { maxSingleBodyBytes, singlePath } from './quickPath.ts';

const maxBatchBodyBytes = 16 * 1024 * 1024;
/** Ten thousand events of the article's kind have 3 MB. */
const maxDecompressedBytes = 32 * 1024 * 1024;
const maxBatchEvents = 10_000;

export interface IngestDependencies {
  readonly intake: Intake;
  /** Names who sends: batch ids are scoped by it. */
  readonly senderOf: (request: FastifyRequest) => string;
  /** Counts events towards the caller's limit. @throws HttpError 429 */
  readonly charge: (request: FastifyRequest, events: number) => void;
  readonly log: Logger;
}

/** The article's route and its batch form. */
export function registerIngest(
  app: FastifyInstance,
  { intake, senderOf, charge, log }: IngestDependencies,
): void {
  app.register(async (door) => {
    door.removeAllContentTypeParsers();
    // Everything is taken as bytes and parsed here, so that a wrong encoding or syntax gets our own sentence. A
    // missing or odd content type is no reason to lose telemetry.
    door.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    door.setErrorHandler((error, _request, reply) => answerError(error, reply, log));

    // Plain ones never come here: see quickPath.ts.
    door.post(singlePath, { bodyLimit: maxSingleBodyBytes }, async (request) => {
      charge(request, 1);
      const body = await decompress(request.body, request.headers['content-encoding'], maxSingleBodyBytes);
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
      return { status: 'logged', ...(warnings.length > 0 ? { warnings } : {}) };
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
      charge(request, batch.events.length);
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

function batchAnswer(accepted: number, rejected: readonly RejectedEvent[]) {
  return { status: 'logged', accepted, rejected: rejected.length, duplicate: false, errors: rejected };
}

function answerError(error: unknown, reply: FastifyReply, log: Logger): FastifyReply {
  const { statusCode, body, retryAfterSeconds } = failureAnswer(error, log);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  return reply.code(statusCode).send(body);
}
