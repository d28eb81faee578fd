import type { Logger } from 'pino';
import { OverloadedError, RefusedRowsError } from '../store/request.ts';
import { HttpError, RateLimitedError } from './httpError.ts';

/** What a caller is answered when its events were not stored. */
export interface Failure {
  readonly statusCode: number;
  readonly body: {
    readonly error: string;
    readonly message: string;
    readonly field?: string;
    readonly detail?: string;
  };
  readonly retryAfterSeconds?: number;
}

/** The one place where errors of the doors become answers. */
export function failureAnswer(error: unknown, log: Pick<Logger, 'error'>): Failure {
  if (error instanceof HttpError) {
    const { statusCode, code, message, field } = error;
    return {
      statusCode,
      body: { error: code, message, ...(field === undefined ? {} : { field }) },
      ...(error instanceof RateLimitedError ? { retryAfterSeconds: error.retryAfterSeconds } : {}),
    };
  }
  if (error instanceof OverloadedError) {
    const { message, retryAfterSeconds } = error;
    return { statusCode: 503, body: { error: 'overloaded', message }, retryAfterSeconds };
  }
  if (error instanceof RefusedRowsError) {
    return { statusCode: 400, body: { error: 'refused_by_database', message: error.message } };
  }
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode === 413) {
    return {
      statusCode,
      body: { error: 'body_too_large', message: 'the body is too large: send smaller batches' },
    };
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return { statusCode, body: { error: 'bad_request', message: message ?? 'bad request' } };
  }
  // The article's answer, for the truly unexpected; the reason goes to the log.
  log.error({ err: error }, 'ingest failed');
  return {
    statusCode: 500,
    body: { error: 'internal', message: 'Logging failed', detail: 'Logging failed' },
  };
}
