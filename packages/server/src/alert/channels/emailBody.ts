import type { Message, Value } from '../message/message.ts';
import { utc } from '../message/words.ts';

const colours = { critical: '#b42318', warning: '#b54708', resolved: '#027a48', info: '#175cd3' } as const;

export function emailText(message: Message): string {
  const { facts, others, examples, deployed, links } = message;
  const parts = [
    message.headline,
    message.late,
    [message.lead, message.cause].filter((text) => text !== '').join('\n'),
    facts.map(({ label, value }) => `${label}: ${valueText(value)}`).join('\n'),
    listed('Also', others),
    listed('Examples', examples.map(exampleText)),
    listed('New just before', deployed.map(deployedText)),
    message.advice,
    message.freshness,
    links.map(({ text, url }) => `${text}: ${url}`).join('\n'),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** Styles stand in the elements: mail programs drop style sheets. */
export function emailHtml(message: Message): string {
  const { facts, others, examples, deployed, links, tone } = message;
  const paragraph = (text: string, style = '') =>
    text === '' ? '' : `<p style="margin:0 0 12px;${style}">${escapeHtml(text)}</p>`;
  const list = (title: string, lines: readonly string[]) =>
    lines.length === 0
      ? ''
      : `<p style="margin:16px 0 4px;font-weight:600">${escapeHtml(title)}</p><ul style="margin:0 0 12px;padding-left:20px">${lines
          .map((line) => `<li style="margin:2px 0">${escapeHtml(line)}</li>`)
          .join('')}</ul>`;
  const rows = facts
    .map(
      ({ label, value }) =>
        `<tr><td style="padding:2px 16px 2px 0;color:#667085;white-space:nowrap">${escapeHtml(label)}</td><td style="padding:2px 0">${escapeHtml(valueText(value))}</td></tr>`,
    )
    .join('');
  const buttons = links
    .map(
      ({ text, url }) =>
        `<a href="${escapeHtml(url)}" style="display:inline-block;padding:8px 14px;margin-right:8px;border-radius:6px;background:${colours[tone]};color:#ffffff;text-decoration:none">${escapeHtml(text)}</a>`,
    )
    .join('');
  return [
    '<!doctype html><html lang="en"><body style="margin:0;background:#f5f6f8;font:15px/1.5 system-ui,sans-serif;color:#101828">',
    `<div style="max-width:640px;margin:0 auto;padding:24px;background:#ffffff;border-top:4px solid ${colours[tone]}">`,
    `<h1 style="margin:0 0 12px;font-size:19px;line-height:1.35;color:${colours[tone]}">${escapeHtml(message.headline)}</h1>`,
    paragraph(message.late, 'color:#667085'),
    paragraph(message.lead),
    paragraph(message.cause),
    rows === '' ? '' : `<table style="border-collapse:collapse;margin:0 0 12px">${rows}</table>`,
    list('Also', others),
    list('Examples', examples.map(exampleText)),
    list('New just before', deployed.map(deployedText)),
    paragraph(message.advice, 'font-weight:600'),
    `<p style="margin:16px 0">${buttons}</p>`,
    paragraph(message.freshness, 'color:#667085;font-size:13px'),
    '</div></body></html>',
  ].join('');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

function valueText(value: Value): string {
  return typeof value === 'string' ? value : utc(value);
}

function exampleText({ at, text }: Message['examples'][number]): string {
  return `${at === null ? '' : `${utc(at)} · `}${text}`;
}

function deployedText({ label, value }: Message['deployed'][number]): string {
  return `${label}: ${typeof value === 'string' ? value : `first seen ${utc(value)}`}`;
}

function listed(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : [`${title}:`, ...lines.map((line) => `- ${line}`)].join('\n');
}
