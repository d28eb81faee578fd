import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Answer, WholeRequestHandler } from '../access/plainConnections.ts';
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
  readonly assertMayWrite: (request: Pick<IncomingMessage, 'headers'>) => void;
  /** Names who sends, for the accounting of losses. */
  readonly clientOf: (request: Pick<IncomingMessage, 'headers'>) => string;
  readonly ledger: Pick<Ledger, 'count'>;
  readonly bodies: BodyBudget;
  readonly maxBodyBytes: number;
  /** Hears how long each request took. */
  readonly onAnswered: (statusCode: number, milliseconds: number) => void;
}

/** Two ways past the framework, whose hooks, headers and reply objects took half of the server's time at full load. */
export interface QuickPath {
  /** A request that came whole: past Node's HTTP server too, which took half of the rest. */
  readonly takeWhole: WholeRequestHandler;
  /** One that came in pieces. Returns false for every request that needs more than this, as `takeWhole` does. */
  readonly take: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/**
 * The plain single event. What needs more (another route, a browser, compression, a batch id) goes the ordinary way and
 * gets the same answers.
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
}: QuickPathOptions): QuickPath {
  const maxBytes = Math.min(maxQuickBodyBytes, maxBodyBytes);

  /** @param body throws what it could not be received for */
  const logEvent = (
    request: Pick<IncomingMessage, 'headers'>,
    body: () => Buffer,
    held: () => HeldBytes | undefined,
    answer: Answer,
    startedAtMs: number,
  ): void => {
    const fail = (error: unknown) => {
      const statusCode = answerFailure(request, answer, error, log);
      onAnswered(statusCode, performance.now() - startedAtMs);
    };
    try {
      assertMayWrite(request);
      const bytes = body();
      intake.assertRoomFor(0);
      if (bytes.length === 0)
        throw new HttpError(400, 'invalid_json', 'the body must be JSON, got an empty body');
      intake.takeOne(parseJson(bytes), clientOf(request), held()).then((warnings) => {
        answer(
          200,
          jsonHeaders,
          warnings === undefined ? logged : JSON.stringify({ status: 'logged', warnings }),
        );
        onAnswered(200, performance.now() - startedAtMs);
      }, fail);
    } catch (error) {
      countUnread(ledger, () => clientOf(request), error);
      fail(error);
    }
  };

  return {
    takeWhole: (request, answer) => {
      // Bodies that wait for ids are counted with their connections: the other way's business.
      if (!isPlain(request, maxBytes) || intake.waitsForIds) return false;
      logEvent(request, () => request.body, notHeld, answer, performance.now());
      return true;
    },
    take: (request, response) => {
      if (request.url !== singlePath || request.method !== 'POST' || !isPlain(request, maxBytes))
        return false;
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
        logEvent(
          request,
          () => {
            if (overload !== undefined) throw overload;
            return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
          },
          () => {
            if (held === undefined && intake.waitsForIds) {
              held = bodies.hold(response);
              held.add(received);
            }
            return held;
          },
          (statusCode, headers, text) => {
            response
              .writeHead(statusCode, { ...headers, 'content-length': Buffer.byteLength(text) })
              .end(text);
          },
          startedAtMs,
        );
      });
      return true;
    },
  };
}

function isPlain({ headers }: Pick<IncomingMessage, 'headers'>, maxBytes: number): boolean {
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

const jsonHeaders = { 'content-type': 'application/json; charset=utf-8' };
const logged = '{"status":"logged"}';
const notHeld = () => undefined;

/** @returns the status code */
function answerFailure(
  { headers }: Pick<IncomingMessage, 'headers'>,
  answer: Answer,
  error: unknown,
  log: Logger,
): number {
  const requestId = requestIdOf(headers);
  const { statusCode, body, retryAfterSeconds } = failureAnswer(error, log.child({ request_id: requestId }));
  answer(
    statusCode,
    {
      'x-request-id': requestId,
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
      ...jsonHeaders,
    },
    JSON.stringify(body),
  );
  return statusCode;
}
