import { createServer, type RequestListener, type Server } from 'node:http';

/** Long `in` filters of supabase-js go into the URL. */
const maxHeaderBytes = 64 * 1024;
/** Requests are answered within five seconds; one that is still being sent by then is given up. */
const maxDrainMs = 10_000;
const drainLookMs = 50;

/** How long a caller may take. */
export interface HttpTimings {
  /** Proxies and HTTP clients hold idle connections for 60 s; one that closes first loses requests under way. */
  readonly keepAliveTimeoutMs: number;
  /** From the connection (or the first byte of the next request) to the end of the headers. */
  readonly headersTimeoutMs: number;
  /** To the end of the body: 16 MiB at 2.2 Mbit/s. Beyond, 408 and the end of the connection. */
  readonly requestTimeoutMs: number;
  readonly checkIntervalMs: number;
}

export const httpTimings: HttpTimings = {
  keepAliveTimeoutMs: 72_000,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 60_000,
  checkIntervalMs: 5_000,
};

/** Node's HTTP server, on which slow and half-open senders hold a connection for a bounded time. */
export function boundedHttpServer(listener: RequestListener, timings: HttpTimings): Server {
  return createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      noDelay: true,
      // A peer that vanished without a word is noticed by the system.
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      keepAliveTimeout: timings.keepAliveTimeoutMs,
      headersTimeout: timings.headersTimeoutMs,
      requestTimeout: timings.requestTimeoutMs,
      connectionsCheckingInterval: timings.checkIntervalMs,
    },
    listener,
  );
}

/** Closes connections as soon as they are idle while `closing` waits for them, and in the end all. */
export async function drainConnections(server: Server, closing: Promise<unknown>): Promise<void> {
  const idle = setInterval(() => server.closeIdleConnections(), drainLookMs);
  const rest = setTimeout(() => server.closeAllConnections(), maxDrainMs);
  try {
    await closing;
  } finally {
    clearInterval(idle);
    clearTimeout(rest);
  }
}
