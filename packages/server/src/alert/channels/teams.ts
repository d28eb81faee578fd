import type { Message, Value } from '../message/message.ts';
import { clip, utc } from '../message/words.ts';
import type { Attempt, Receipt } from './channel.ts';
import type { AddressGuard } from './http/addressGuard.ts';
import { assertTaken, request } from './http/request.ts';

/** Teams takes 28 KB a message; what is composed stays far below with this for each text. */
const maxText = 2_000;

const styles = { critical: 'attention', warning: 'warning', resolved: 'good', info: 'accent' } as const;

/** A workflow of Microsoft Teams ("post to a channel when a webhook request is received"): an adaptive card each time. */
export function teams(url: string, guard: AddressGuard) {
  return async (message: Message, { signal }: Attempt): Promise<Receipt> => {
    const answer = await request(
      url,
      { headers: { 'content-type': 'application/json' }, body: JSON.stringify(teamsMessage(message)) },
      guard,
      signal,
    );
    assertTaken(answer);
    return {};
  };
}

function teamsMessage(message: Message): Record<string, unknown> {
  const text = (words: string, more: Record<string, unknown> = {}) =>
    words === ''
      ? []
      : [{ type: 'TextBlock', text: clip(escapeMarkup(words), maxText), wrap: true, ...more }];
  const list = (title: string, lines: readonly string[]) =>
    lines.length === 0
      ? []
      : [
          ...text(title, { weight: 'bolder', spacing: 'medium' }),
          ...lines.flatMap((line) => text(line, { spacing: 'small' })),
        ];
  const card = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    msteams: { width: 'Full' },
    body: [
      ...text(message.headline, {
        size: 'medium',
        weight: 'bolder',
        color: styles[message.tone],
        style: 'heading',
      }),
      ...text(message.late, { isSubtle: true }),
      ...text(message.lead),
      ...text(message.cause),
      ...(message.facts.length === 0
        ? []
        : [
            {
              type: 'FactSet',
              facts: message.facts.map(({ label, value }) => ({
                title: label,
                value: clip(escapeMarkup(valueText(value)), maxText),
              })),
            },
          ]),
      ...list('Also', message.others),
      ...list(
        'Examples',
        message.examples.map(({ at, text: words }) => `${at === null ? '' : `${valueText(at)} `}${words}`),
      ),
      ...list(
        'New just before',
        message.deployed.map(
          ({ label, value }) =>
            `${label}: ${typeof value === 'string' ? value : `first seen ${valueText(value)}`}`,
        ),
      ),
      ...text(message.advice, { weight: 'bolder' }),
      ...text(message.freshness, { isSubtle: true, size: 'small' }),
    ],
    actions: message.links.map(({ text: title, url }) => ({ type: 'Action.OpenUrl', title, url })),
  };
  return {
    type: 'message',
    attachments: [
      { contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content: card },
    ],
  };
}

/** A text block reads Markdown, links among it. */
function escapeMarkup(text: string): string {
  return text.replace(/[\\*_[\]()`#]/g, '\\$&');
}

function valueText(value: Value): string {
  return typeof value === 'string' ? value : utc(value);
}
