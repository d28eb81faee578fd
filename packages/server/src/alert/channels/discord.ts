import type { Message, Value } from '../message/message.ts';
import { clip } from '../message/words.ts';
import { type Attempt, DeliveryError, type Receipt } from './channel.ts';
import type { AddressGuard } from './http/addressGuard.ts';
import { assertTaken, request } from './http/request.ts';

/** Limits of an embed, in characters: https://discord.com/developers/docs/resources/message#embed-object-embed-limits. */
const maxTitle = 256;
const maxDescription = 4_096;
const maxFields = 25;
const maxName = 256;
const maxValue = 1_024;
/** Of all texts of an embed together. */
const maxTotal = 6_000;
const footerRoom = 300;

const colours = { critical: 0xd92d20, warning: 0xdc8a00, resolved: 0x2e9e5b, info: 0x3b7ddd } as const;

/** A Discord webhook: one message an incident that is changed in place, and a new one for what is worth a noise. */
export function discord(url: string, guard: AddressGuard) {
  return async (message: Message, { reference, signal }: Attempt): Promise<Receipt> => {
    const body = JSON.stringify(discordMessage(message));
    const headers = { 'content-type': 'application/json' };
    const id = reference?.id;
    if (typeof id === 'string') {
      const answer = await request(changeUrl(url, id), { method: 'PATCH', headers, body }, guard, signal);
      // Somebody deleted it: the news is told all the same.
      if (answer.status !== 404) assertTaken(answer);
      if (message.step === 'update') return {};
    }
    const answer = await request(waitUrl(url), { headers, body }, guard, signal);
    assertTaken(answer);
    return typeof id === 'string' ? {} : { reference: { id: idOf(answer.text) } };
  };
}

/** An embed; nobody is mentioned, whatever an event's text says. */
function discordMessage(message: Message): Record<string, unknown> {
  const fields = [
    ...message.facts.map(({ label, value }) => ({ name: label, value: valueText(value), inline: true })),
    ...listed('Also', message.others.map(escapeMarkup)),
    ...listed(
      'Examples',
      message.examples.map(
        ({ at, text }) => `${at === null ? '' : `${valueText(at)} `}${escapeMarkup(text)}`,
      ),
    ),
    ...listed(
      'New just before',
      message.deployed.map(
        ({ label, value }) =>
          `${escapeMarkup(label)}: ${typeof value === 'string' ? escapeMarkup(value) : `first seen ${valueText(value)}`}`,
      ),
    ),
    ...listed('Do', message.advice === '' ? [] : [escapeMarkup(message.advice)]),
  ].map(({ name, value, inline }) => ({
    name: clip(name, maxName),
    value: clip(value, maxValue),
    inline,
  }));
  const title = clip(message.headline, maxTitle);
  const description = clip(
    [message.late, message.lead, message.cause]
      .filter((text) => text !== '')
      .map(escapeMarkup)
      .join('\n'),
    maxDescription,
  );
  let room = maxTotal - footerRoom - title.length - description.length;
  const fitting = fields.slice(0, maxFields).filter(({ name, value }) => {
    const fits = name.length + value.length <= room;
    if (fits) room -= name.length + value.length;
    return fits;
  });
  return {
    allowed_mentions: { parse: [] },
    embeds: [
      {
        title,
        url: message.links[0]?.url,
        description,
        color: colours[message.tone],
        fields: fitting,
        timestamp: (message.until ?? message.since).toISOString(),
        ...(message.freshness === '' ? {} : { footer: { text: clip(message.freshness, footerRoom) } }),
      },
    ],
  };
}

/** Markdown's characters; mentions are switched off by `allowed_mentions`. */
function escapeMarkup(text: string): string {
  return text.replace(/[\\*_~`|>#[\]()<@]/g, '\\$&');
}

function valueText(value: Value): string {
  return typeof value === 'string' ? escapeMarkup(value) : `<t:${Math.floor(value.getTime() / 1000)}:f>`;
}

function listed(name: string, lines: readonly string[]): { name: string; value: string; inline: boolean }[] {
  return lines.length === 0 ? [] : [{ name, value: lines.join('\n'), inline: false }];
}

function waitUrl(url: string): string {
  const changed = new URL(url);
  changed.searchParams.set('wait', 'true');
  return changed.href;
}

function changeUrl(url: string, id: string): string {
  const changed = new URL(url);
  changed.pathname = `${changed.pathname.replace(/\/$/, '')}/messages/${encodeURIComponent(id)}`;
  return changed.href;
}

function idOf(text: string): string {
  try {
    const { id } = JSON.parse(text) as { id?: unknown };
    if (typeof id === 'string' && /^\d+$/.test(id)) return id;
  } catch {
    // Said below.
  }
  throw new DeliveryError('the answer is not that of Discord', { retry: true, maybeDelivered: true });
}
