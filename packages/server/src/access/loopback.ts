import type { IncomingHttpHeaders } from 'node:http';
import { HttpError } from '../ingest/httpError.ts';

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

/** Whether a Host header or the host of an Origin names this machine. */
export function isLoopbackHost(host: string | undefined): boolean {
  if (host === undefined) return false;
  // Every request of a connection brings the same one.
  if (host === lastHost) return lastHostIsLoopback;
  // The port does not matter; an IPv6 address stands in brackets.
  const name = host.toLowerCase().replace(/:\d+$/, '');
  lastHost = host;
  lastHostIsLoopback =
    loopbackNames.has(name) || /^127(\.\d{1,3}){3}$/.test(name) || name.endsWith('.localhost');
  return lastHostIsLoopback;
}
let lastHost: string | undefined;
let lastHostIsLoopback = false;

/** Whether a request may come from a page at this origin; requests without one do not come from pages. */
export function isLoopbackOrigin(origin: string | undefined): boolean {
  if (origin === undefined) return true;
  try {
    return isLoopbackHost(new URL(origin).host);
  } catch {
    // "null": a sandboxed frame or a file.
    return false;
  }
}

/**
 * Without keys, anybody who can reach the port may write. It listens on loopback, but a web page can make a
 * browser send there, and a rebound name can make it look like its own host: both show in Host and Origin.
 *
 * @throws HttpError 403
 */
export function assertLoopback(headers: IncomingHttpHeaders): void {
  if (isLoopbackHost(headers.host) && isLoopbackOrigin(headers.origin)) return;
  throw new HttpError(
    403,
    'forbidden',
    'without keys only requests from this machine are taken: Host and Origin must be loopback',
  );
}
