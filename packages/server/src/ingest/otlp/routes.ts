import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseJson } from '../body.ts';
import { HttpError } from '../httpError.ts';
import type { RejectedEvent } from '../intake.ts';
import { bodyLimitWords, leaveBodies, ReceivedBody } from '../receivedBody.ts';
import type { IngestDependencies } from '../routes.ts';
import { countUnread } from '../unread.ts';
import { type Encoding, encodingOf, type PartialSuccess, sendFailure, sendPartialSuccess } from './answer.ts';
import { isWanted } from './attributes.ts';
import { countJson, readJsonSpans } from './json.ts';
import { ModelCalls } from './modelCalls.ts';
import { countProtobuf, readProtobufSpans } from './protobuf.ts';

const maxNamedRejections = 3;

interface UnstoredSignal {
  readonly path: string;
  readonly name: string;
  readonly rejectedName: string;
  /** Where its records lie, as field names and as numbers. */
  readonly jsonPath: readonly (readonly string[])[];
  readonly protobufPath: readonly (readonly number[])[];
}

const unstoredSignals: readonly UnstoredSignal[] = [
  {
    path: '/v1/logs',
    name: 'logs',
    rejectedName: 'rejectedLogRecords',
    jsonPath: [['resourceLogs'], ['scopeLogs'], ['logRecords']],
    protobufPath: [[1], [2], [2]],
  },
  {
    path: '/v1/metrics',
    name: 'metrics',
    rejectedName: 'rejectedDataPoints',
    jsonPath: [
      ['resourceMetrics'],
      ['scopeMetrics'],
      ['metrics'],
      ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'],
      ['dataPoints'],
    ],
    protobufPath: [[1], [2], [2], [5, 7, 9, 10, 11], [1]],
  },
];

/** OTLP/HTTP: traces become events, other signals are refused politely. */
export function registerOtlp(
  app: FastifyInstance,
  { intake, senderOf, clientOf, ledger, charge, bodies, limits }: IngestDependencies,
): void {
  const { maxBodyBytes, maxDecompressedBytes, maxBatchEvents } = limits;
  const modelCalls = new ModelCalls();
  app.register(async (door) => {
    leaveBodies(door);
    door.setErrorHandler((error, request, reply) => sendFailure(request, reply, error));

    door.post('/v1/traces', async (request, reply) => {
      const sender = clientOf(request);
      const { encoding, received, digest, events } = await readCalls(request, reply, sender);
      if (events.length === 0) return sendPartialSuccess(reply, encoding, nothingRejected, 'rejectedSpans');
      const { rejected, outcome } = await intake.take(events, {
        sender,
        // Exporters repeat a request whose answer they missed, byte for byte.
        batch: {
          sender: senderOf(request),
          id: `otlp:${digest}`,
        },
        answer: (_accepted, refused) => partialSuccessOf(refused),
        onHandedOver: () => received.release(),
      });
      const answer =
        outcome.kind === 'duplicate' ? (outcome.answer as PartialSuccess) : partialSuccessOf(rejected);
      return sendPartialSuccess(reply, encoding, answer, 'rejectedSpans');
    });

    for (const { path, name, rejectedName, jsonPath, protobufPath } of unstoredSignals) {
      door.post(path, async (request, reply) => {
        const encoding = assertEncoding(request);
        const received = await ReceivedBody.of(request, reply, bodies, maxBodyBytes, bodyLimitWords);
        const body = await bytesOf(received, request, maxDecompressedBytes);
        const rejected =
          encoding === 'protobuf' ? countProtobuf(body, protobufPath) : countJson(parseJson(body), jsonPath);
        const message = `Nowcast stores traces (/v1/traces); ${name} are not stored: set OTEL_${name.toUpperCase()}_EXPORTER=none`;
        return sendPartialSuccess(reply, encoding, { rejected, message }, rejectedName);
      });
    }
  });

  /** What is refused before its calls are stored is counted all the same. */
  async function readCalls(request: FastifyRequest, reply: FastifyReply, sender: string) {
    let calls = 1;
    try {
      const encoding = assertEncoding(request);
      intake.assertRoomFor(Number(request.headers['content-length'] ?? 0) || 0);
      const received = await ReceivedBody.of(request, reply, bodies, maxBodyBytes, bodyLimitWords);
      const body = await bytesOf(received, request, maxDecompressedBytes);
      const spans =
        encoding === 'protobuf'
          ? readProtobufSpans(body, isWanted)
          : readJsonSpans(parseJson(body), isWanted);
      const events = modelCalls.read(spans);
      calls = events.length;
      if (calls > maxBatchEvents) {
        throw new HttpError(
          413,
          'too_many_events',
          `a request may hold ${maxBatchEvents} model calls (NOWCAST_MAX_BATCH_EVENTS), got ${calls}`,
        );
      }
      if (calls > 0) charge(request, calls);
      return { encoding, received, digest: createHash('sha256').update(body).digest('base64url'), events };
    } catch (error) {
      countUnread(ledger, () => sender, error, calls);
      throw error;
    }
  }
}

const nothingRejected: PartialSuccess = { rejected: 0, message: '' };

/** @throws HttpError 415 */
function assertEncoding({ headers }: FastifyRequest): Encoding {
  const encoding = encodingOf(headers['content-type']);
  if (encoding !== undefined) return encoding;
  throw new HttpError(
    415,
    'unsupported_media_type',
    `content-type must be application/x-protobuf or application/json, got ${headers['content-type'] ?? 'none'}`,
  );
}

/** An empty body is a request without spans in protobuf. */
async function bytesOf(
  received: ReceivedBody,
  { headers }: FastifyRequest,
  maxDecompressedBytes: number,
): Promise<Buffer> {
  if (!received.isEmpty) {
    return received.decompressed(headers['content-encoding'], maxDecompressedBytes);
  }
  if (encodingOf(headers['content-type']) === 'protobuf') return Buffer.alloc(0);
  throw new HttpError(400, 'invalid_json', 'the body must be an OTLP request, got an empty body');
}

function partialSuccessOf(rejected: readonly RejectedEvent[]): PartialSuccess {
  const messages = new Set<string>();
  for (const { message } of rejected) {
    if (messages.size < maxNamedRejections) messages.add(message);
  }
  return { rejected: rejected.length, message: [...messages].join('; ') };
}
