import { fetchSend } from './fetchSend.ts';
import type { Hooked, Hooks } from './nowcast.ts';
import type { Send } from './post.ts';

/** What is used of a page; in a web worker none of it is there. */
interface Page extends Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>> {
  readonly document?: EventTarget & { readonly visibilityState: string };
  readonly navigator?: { sendBeacon?(url: string, body: Blob): boolean };
}

/** Flushes when the page is hidden or left: on a phone, being hidden is often the last thing that a page hears. */
export function pageHooks(): Hooks {
  const page = globalThis as unknown as Page;
  let hooked: Hooked | undefined;
  const leave = () => hooked?.leave(lastSend(page));
  const whenHidden = () => {
    if (page.document?.visibilityState === 'hidden') leave();
  };
  const listen = (change: 'addEventListener' | 'removeEventListener') => {
    page[change]?.('pagehide', leave);
    page.document?.[change]('visibilitychange', whenHidden);
  };
  return {
    add(given) {
      hooked = given;
      listen('addEventListener');
    },
    remove: () => listen('removeEventListener'),
  };
}

/**
 * Requests that outlive their page. Browsers before `keepalive` have beacons, which carry no key and give no answer: what
 * the browser has taken counts as sent.
 */
function lastSend({ navigator }: Page): Send {
  return async (url, request) => {
    if ('keepalive' in Request.prototype || request.headers.authorization !== undefined)
      return fetchSend(url, request, { keepalive: true });
    const type = request.headers['content-type']!;
    const isTaken = navigator?.sendBeacon?.(url, new Blob([request.body], { type }));
    return { status: isTaken ? 200 : 503, retryAfter: null, text: '' };
  };
}
