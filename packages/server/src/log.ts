import { type Logger, pino } from 'pino';

/**
 * Structured log on stderr. Of an error only its words are kept: pg hangs its connection, secret key included, on it. Of a
 * request only its method and route: headers hold keys, URLs may.
 */
export function makeLog(level: string): Logger {
  return pino({ level, serializers }, pino.destination({ fd: 2, sync: false }));
}

/** For the HTTP framework, which would also tell of its everyday life. */
export function problemsOnly(log: Logger): Logger {
  return log.isLevelEnabled('warn') ? log.child({}, { level: 'warn' }) : log;
}

function describeRequest({
  method,
  routeOptions,
}: {
  method?: string;
  routeOptions?: { url?: string };
}): Record<string, unknown> {
  return { method, route: routeOptions?.url };
}

const serializers = {
  err: describeError,
  req: describeRequest,
  res: ({ statusCode }: { statusCode?: number }) => ({ statusCode }),
};

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
