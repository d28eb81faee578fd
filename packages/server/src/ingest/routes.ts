import { openApi } from '@nowcast/protocol';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Ledger } from '../health/ledger.ts';
import type { Settings } from '../settings.ts';
import type { BatchId } from '../store/request.ts';
import { failureAnswer } from './answer.ts';
import { checkBatchId, decompress, parseBatch, parseJson } from './body.ts';
import { HttpError } from './httpError.ts';
import type { Intake, RejectedEvent } from './intake.ts';
import { singlePath } from './quickPath.ts';
import { countUnread } from './unread.ts';

export interface IngestDependencies {
  readonly intake: Intake;
  /** Names whose key it is: batch ids are scoped by it. */
  readonly senderOf: (request: FastifyRequest) => string;
  /** Names who sends, for the accounting of losses. */
  readonly clientOf: (request: FastifyRequest) => string;
  readonly ledger: Pick<Ledger, 'count'>;
  /** Counts events towards the caller's limit. @throws HttpError 429 */
  readonly charge: (request: FastifyRequest, events: number) => void;
  readonly log: Logger;
  readonly limits: Pick<Settings, 'maxBodyBytes' | 'maxDecompressedBytes' | 'maxBatchEvents'>;
}

/** The article's route and its batch form. */
export function registerIngest(
  app: FastifyInstance,
  { intake, senderOf, clientOf, ledger, charge, limits }: IngestDependencies,
): void {
  const { maxBodyBytes, maxDecompressedBytes, maxBatchEvents } = limits;
  app.register(async (door) => {
    door.removeAllContentTypeParsers();
    // Everything is taken as bytes and parsed here, so that a wrong encoding or syntax gets our own sentence. A
    // missing or odd content type is no reason to lose telemetry.
    door.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    door.addHook('onRequest', (request, _reply, done) => {
      // One that is no media type at all is refused by the framework before any parser sees it.
      const { headers } = request.raw;
      if (!mediaType.test(headers['content-type'] ?? ''))
        headers['content-type'] = 'application/octet-stream';
      done();
    });
    const tooLarge = new HttpError(
      413,
      'body_too_large',
      `the body must not exceed ${maxBodyBytes} bytes (NOWCAST_MAX_BODY_BYTES): send smaller batches`,
    );
    door.setErrorHandler((error, request, reply) => {
      if (!isBodyTooLarge(error)) return answerError(error, reply, request.log);
      countUnread(ledger, () => clientOf(request), tooLarge);
      return answerError(tooLarge, reply, request.log);
    });

    // Plain ones never come here: see quickPath.ts.
    door.post(singlePath, { bodyLimit: maxBodyBytes }, async (request) => {
      const sender = clientOf(request);
      const event = await counted(sender, async (seen) => {
        charge(request, seen(1));
        intake.assertRoomFor(0);
        return parseJson(
          await decompress(request.body, request.headers['content-encoding'], maxDecompressedBytes),
        );
      });
      const { rejected, warnings, outcome } = await intake.take([event], {
        sender,
        batch: batchIdOf(request),
        answer: () => ({ status: 'logged' }),
      });
      const refused = rejected[0];
      if (refused !== undefined) throw new HttpError(400, 'invalid_event', refused.message, refused.field);
      if (outcome.kind === 'duplicate') return { ...(outcome.answer as object), duplicate: true };
      return { status: 'logged', ...(warnings.length > 0 ? { warnings } : {}) };
    });

    door.post('/telemetry/inference/batch', { bodyLimit: maxBodyBytes }, async (request) => {
      const { headers } = request;
      const batch = await counted(clientOf(request), async (seen) => {
        intake.assertRoomFor(Number(headers['content-length'] ?? 0) || 0);
        const body = await decompress(request.body, headers['content-encoding'], maxDecompressedBytes);
        const read = parseBatch(body, headers['content-type']);
        if (seen(read.events.length) > maxBatchEvents) {
          const got = read.events.length;
          throw new HttpError(
            413,
            'too_many_events',
            `a batch may hold ${maxBatchEvents} events (NOWCAST_MAX_BATCH_EVENTS), got ${got}`,
          );
        }
        charge(request, read.events.length);
        return read;
      });
      const { accepted, rejected, warnings, outcome } = await intake.take(batch.events, {
        sender: batch.client ?? clientOf(request),
        batch: batchIdOf(request, batch.batchId),
        answer: batchAnswer,
        unreadable: batch.unreadable,
        ...(batch.dropped === undefined ? {} : { dropped: batch.dropped }),
      });
      if (outcome.kind === 'duplicate') return { ...(outcome.answer as object), duplicate: true };
      const all = [...(batch.warnings ?? []), ...warnings];
      return { ...batchAnswer(accepted, rejected), ...(all.length > 0 ? { warnings: all } : {}) };
    });
  });

  /** Reads a request; what is refused before its events are known is counted all the same. */
  async function counted<Read>(
    sender: string,
    read: (seen: (events: number) => number) => Promise<Read>,
  ): Promise<Read> {
    let events = 1;
    try {
      return await read((count) => {
        events = count;
        return count;
      });
    } catch (error) {
      countUnread(ledger, () => sender, error, events);
      throw error;
    }
  }

  app.get('/openapi.json', async (request) => openApi(`${request.protocol}://${request.host}`));

  function batchIdOf(request: FastifyRequest, inBody?: string): BatchId | undefined {
    const header = request.headers['idempotency-key'];
    if (header === undefined && inBody === undefined) return undefined;
    return { sender: senderOf(request), id: inBody ?? checkBatchId(header, 'Idempotency-Key')! };
  }
}

const mediaType = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;|$)/;

/** As the framework says it, which does not know the setting's name. */
function isBodyTooLarge(error: unknown): boolean {
  return (error as { code?: string }).code === 'FST_ERR_CTP_BODY_TOO_LARGE';
}

function batchAnswer(accepted: number, rejected: readonly RejectedEvent[]) {
  return { status: 'logged', accepted, rejected: rejected.length, duplicate: false, errors: rejected };
}

function answerError(error: unknown, reply: FastifyReply, log: FastifyBaseLogger): FastifyReply {
  const { statusCode, body, retryAfterSeconds } = failureAnswer(error, log);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  return reply.code(statusCode).send(body);
}
