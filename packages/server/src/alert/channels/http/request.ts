import http from 'node:http';
import https from 'node:https';
import { afterWaiting } from '../../../patience.ts';
import { DeliveryError } from '../channel.ts';
import { type AddressGuard, ForbiddenTarget } from './addressGuard.ts';

const timeoutMs = 5_000;
/** Of an answer: more is not read. */
const maxAnswerBytes = 64 * 1024;

export interface OutgoingRequest {
  readonly method?: 'POST' | 'PATCH' | 'GET';
  readonly headers?: Readonly<Record<string, string>>;
  /** Already encoded. */
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/**
 * One request to a checked address, within five seconds, without redirects. The name goes into Host and the certificate's
 * check; the connection goes to the address that was checked.
 *
 * @throws DeliveryError without any part of the URL, which may be a secret
 */
export async function request(
  target: string,
  { method = 'POST', headers = {}, body }: OutgoingRequest,
  guard: AddressGuard,
  signal: AbortSignal,
): Promise<Answer> {
  const url = new URL(target);
  if (url.protocol !== 'https:' && !guard.allows(url.hostname)) {
    throw new DeliveryError('the URL must begin with https:// unless NOWCAST_WEBHOOK_ALLOW names its host', {
      retry: false,
    });
  }
  const { address, family } = await guard.check(url.hostname).catch((error: unknown) => {
    if (error instanceof ForbiddenTarget) throw new DeliveryError(error.message, { retry: false });
    throw new DeliveryError(`the host cannot be resolved (${codeOf(error)})`, { retry: true });
  });
  const late = new AbortController();
  const callOff = afterWaiting(timeoutMs, () => late.abort());
  const limit = AbortSignal.any([signal, late.signal]);
  let sent = false;
  return await new Promise<Answer>((resolve, reject) => {
    const fail = (error: unknown) => {
      const what = limit.aborted
        ? `no answer within ${timeoutMs / 1000} s`
        : `the connection failed (${codeOf(error)})`;
      reject(new DeliveryError(what, { retry: true, maybeDelivered: sent }));
    };
    const outgoing = (url.protocol === 'https:' ? https : http).request(
      url,
      {
        method,
        headers: {
          'user-agent': 'nowcast',
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
        // A connection of its own: a pooled one could end between two messages, whose fate is then unknown.
        agent: false,
        signal: limit,
        lookup: (_host, options, callback) => {
          if (options.all === true) callback(null, [{ address, family }]);
          else callback(null, address, family);
        },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= maxAnswerBytes) chunks.push(chunk);
          else answer.destroy();
        });
        answer.on('error', fail);
        // The status says enough where the answer is too long.
        answer.on('close', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    outgoing.on('error', fail);
    outgoing.on('finish', () => {
      sent = true;
    });
    outgoing.end(body);
  }).finally(callOff);
}

/** @throws DeliveryError unless the status says that the message was taken */
export function assertTaken({ status, headers }: Answer, detail = ''): void {
  if (status >= 200 && status < 300) return;
  const said = detail === '' ? '' : ` (${detail})`;
  if (status >= 300 && status < 400) {
    throw new DeliveryError(`answered ${status}, a redirect, which is not followed`, { retry: false });
  }
  const retry = status >= 500 || status === 408 || status === 429;
  const retryAfterMs = retry ? retryAfterOf(headers['retry-after']) : undefined;
  throw new DeliveryError(`answered ${status}${said}`, {
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

const longestRetryAfterMs = 3_600_000;

/** Seconds or a date (RFC 9110, 10.2.3). */
export function retryAfterOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const waitMs = /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), longestRetryAfterMs);
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'unknown reason';
}
