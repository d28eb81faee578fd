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
  /** Its signal ends the attempt, and is told when time is up. */
  readonly attempt?: AbortController;
}

export type PostBody = string | Uint8Array<ArrayBuffer>;

/** One POST, whose promise is rejected where no status came back. */
export type Send = (
  url: string,
  request: {
    readonly headers: Record<string, string>;
    readonly body: PostBody;
    readonly signal: AbortSignal;
  },
) => Promise<{ readonly status: number; readonly retryAfter: string | null; readonly text: string }>;

export const maxAnswerBytes = 64 * 1024;

/** Sends JSON once. Never throws: what fails is an answer too. */
export async function post(
  path: string,
  body: PostBody,
  { url, key, send, timeoutMs, gzip, attempt = new AbortController() }: PostOptions,
): Promise<Answer> {
  const timer = unref(setTimeout(() => attempt.abort(), timeoutMs));
  try {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (key !== undefined) headers.authorization = `Bearer ${key}`;
    let sent = body;
    if (gzip !== undefined) {
      sent = await gzip();
      headers['content-encoding'] = 'gzip';
    }
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

/** `fetch` only says that it failed; its cause says why. */
function causeOf(error: unknown): string {
  const { cause } = Object(error) as { cause?: { code?: string } };
  return cause?.code ?? messageOf(cause ?? error);
}

/** Anything can be thrown. */
export function messageOf(error: unknown): string {
  return String((error as Error | undefined)?.message ?? error);
}

/** A timer that keeps no process alive. */
export function unref<Timer>(timer: Timer): Timer {
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
