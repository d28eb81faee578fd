import { type Logger, pino } from 'pino';

/** Structured log on stderr. Of an error only its words are kept: pg hangs its connection, secret key included, on it. */
export function makeLog(level: string): Logger {
  return pino({ level, serializers: { err: describeError } }, pino.destination({ fd: 2, sync: false }));
}

export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
