import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Fit for a header and a line of log; longer or odd ones are replaced. */
const fit = /^[\w.:-]{1,100}$/;

const ofThisProcess = randomBytes(6).toString('base64url');
let count = 0;

/** By which a caller finds its request in the log: its own `x-request-id` where it sent a fit one. */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  if (typeof given === 'string' && fit.test(given)) return given;
  count += 1;
  return `${ofThisProcess}-${count.toString(36)}`;
}
