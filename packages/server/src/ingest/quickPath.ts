import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Ledger } from '../health/ledger.ts';
import { failureAnswer } from './answer.ts';
import { parseJson } from './body.ts';
import { HttpError } from './httpError.ts';
import type { Intake } from './intake.ts';
import { countUnread } from './unread.ts';

export const singlePath = '/telemetry/inference';
/** As sent, compressed or not. */
export const maxSingleBodyBytes = 1024 * 1024;

export interface QuickPathOptions {
  readonly intake: Intake;
  readonly log: Logger;
  /** @throws HttpError when this caller may not write */
  readonly assertMayWrite: (request: IncomingMessage) => void;
  /** Names who sends, for the accounting of losses. */
  readonly clientOf: (request: IncomingMessage) => string;
  readonly ledger: Pick<Ledger, 'count'>;
}

/**
 * The plain single event, on Node's own HTTP server: hooks, headers and reply objects of the framework took half of the
 * server's time at full load. Returns false for every request that needs more than this (another route, a browser,
 * compression, a batch id), which then goes the ordinary way and gets the same answers.
 */
export function quickPath({ intake, log, assertMayWrite, clientOf, ledger }: QuickPathOptions) {
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    if (request.url !== singlePath || request.method !== 'POST' || !isPlain(request)) return false;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      try {
        assertMayWrite(request);
        intake.assertRoomFor(0);
        const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
        if (body.length === 0)
          throw new HttpError(400, 'invalid_json', 'the body must be JSON, got an empty body');
        intake.takeOne(parseJson(body), clientOf(request)).then(
          (warnings) => answerLogged(response, warnings),
          (error: unknown) => answerFailure(response, error, log),
        );
      } catch (error) {
        countUnread(ledger, () => clientOf(request), error);
        answerFailure(response, error, log);
      }
    });
    return true;
  };
}

function isPlain({ headers }: IncomingMessage): boolean {
  return (
    // Bounded by its announcement: Node itself ends the body there.
    Number(headers['content-length']) <= maxSingleBodyBytes &&
    headers['content-encoding'] === undefined &&
    headers['idempotency-key'] === undefined &&
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

function answerFailure(response: ServerResponse, error: unknown, log: Logger): void {
  const { statusCode, body, retryAfterSeconds } = failureAnswer(error, log);
  if (retryAfterSeconds !== undefined) response.setHeader('retry-after', retryAfterSeconds);
  answerJson(response, statusCode, body);
}

function answerJson(response: ServerResponse, statusCode: number, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(statusCode, { 'content-type': jsonType, 'content-length': Buffer.byteLength(text) })
    .end(text);
}
