import { openApi } from '@nowcast/protocol';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Ledger } from '../health/ledger.ts';
import type { Settings } from '../settings.ts';
import type { BatchId } from '../store/request.ts';
import { failureAnswer } from './answer.ts';
import { checkBatchId, parseBatch, parseJson } from './body.ts';
import { HttpError } from './httpError.ts';
import type { Intake, RejectedEvent } from './intake.ts';
import { singlePath } from './quickPath.ts';
import { type BodyBudget, bodyLimitWords, leaveBodies, ReceivedBody } from './receivedBody.ts';
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
  /** Of bodies under way, over all doors. */
  readonly bodies: BodyBudget;
  readonly limits: Pick<Settings, 'maxBodyBytes' | 'maxDecompressedBytes' | 'maxBatchEvents'>;
}

/** The article's route and its batch form. */
export function registerIngest(
  app: FastifyInstance,
  { intake, senderOf, clientOf, ledger, charge, bodies, limits }: IngestDependencies,
): void {
  const { maxBodyBytes, maxDecompressedBytes, maxBatchEvents } = limits;
  app.register(async (door) => {
    leaveBodies(door);
    door.setErrorHandler((error, request, reply) => answerError(error, reply, request.log));

    // Plain ones never come here: see quickPath.ts.
    door.post(singlePath, async (request, reply) => {
      const sender = clientOf(request);
      const { body, event } = await counted(sender, async (seen) => {
        charge(request, seen(1));
        intake.assertRoomFor(0);
        const body = await ReceivedBody.of(request, reply, bodies, maxBodyBytes, bodyLimitWords);
        const encoding = request.headers['content-encoding'];
        return { body, event: parseJson(await body.decompressed(encoding, maxDecompressedBytes)) };
      });
      const { rejected, warnings, outcome } = await intake.take([event], {
        sender,
        batch: batchIdOf(request),
        answer: () => ({ status: 'logged' }),
        onHandedOver: () => body.release(),
      });
      const refused = rejected[0];
      if (refused !== undefined) throw new HttpError(400, 'invalid_event', refused.message, refused.field);
      if (outcome.kind === 'duplicate') return { ...(outcome.answer as object), duplicate: true };
      return { status: 'logged', ...(warnings.length > 0 ? { warnings } : {}) };
    });

    door.post('/telemetry/inference/batch', async (request, reply) => {
      const { headers } = request;
      const { body, batch } = await counted(clientOf(request), async (seen) => {
        intake.assertRoomFor(Number(headers['content-length'] ?? 0) || 0);
        const body = await ReceivedBody.of(request, reply, bodies, maxBodyBytes, bodyLimitWords);
        const text = await body.decompressed(headers['content-encoding'], maxDecompressedBytes);
        const batch = parseBatch(text, headers['content-type']);
        if (seen(batch.events.length) > maxBatchEvents) {
          const got = batch.events.length;
          throw new HttpError(
            413,
            'too_many_events',
            `a batch may hold ${maxBatchEvents} events (NOWCAST_MAX_BATCH_EVENTS), got ${got}`,
          );
        }
        charge(request, batch.events.length);
        return { body, batch };
      });
      const { accepted, rejected, warnings, outcome } = await intake.take(batch.events, {
        sender: batch.client ?? clientOf(request),
        batch: batchIdOf(request, batch.batchId),
        answer: batchAnswer,
        unreadable: batch.unreadable,
        onHandedOver: () => body.release(),
        sampleRate: batch.sampleRate,
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

function batchAnswer(accepted: number, rejected: readonly RejectedEvent[]) {
  return { status: 'logged', accepted, rejected: rejected.length, duplicate: false, errors: rejected };
}

function answerError(error: unknown, reply: FastifyReply, log: FastifyBaseLogger): FastifyReply {
  const { statusCode, body, retryAfterSeconds } = failureAnswer(error, log);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  return reply.code(statusCode).send(body);
}
