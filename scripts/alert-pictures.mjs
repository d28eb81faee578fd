// Remakes the pictures of alerts in docs/images: what the channels are sent, drawn as Slack and mail programs draw it.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import chromium from '@sparticuz/chromium';
import { chromium as playwright } from 'playwright-core';
import { emailHtml } from '../packages/server/dist/alert/channels/emailBody.js';
import { slackMessage } from '../packages/server/dist/alert/channels/slackBlocks.js';
import { composeIncident } from '../packages/server/dist/alert/message/compose.js';

const images = path.join(fileURLToPath(new URL('..', import.meta.url)), 'docs/images');
const at = (time) => `2026-03-01T${time}Z`;
const publicUrl = 'https://nowcast.example';

const explanation = {
  sentence:
    'Error rate of v2 is 31 % instead of 1.1 % (28 times) since 02:11:05 UTC, against 01:11 to 02:11 (1 h).',
  metric: 'error_rate',
  unit: '%',
  value: 31,
  baseline: 1.1,
  since: at('02:11:05'),
  causes: [{ dimension: 'feature', value: 'summary', share: 0.94, sentence: '' }],
  cause_sentence: '94 % of the additional errors are of feature summary, which has 20 % of the requests.',
  examples: ['02:11:05', '02:11:09', '02:11:16'].map((time, index) => ({
    id: String(index),
    timestamp: at(time),
    model_version: 'v2',
    inference_time_ms: 5012 + index * 7,
    is_error: true,
    error_message: 'timeout calling the model',
    trace_id: `4bf92f3577b34da${index}`,
    feature: 'summary',
    user_id: null,
  })),
  deployed: [{ what: 'feature', value: 'summary', first_seen_at: at('02:05:00') }],
  data_age_seconds: 1,
};
const alert = {
  id: 1,
  rule: 'error_failure',
  ruleKind: 'error_failure',
  alertType: 'error_rate',
  severity: 'critical',
  message: '31 % of the events of v2 failed in the last 10 s (62 of 200); 1.1 % is usual.',
  labels: { model_version: 'v2' },
  timestamp: new Date(at('02:11:12')),
  status: 'firing',
  explanation,
};
const incident = {
  id: '7',
  openedAt: new Date(at('02:11:12')),
  closedAt: null,
  severity: 'critical',
  title: alert.message,
  models: ['v2'],
  rules: ['error_failure'],
  alertCount: 1,
  openCount: 1,
  acknowledged: false,
  acknowledgedBy: null,
  silenced: false,
  repeatIntervalMs: 3_600_000,
  alerts: [alert],
};
const stopped = {
  ...alert,
  rule: 'traffic_stopped',
  ruleKind: 'traffic_stopped',
  alertType: 'traffic_stopped',
  message: 'No event of v2 for 60 s; 1,200 were to be expected.',
  explanation: null,
};
const broken = {
  ...alert,
  rule: 'monitor_broken',
  ruleKind: 'monitor_broken',
  alertType: 'monitor_broken',
  labels: {},
  message: 'The canary did not arrive: the stage store does not work.',
  explanation: null,
};
const of = (one, more = {}) => ({
  ...incident,
  title: one.message,
  models: one.labels.model_version ? ['v2'] : [],
  rules: [one.rule],
  alerts: [one],
  ...more,
});
const tell = (news, step, time = '02:11:14') =>
  composeIncident(news, { step, now: new Date(at(time)), publicUrl });

const firing = tell(incident, 'firing');
const over = { closedAt: new Date(at('02:31:00')), openCount: 0 };
const pictures = {
  'alert-slack.png': slackPage([firing]),
  'alert-slack-others.png': slackPage([
    tell(of(stopped), 'firing'),
    tell(of(broken), 'firing'),
    tell(of({ ...alert, explanation: null }, over), 'late', '03:10:00'),
  ]),
  'alert-email.png': emailHtml(firing),
};

mkdirSync(images, { recursive: true });
const browser = await playwright.launch({
  executablePath: await chromium.executablePath(),
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
});
for (const [file, html] of Object.entries(pictures)) {
  const page = await browser.newPage({ viewport: { width: 720, height: 200 } });
  await page.setContent(html);
  await page.screenshot({ path: path.join(images, file), fullPage: true });
  await page.close();
  console.log(`docs/images/${file}`);
}
await browser.close();

/** Blocks as Slack draws them, without its interface. */
function slackPage(messages) {
  const drawn = messages.map(
    (message) => `<div class="message">${slackMessage(message).blocks.map(block).join('')}</div>`,
  );
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; padding: 16px 20px; background: #fff; color: #1d1c1d; font: 15px/1.47 Lato, system-ui, sans-serif; }
    .message { border-left: 4px solid #ddd; padding-left: 12px; margin: 4px 0 18px; }
    h1 { font-size: 18px; margin: 0 0 8px; } p { margin: 0 0 8px; }
    .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; margin: 0 0 8px; }
    .button { display: inline-block; border: 1px solid #bbb; border-radius: 4px; padding: 4px 12px; font-weight: 700; margin: 0 8px 8px 0; }
    .context { color: #616061; font-size: 13px; margin: 0; }
  </style>${drawn.join('')}`;
}

function block({ type, text, fields, elements }) {
  if (type === 'header') return `<h1>${signs(escapeHtml(text.text))}</h1>`;
  if (type === 'section' && fields)
    return `<div class="fields">${fields.map((field) => `<div>${mrkdwn(field.text)}</div>`).join('')}</div>`;
  if (type === 'section') return `<p>${mrkdwn(text.text)}</p>`;
  if (type === 'actions')
    return elements.map((element) => `<span class="button">${escapeHtml(element.text.text)}</span>`).join('');
  return `<p class="context">${mrkdwn(elements[0].text)}</p>`;
}

/** Slack's markup is escaped already; what is left of "<" are its dates. */
function mrkdwn(text) {
  return text
    .replace(/<!date\^(\d+)\^[^|]*\|[^>]*>/g, (_, seconds) =>
      new Date(seconds * 1000).toISOString().slice(11, 19),
    )
    .replace(/\*([^*\n]+)\*/g, '<b>$1</b>')
    .replace(':hourglass: ', '')
    .replace(':point_right:', '→')
    .replaceAll('\n', '<br>');
}

/** Fonts of servers have no emoji. */
function signs(text) {
  const colours = { '🔴': '#e01e5a', '🟡': '#ecb22e', '🟢': '#2eb67d', '🔵': '#36c5f0' };
  return text.replace(/^[🔴🟡🟢🔵]/u, (sign) => `<span style="color:${colours[sign]}">●</span>`);
}

function escapeHtml(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
