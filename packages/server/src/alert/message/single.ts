import type { Message } from './message.ts';
import { oneLine } from './words.ts';

/** A piece of news that belongs to no incident: a test, a digest. */
export interface SingleNews {
  readonly id: string;
  readonly kind: string;
  readonly createdAt: Date;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** From the payload: `title`, `text`, `lines` (label and value, or plain texts), `link` (a path of the page). */
export function composeSingle({ id, kind, createdAt, payload }: SingleNews, publicUrl: string): Message {
  const text = (name: string) => (typeof payload[name] === 'string' ? payload[name] : '');
  const lines = Array.isArray(payload.lines) ? payload.lines.filter((line) => typeof line === 'string') : [];
  return {
    key: `nowcast-news-${id}-${createdAt.getTime()}`,
    step: 'once',
    tone: 'info',
    trouble: null,
    headline: oneLine(text('title') || (kind === 'test' ? 'A test of this channel' : 'News of Nowcast'), 250),
    lead: text('text'),
    cause: '',
    facts: [],
    others: lines,
    examples: [],
    deployed: [],
    advice: '',
    freshness: '',
    late: '',
    since: createdAt,
    until: null,
    links: [
      { text: 'Open Nowcast', url: `${publicUrl}${text('link').startsWith('/') ? text('link') : '/'}` },
    ],
    subject: null,
  };
}
