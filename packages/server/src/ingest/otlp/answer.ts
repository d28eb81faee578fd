import type { FastifyReply, FastifyRequest } from 'fastify';
import { failureAnswer } from '../answer.ts';
import { writePartialSuccess, writeStatus } from './protobuf.ts';

export type Encoding = 'protobuf' | 'json';

/** What a sender of OTLP is told besides 200: how much was refused, and why. */
export interface PartialSuccess {
  readonly rejected: number;
  readonly message: string;
}

const mediaTypes = { protobuf: 'application/x-protobuf', json: 'application/json' } as const;

/** @returns undefined for what OTLP/HTTP does not speak */
export function encodingOf(contentType: string | undefined): Encoding | undefined {
  const mediaType = contentType?.replace(/;.*/s, '').trim().toLowerCase();
  if (mediaType === mediaTypes.protobuf || mediaType === 'application/protobuf') return 'protobuf';
  return mediaType === mediaTypes.json ? 'json' : undefined;
}

/** @param rejectedName how this signal calls what it rejects, such as rejectedSpans */
export function sendPartialSuccess(
  reply: FastifyReply,
  encoding: Encoding,
  { rejected, message }: PartialSuccess,
  rejectedName: string,
): FastifyReply {
  reply.type(mediaTypes[encoding]);
  if (encoding === 'protobuf') return reply.send(Buffer.from(writePartialSuccess(rejected, message)));
  // 64-bit integers are strings in protobuf's JSON.
  const partialSuccess = { [rejectedName]: String(rejected), errorMessage: message };
  return reply.send(rejected === 0 && message === '' ? {} : { partialSuccess });
}

/** `google.rpc.Status` in the encoding of the request, as the OTLP specification asks. */
export function sendFailure(
  { headers, log }: FastifyRequest,
  reply: FastifyReply,
  error: unknown,
): FastifyReply {
  const encoding = encodingOf(headers['content-type']) ?? 'json';
  const { statusCode, body, retryAfterSeconds } = failureAnswer(error, log);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  const code = rpcCodes[statusCode] ?? (statusCode < 500 ? invalidArgument : internal);
  reply.code(statusCode).type(mediaTypes[encoding]);
  return encoding === 'protobuf'
    ? reply.send(Buffer.from(writeStatus(code, body.message)))
    : reply.send({ code, message: body.message });
}

/** google/rpc/code.proto */
const invalidArgument = 3;
const internal = 13;
const rpcCodes: Readonly<Record<number, number>> = { 401: 16, 403: 7, 413: 8, 429: 8, 503: 14 };
