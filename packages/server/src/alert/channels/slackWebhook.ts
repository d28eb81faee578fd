import type { Message } from '../message/message.ts';
import type { Attempt, Receipt } from './channel.ts';
import type { AddressGuard } from './http/addressGuard.ts';
import { assertTaken, request } from './http/request.ts';
import { slackMessage } from './slackBlocks.ts';

/** Slack's incoming webhook: it takes messages and can neither change them nor tell whether it has one. */
export function slackWebhook(url: string, guard: AddressGuard) {
  return async (message: Message, { signal }: Attempt): Promise<Receipt> => {
    const answer = await request(
      url,
      {
        headers: { 'content-type': 'application/json; charset=utf-8' },
        body: JSON.stringify({ ...slackMessage(message), unfurl_links: false }),
      },
      guard,
      signal,
    );
    assertTaken(answer, wordOf(answer.text));
    return {};
  };
}

/** Slack answers with a word, such as no_service; anything else may come from anybody. */
export function wordOf(text: string): string {
  return /^[a-z_]{3,40}$/.test(text.trim()) ? text.trim() : '';
}
