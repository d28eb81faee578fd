// Remakes the pictures of alerts in docs/images: a Nowcast of its own, trouble of four kinds, and what then arrives at a
// Slack webhook and a mail server on loopback, drawn as Slack and mail programs draw it. Takes about five minutes.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import chromium from '@sparticuz/chromium';
import pg from 'pg';
import { chromium as playwright } from 'playwright-core';
import { SMTPServer } from 'smtp-server';
import { startServer } from '../packages/server/dist/server.js';
import { readSettings } from '../packages/server/dist/settings.js';

const images = path.join(fileURLToPath(new URL('..', import.meta.url)), 'docs/images');

const heard = [];
const mails = [];
let slackAnswer = 200;
const slack = createServer(async (request, response) => {
  const text = await new Response(request).text();
  response.writeHead(slackAnswer).end();
  if (slackAnswer === 200) heard.push(JSON.parse(text));
});
await new Promise((resolve) => slack.listen(0, '127.0.0.1', resolve));
const mailServer = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  onData: (stream, _session, done) =>
    new Response(stream).text().then((text) => {
      mails.push(text);
      done();
    }, done),
});
await new Promise((resolve) => mailServer.listen(0, '127.0.0.1', resolve));

const dataDir = mkdtempSync(path.join(os.tmpdir(), 'nowcast-pictures-'));
const settings = readSettings({
  PORT: '0',
  NOWCAST_DATA_DIR: dataDir,
  NOWCAST_LOG_LEVEL: 'error',
  NOWCAST_PUBLIC_URL: 'https://nowcast.example',
  NOWCAST_WEBHOOK_ALLOW: '127.0.0.1',
  SLACK_WEBHOOK_URL: `http://127.0.0.1:${slack.address().port}/services/T/B/x`,
  NOWCAST_SMTP_URL: `smtp://127.0.0.1:${mailServer.server.address().port}`,
  NOWCAST_EMAIL_TO: 'ops@example.org',
  NOWCAST_EMAIL_FROM: 'nowcast@example.org',
});
let server = await startServer(settings);
await sendPast();
// The rules read the past when they begin.
await server.close();
server = await startServer(settings);
const pool = new pg.Pool({
  connectionString: (await readFile(path.join(dataDir, 'postgres.url'), 'utf8')).trim(),
});
const sending = {};
const traffic = setInterval(() => void post(Object.values(sending).map((make) => make())), 100);
try {
  const pictures = await makeTrouble();
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
} finally {
  clearInterval(traffic);
  await pool.end();
  await server.close();
  slack.close();
  mailServer.close();
  rmSync(dataDir, { recursive: true, force: true });
}

async function makeTrouble() {
  const isSummary = () => Math.random() < 0.2;
  console.log('Half a minute in which all is well');
  sending.v1 = () => event('v1', 'search', 0.01);
  sending.v2 = () => event('v2', isSummary() ? 'summary' : 'search', 0.01);
  await delay(30_000);

  console.log('A feature fails');
  sending.v2 = () => (isSummary() ? event('v2', 'summary', 1) : event('v2', 'search', 0.01));
  const firing = await message((text) => text.includes('v2'));
  while (mails.length === 0) await delay(100);
  sending.v2 = () => event('v2', 'search', 0.01);
  await end();

  console.log('A model falls silent');
  delete sending.v1;
  const silent = await message((text) => text.includes('no data'));
  await end();
  sending.v1 = () => event('v1', 'search', 0.01);

  console.log("Nowcast's own delivery breaks");
  await pool.query(`create function pg_temp_stop() returns trigger language plpgsql as 'begin return null; end';
    create trigger stop before insert on nowcast.feed for each row when (new.relation = 'canary') execute function pg_temp_stop()`);
  const broken = await message((text) => text.includes('Nowcast itself'));
  await pool.query('drop trigger stop on nowcast.feed');
  await end();

  console.log('Slack is away while a model fails');
  slackAnswer = 503;
  sending.v2 = () => event('v2', 'search', 0.5);
  while ((await open()) === 0) await delay(200);
  sending.v2 = () => event('v2', 'search', 0.01);
  await delay(5_000);
  await pool.query(`update system_alerts set status = 'resolved' where status = 'firing'`);
  slackAnswer = 200;
  const late = await message((text) => text.includes('late') || text.includes('Resolved'));
  return {
    'alert-slack.png': slackPage([firing]),
    'alert-slack-others.png': slackPage([silent, broken, late]),
    'alert-email.png': htmlOf(mails[0]),
  };
}

function event(model, feature, failing) {
  const fails = Math.random() < failing;
  return {
    model_version: model,
    feature,
    inference_time_ms: fails ? 4_000 + 40 * Math.random() : 300 + 200 * Math.random(),
    confidence_score: 0.9,
    is_error: fails,
    trace_id: Math.floor(Math.random() * 2 ** 48).toString(16),
    ...(fails ? { error_message: 'timeout calling the model' } : {}),
  };
}

/** An hour of two models, ten events a second each; v2 has a new feature for six minutes. */
async function sendPast() {
  console.log('The last hour');
  const now = Date.now();
  for (let agoSeconds = 3_600; agoSeconds > 0; agoSeconds -= 60) {
    await post(
      Array.from({ length: 1_200 }, (_, index) => ({
        ...event(
          index % 2 === 0 ? 'v1' : 'v2',
          agoSeconds < 360 && index % 10 === 1 ? 'summary' : 'search',
          0.01,
        ),
        timestamp: new Date(now - agoSeconds * 1000 + index * 50).toISOString(),
      })),
    );
  }
}

async function post(events) {
  const response = await fetch(`${server.url}/telemetry/inference/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  });
  if (!response.ok) throw new Error(`answered ${response.status}`);
}

/** The next one that fits; others are passed over. */
async function message(fits) {
  for (;;) {
    const one = heard.shift();
    if (one === undefined) await delay(100);
    else if (fits(one.text)) return one;
  }
}

async function open() {
  const { rows } = await pool.query(
    `select count(*)::integer as alerts from system_alerts where status = 'firing'`,
  );
  return rows[0].alerts;
}

/** All alerts end, and Slack is told of it. */
async function end() {
  await delay(15_000);
  await pool.query(`update system_alerts set status = 'resolved' where status = 'firing'`);
  await message((text) => text.includes('Resolved'));
}

/** The part of a mail that mail programs show (RFC 2045: quoted-printable). */
function htmlOf(mail) {
  const part = mail.slice(mail.indexOf('Content-Type: text/html'));
  const body = part.slice(part.indexOf('\r\n\r\n') + 4).split(/\r\n--/)[0];
  if (/^Content-Transfer-Encoding: base64/im.test(part)) return Buffer.from(body, 'base64').toString('utf8');
  const bytes = body
    .replaceAll('=\r\n', '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** Blocks as Slack draws them, without its interface. */
function slackPage(messages) {
  const drawn = messages.map(({ blocks }) => `<div class="message">${blocks.map(block).join('')}</div>`);
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
