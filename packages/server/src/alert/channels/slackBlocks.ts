import type { Fact, Message, Value } from '../message/message.ts';
import { clip, utc } from '../message/words.ts';

/** Limits of Slack's Block Kit, in characters; a block beyond them makes Slack refuse the whole message. */
const maxHeader = 150;
const maxSection = 3_000;
const maxField = 2_000;
const maxFields = 10;

const signs = { critical: '🔴', warning: '🟡', resolved: '🟢', info: '🔵' } as const;

interface SlackText {
  readonly text: string;
  readonly blocks: readonly object[];
}

/** Block Kit, and the text that notifications show. */
export function slackMessage(message: Message): SlackText {
  const title = `${signs[message.tone]} ${message.headline}`;
  const blocks: object[] = [
    { type: 'header', text: { type: 'plain_text', text: clip(title, maxHeader), emoji: true } },
  ];
  const section = (text: string) => {
    if (text !== '') blocks.push({ type: 'section', text: { type: 'mrkdwn', text: clip(text, maxSection) } });
  };
  const context = (text: string) => {
    if (text !== '')
      blocks.push({ type: 'context', elements: [{ type: 'mrkdwn', text: clip(text, maxSection) }] });
  };
  // A header is cut early; what it loses stands below it.
  if (title.length > maxHeader) section(escapeMarkup(message.headline));
  if (message.late !== '') section(`:hourglass: ${escapeMarkup(message.late)}`);
  section(
    [message.lead, message.cause]
      .filter((text) => text !== '')
      .map(escapeMarkup)
      .join('\n'),
  );
  if (message.facts.length > 0) {
    blocks.push({
      type: 'section',
      fields: message.facts.slice(0, maxFields).map(({ label, value }) => ({
        type: 'mrkdwn',
        text: clip(`*${escapeMarkup(label)}*\n${valueText(value)}`, maxField),
      })),
    });
  }
  section(listed(message.subject === null ? '' : 'Also', message.others.map(escapeMarkup)));
  section(
    listed(
      'Examples',
      message.examples.map(
        ({ at, text }) => `${at === null ? '' : `${valueText(at)} `}${escapeMarkup(text)}`,
      ),
    ),
  );
  section(listed('New just before', message.deployed.map(factLine)));
  if (message.advice !== '') section(`:point_right: ${escapeMarkup(message.advice)}`);
  if (message.links.length > 0) {
    blocks.push({
      type: 'actions',
      elements: message.links.map(({ text, url }, index) => ({
        type: 'button',
        text: { type: 'plain_text', text: clip(text, 75) },
        url: url.slice(0, 3_000),
        action_id: `open_${index}`,
      })),
    });
  }
  context(escapeMarkup(message.freshness));
  return { text: clip(escapeMarkup(title), maxSection), blocks };
}

/** Slack's three control characters (https://docs.slack.dev/messaging/formatting-message-text). */
function escapeMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Each reader sees their own time. */
function valueText(value: Value): string {
  if (typeof value === 'string') return escapeMarkup(value);
  return `<!date^${Math.floor(value.getTime() / 1000)}^{date_short_pretty} {time_secs}|${utc(value)}>`;
}

function factLine({ label, value }: Fact): string {
  return `${escapeMarkup(label)}: ${typeof value === 'string' ? escapeMarkup(value) : `first seen ${valueText(value)}`}`;
}

function listed(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return [...(title === '' ? [] : [`*${title}*`]), ...lines.map((line) => `• ${line}`)].join('\n');
}
