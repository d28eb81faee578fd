import type { Message } from '../message/message.ts';
import { type Attempt, DeliveryError, type Receipt } from './channel.ts';
import type { AddressGuard } from './http/addressGuard.ts';
import { assertTaken, request, retryAfterOf } from './http/request.ts';
import { slackMessage } from './slackBlocks.ts';
import { wordOf } from './slackWebhook.ts';

export interface SlackBotOptions {
  readonly apiUrl: string;
  readonly token: string;
  /** An id such as C0123456789; with a name, what may have been sent cannot be looked up. */
  readonly channel: string;
}

/** Slack's own trouble, which passes (https://docs.slack.dev/reference/methods/chat.postMessage#errors). */
const passing = [
  'ratelimited',
  'rate_limited',
  'internal_error',
  'fatal_error',
  'request_timeout',
  'service_unavailable',
  'team_added_to_org',
];
/** The message that was to be changed is out of reach; what follows goes on without it. */
const lost = ['message_not_found', 'cant_update_message', 'edit_window_closed', 'thread_not_found'];
const metadataType = 'nowcast_alert';
/** Messages looked through for one that may have been sent. */
const lookBack = 100;

interface SlackAnswer {
  readonly ok: boolean;
  readonly error?: string;
  readonly ts?: string;
  readonly channel?: string;
  readonly messages?: readonly {
    readonly ts: string;
    readonly metadata?: { readonly event_payload?: { readonly key?: string } };
  }[];
}

/**
 * Slack by bot token: one message an incident that is kept up to date, and what is worth a noise in its thread. Each
 * message carries its key as metadata, so one that may have been sent is looked up instead of sent twice.
 */
export function slackBot({ apiUrl, token, channel }: SlackBotOptions, guard: AddressGuard) {
  return async (message: Message, attempt: Attempt): Promise<Receipt> => {
    const first = referenceOf(attempt.reference);
    const { text, blocks } = slackMessage(message);
    if (first === undefined) {
      const found = attempt.maybeDelivered ? await find(undefined, attempt) : undefined;
      const sent = found ?? (await post({ text, blocks }, attempt));
      return { reference: { ts: sent.ts, channel: sent.channel } };
    }
    const gone = await change(first, { text, blocks }, attempt);
    if (message.step === 'update') return {};
    if (!(attempt.maybeDelivered && (await find(first, attempt)) !== undefined)) {
      await post(
        gone
          ? { text, blocks }
          : // What matters is seen in the channel too; the end stays in the thread.
            { text, blocks, thread_ts: first.ts, reply_broadcast: message.step !== 'resolved' },
        attempt,
      );
    }
    return {};
  };

  async function post(
    content: Record<string, unknown>,
    { idempotencyKey, signal }: Attempt,
  ): Promise<{ ts: string; channel: string }> {
    const answer = await call(
      'chat.postMessage',
      {
        channel,
        ...content,
        unfurl_links: false,
        unfurl_media: false,
        metadata: { event_type: metadataType, event_payload: { key: idempotencyKey } },
      },
      signal,
    );
    return { ts: answer.ts ?? '', channel: answer.channel ?? channel };
  }

  /** @returns whether the message is out of reach */
  async function change(
    first: { ts: string; channel: string },
    content: Record<string, unknown>,
    { signal }: Attempt,
  ): Promise<boolean> {
    try {
      await call('chat.update', { channel: first.channel, ts: first.ts, ...content }, signal);
      return false;
    } catch (error) {
      if (error instanceof SlackRefusal && lost.includes(error.word)) return true;
      throw error;
    }
  }

  /** A message of ours by its key: in the channel, or in the thread of the first one. */
  async function find(
    first: { ts: string; channel: string } | undefined,
    { idempotencyKey, signal }: Attempt,
  ): Promise<{ ts: string; channel: string } | undefined> {
    const place = first === undefined ? { channel } : { channel: first.channel, ts: first.ts };
    const parameters = new URLSearchParams({
      ...place,
      limit: String(lookBack),
      include_all_metadata: 'true',
    });
    const method = first === undefined ? 'conversations.history' : 'conversations.replies';
    try {
      const { messages = [] } = await call(`${method}?${parameters}`, undefined, signal);
      const found = messages.find(({ metadata }) => metadata?.event_payload?.key === idempotencyKey);
      return found && { ts: found.ts, channel: place.channel };
    } catch (error) {
      // A bot that may not read (missing_scope), or a channel given by name: rather twice than never.
      if (error instanceof SlackRefusal && !error.retry) return undefined;
      throw error;
    }
  }

  async function call(method: string, body: unknown, signal: AbortSignal): Promise<SlackAnswer> {
    const answer = await request(
      `${apiUrl}/${method}`,
      {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      guard,
      signal,
    );
    assertTaken(answer);
    const parsed = parse(answer.text);
    if (parsed.ok) return parsed;
    throw new SlackRefusal(
      wordOf(parsed.error ?? '') || 'an error without a name',
      retryAfterOf(answer.headers['retry-after']),
    );
  }
}

/** Slack answers 200 also when it refuses. */
class SlackRefusal extends DeliveryError {
  readonly word: string;

  constructor(word: string, retryAfterMs: number | undefined) {
    super(`refused: ${word}`, {
      retry: passing.includes(word),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
    this.word = word;
  }
}

function parse(text: string): SlackAnswer {
  try {
    const parsed = JSON.parse(text) as SlackAnswer | null;
    if (typeof parsed === 'object' && parsed !== null && typeof parsed.ok === 'boolean') return parsed;
  } catch {
    // Said below.
  }
  throw new DeliveryError('the answer is not that of Slack', { retry: true, maybeDelivered: true });
}

function referenceOf(reference: Attempt['reference']): { ts: string; channel: string } | undefined {
  const { ts, channel } = reference ?? {};
  return typeof ts === 'string' && ts !== '' && typeof channel === 'string' ? { ts, channel } : undefined;
}
