import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { requestIdOf } from '../access/requestId.ts';
import type { Ledger } from '../health/ledger.ts';
import { failureAnswer } from './answer.ts';
import { parseJson } from './body.ts';
import { HttpError } from './httpError.ts';
import type { Intake } from './intake.ts';
import type { BodyBudget, HeldBytes } from './receivedBody.ts';
import { countUnread } from './unread.ts';

export const singlePath = '/telemetry/inference';
/** Larger ones are rare and take the ordinary way, which knows the limit. */
const maxQuickBodyBytes = 64 * 1024;

export interface QuickPathOptions {
  readonly intake: Intake;
  readonly log: Logger;
  /** @throws HttpError when this caller may not write */
  readonly assertMayWrite: (request: IncomingMessage) => void;
  /** Names who sends, for the accounting of losses. */
  readonly clientOf: (request: IncomingMessage) => string;
  readonly ledger: Pick<Ledger, 'count'>;
  readonly bodies: BodyBudget;
  readonly maxBodyBytes: number;
  /** Hears how long each request took. */
  readonly onAnswered: (statusCode: number, milliseconds: number) => void;
}

/**
 * The plain single event, on Node's own HTTP server: hooks, headers and reply objects of the framework took half of the
 * server's time at full load. Returns false for every request that needs more than this (another route, a browser,
 * compression, a batch id), which then goes the ordinary way and gets the same answers.
 */
export function quickPath({
  intake,
  log,
  assertMayWrite,
  clientOf,
  ledger,
  bodies,
  maxBodyBytes,
  onAnswered,
}: QuickPathOptions) {
  const maxBytes = Math.min(maxQuickBodyBytes, maxBodyBytes);
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    if (request.url !== singlePath || request.method !== 'POST' || !isPlain(request, maxBytes)) return false;
    const startedAtMs = performance.now();
    const chunks: Buffer[] = [];
    let received = 0;
    // Most bodies come in one piece and go on at once: only the others are under way for a while.
    let held: HeldBytes | undefined;
    let overload: unknown;
    request.on('data', (chunk: Buffer) => {
      if (overload !== undefined) return;
      chunks.push(chunk);
      received += chunk.length;
      if (held === undefined && received === Number(request.headers['content-length'])) return;
      held ??= bodies.hold(response);
      try {
        held.add(chunk.length);
      } catch (error) {
        overload = error;
        chunks.length = 0;
        held.release();
      }
    });
    request.on('end', () => {
      try {
        assertMayWrite(request);
        if (overload !== undefined) throw overload;
        intake.assertRoomFor(0);
        const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
        if (body.length === 0)
          throw new HttpError(400, 'invalid_json', 'the body must be JSON, got an empty body');
        if (held === undefined && intake.waitsForIds) {
          held = bodies.hold(response);
          held.add(body.length);
        }
        intake.takeOne(parseJson(body), clientOf(request), held).then(
          (warnings) => {
            answerLogged(response, warnings);
            onAnswered(200, performance.now() - startedAtMs);
          },
          (error: unknown) => fail(error),
        );
      } catch (error) {
        countUnread(ledger, () => clientOf(request), error);
        fail(error);
      }
    });
    const fail = (error: unknown) => {
      answerFailure(request, response, error, log);
      onAnswered(response.statusCode, performance.now() - startedAtMs);
    };
    return true;
  };
}

function isPlain({ headers }: IncomingMessage, maxBytes: number): boolean {
  return (
    // Bounded by its announcement: Node itself ends the body there.
    Number(headers['content-length']) <= maxBytes &&
    headers['content-encoding'] === undefined &&
    headers['idempotency-key'] === undefined &&
    headers['x-request-id'] === undefined &&
    headers.origin === undefined &&
    headers.expect === undefined
  );
}

const jsonType = 'application/json; charset=utf-8';
const logged = '{"status":"logged"}';
const loggedHeaders = ['content-type', jsonType, 'content-length', String(logged.length)];

function answerLogged(response: ServerResponse, warnings: readonly string[] | undefined): void {
  if (warnings === undefined) response.writeHead(200, loggedHeaders).end(logged);
  else answerJson(response, 200, { status: 'logged', warnings });
}

function answerFailure(
  { headers }: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  log: Logger,
): void {
  const requestId = requestIdOf(headers);
  response.setHeader('x-request-id', requestId);
  const { statusCode, body, retryAfterSeconds } = failureAnswer(error, log.child({ request_id: requestId }));
  if (retryAfterSeconds !== undefined) response.setHeader('retry-after', retryAfterSeconds);
  answerJson(response, statusCode, body);
}

function answerJson(response: ServerResponse, statusCode: number, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(statusCode, { 'content-type': jsonType, 'content-length': Buffer.byteLength(text) })
    .end(text);
}
