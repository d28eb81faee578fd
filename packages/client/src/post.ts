/** What an answer means for what was sent. */
export type Answer =
  | { readonly kind: 'stored'; readonly body: Record<string, unknown> }
  | { readonly kind: 'retry'; readonly why: string; readonly retryAfterMs?: number | undefined }
  | { readonly kind: 'too_large'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string };

export interface PostOptions {
  readonly url: string;
  readonly key: string | undefined;
  readonly send: Send;
  readonly timeoutMs: number;
  /** The body compressed, where that is worth it. */
  readonly gzip?: (() => Promise<Uint8Array<ArrayBuffer>>) | undefined;
  /** Ends the attempt early. */
  readonly signal: AbortSignal;
}

/** One POST, whose promise is rejected where no status came back. */
export type Send = (
  url: string,
  request: {
    readonly headers: Record<string, string>;
    readonly body: string | Uint8Array<ArrayBuffer>;
    readonly signal: AbortSignal;
  },
) => Promise<{ readonly status: number; readonly retryAfter: string | null; readonly text: string }>;

export const maxAnswerBytes = 64 * 1024;

/** Sends JSON once. Never throws: what fails is an answer too. */
export async function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  { url, key, send, timeoutMs, gzip, signal }: PostOptions,
): Promise<Answer> {
  const attempt = new AbortController();
  const abort = () => attempt.abort();
  const timer = unref(setTimeout(abort, timeoutMs));
  signal.addEventListener('abort', abort);
  try {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (key !== undefined) headers.authorization = `Bearer ${key}`;
    let sent = body;
    if (gzip !== undefined) {
      sent = await gzip();
      headers['content-encoding'] = 'gzip';
    }
    if (signal.aborted) abort();
    const { status, retryAfter, text } = await send(url + path, {
      headers,
      body: sent,
      signal: attempt.signal,
    });
    return meaningOf(status, retryAfter, text);
  } catch (error) {
    const why = attempt.signal.aborted ? `no answer within ${timeoutMs} ms` : causeOf(error);
    return { kind: 'retry', why };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** A 2xx is a commit, whatever becomes of the rest of the answer. */
function meaningOf(status: number, retryAfter: string | null, text: string): Answer {
  if (status >= 200 && status < 300) return { kind: 'stored', body: parsed(text) };
  const why = `${status} ${text.slice(0, 200)}`;
  if (status === 413) return { kind: 'too_large', why };
  if (status >= 500 || [408, 425, 429].includes(status))
    return { kind: 'retry', why, retryAfterMs: milliseconds(retryAfter) };
  return { kind: 'refused', why };
}

/** `Retry-After` is seconds or a date. */
function milliseconds(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : Date.parse(retryAfter) - Date.now();
  return ms >= 0 ? ms : undefined;
}

function parsed(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    // Cut off on its way: the status has said what counts.
    return {};
  }
}

function causeOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? message ?? String(error);
}

/** A timer that keeps no process alive. */
export function unref<Timer>(timer: Timer): Timer {
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
