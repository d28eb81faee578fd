import { type Logger, pino } from 'pino';

/**
 * Structured log on stderr, as lines of JSON; a person at a terminal gets words instead. Of an error only its words are kept: pg hangs its connection, secret key included, on it. Of a
 * request only its method and route: headers hold keys, URLs may.
 */
export function makeLog(level: string): Logger {
  const destination = process.stderr.isTTY
    ? { write: (line: string) => void process.stderr.write(inWords(line)) }
    : pino.destination({ fd: 2, sync: false });
  return pino({ level, serializers }, destination);
}

/** A line of the log as a person reads it: `10:15:30 warn  what happened  {"rule":"…"}`, a stack below. */
export function inWords(line: string): string {
  const { level, time, pid: _pid, hostname: _host, msg, err, ...rest } = JSON.parse(line) as LogLine;
  const clock = new Date(time).toTimeString().slice(0, 8);
  const label = (pino.levels.labels[level] ?? '').padEnd(5);
  const fields = Object.keys(rest).length === 0 ? '' : `  ${JSON.stringify(rest)}`;
  return `${clock} ${label} ${msg ?? err?.message ?? ''}${fields}\n${err?.stack === undefined ? '' : `${err.stack}\n`}`;
}

type LogLine = {
  level: number;
  /** Milliseconds since 1970. */
  time: number;
  pid?: number;
  hostname?: string;
  msg?: string;
  err?: { message?: string; stack?: string };
};

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
