import { maxAnswerBytes, type Send } from './post.ts';

/** Sends by the platform's own `fetch`. */
export const fetchSend = async (
  url: string,
  request: Parameters<Send>[1],
  further?: RequestInit,
): ReturnType<Send> => {
  const response = await fetch(url, { method: 'POST', redirect: 'manual', ...request, ...further });
  // Cut off on its way: the status has said what counts.
  const text = await readBounded(response).catch(() => '');
  return { status: response.status, retryAfter: response.headers.get('retry-after'), text };
};

async function readBounded(response: Response): Promise<string> {
  if (response.body === null) return '';
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    bytes += value.length;
    if (bytes > maxAnswerBytes) {
      await reader.cancel();
      return text;
    }
  }
}
