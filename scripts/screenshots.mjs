// Remakes the pictures in docs/images: a Nowcast of its own, made-up traffic, a real browser.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import chromium from '@sparticuz/chromium';
import { chromium as playwright } from 'playwright-core';

const root = fileURLToPath(new URL('..', import.meta.url));
const images = path.join(root, 'docs/images');
const port = 4399;
const url = `http://127.0.0.1:${port}`;
const pictures = [
  { file: 'live.png', width: 1280, height: 900, colorScheme: 'light' },
  { file: 'live-dark.png', width: 1280, height: 900, colorScheme: 'dark' },
  { file: 'live-phone.png', width: 390, height: 844, colorScheme: 'light' },
  { file: 'history.png', width: 1280, height: 900, colorScheme: 'light', path: '/history?by=week&last=90d' },
];
const incidentPictures = [
  { file: 'alert.png', width: 1280, height: 900, colorScheme: 'light' },
  { file: 'alert-phone.png', width: 390, height: 844, colorScheme: 'dark' },
];

const dataDir = mkdtempSync(path.join(os.tmpdir(), 'nowcast-pictures-'));
const server = spawn(process.execPath, ['packages/server/bin/nowcast.mjs', 'start'], {
  cwd: root,
  env: { ...process.env, PORT: String(port), NOWCAST_DATA_DIR: dataDir, DATABASE_URL: '' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  await new Promise((resolve, reject) => {
    server.stdout.on('data', (text) => String(text).includes('is ready') && resolve());
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  await sendPast();
  await sendTraffic();
  await closeDays();
  mkdirSync(images, { recursive: true });
  const browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  });
  for (const picture of pictures) {
    await take(browser, picture, async (page) => {
      await page.locator('.recharts-surface').first().waitFor();
      await page.getByText('v2').first().waitFor();
    });
  }
  const incident = await breakSomething();
  for (const picture of incidentPictures) {
    await take(browser, { ...picture, path: `/alerts/${incident}` }, (page) =>
      page.locator('[data-cause]').waitFor(),
    );
  }
  await browser.close();
} finally {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGTERM');
  await ended;
  rmSync(dataDir, { recursive: true, force: true });
}

async function take(browser, { file, width, height, colorScheme, path: place = '/' }, ready) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' });
  await page.goto(url + place);
  await ready(page);
  await page.screenshot({ path: path.join(images, file) });
  await page.close();
  console.log(`docs/images/${file}`);
}

/** Four weeks of both versions; the newer one takes over. */
async function sendPast() {
  const random = generator(11);
  const events = [];
  for (let day = 1; day <= 28; day += 1) {
    for (let index = 0; index < 120; index += 1) {
      const isNew = random() < 0.75 - day / 45;
      events.push({
        timestamp: new Date(Date.now() - day * 86_400_000 + random() * 80_000_000).toISOString(),
        model_version: isNew ? 'ocr-v2' : 'ocr-v1',
        inference_time_ms: Math.exp((isNew ? 4.5 : 4.7) + 0.35 * (random() + random() + random() - 1.5)),
        confidence_score: 0.88 + 0.1 * random(),
        is_error: random() < 0.01,
        feature: random() < 0.7 ? 'upload' : 'scan',
      });
    }
  }
  await send(events);
}

/** Summaries of days are there a few seconds after their events. */
async function closeDays() {
  for (;;) {
    const child = spawn(process.execPath, ['packages/server/bin/nowcast.mjs', 'etl', 'run'], {
      cwd: root,
      env: { ...process.env, NOWCAST_DATA_DIR: dataDir, DATABASE_URL: '' },
      stdio: 'ignore',
    });
    const code = await new Promise((resolve) => child.once('exit', resolve));
    if (code !== 0) throw new Error(`etl run ended with ${code}`);
    if ((await read('daily_metrics_summary?select=date&limit=1000')).length >= 2 * 28) return;
  }
}

/** Scans of the newer version begin to fail; resolves with the incident, once it is explained. */
async function breakSomething() {
  for (;;) {
    await send(
      Array.from({ length: 20 }, (_, index) => ({
        model_version: 'ocr-v2',
        inference_time_ms: 180 + index,
        confidence_score: 0.8,
        feature: index % 2 === 0 ? 'scan' : 'upload',
        is_error: index % 2 === 0,
        error_message: index % 2 === 0 ? 'worker out of memory' : null,
      })),
    );
    const [alert] = await read('system_alerts?explanation=not.is.null&incident_id=not.is.null&limit=1');
    if (alert !== undefined) return alert.incident_id;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

async function read(what) {
  const answer = await fetch(`${url}/rest/v1/${what}`, { headers: { apikey: 'local' } });
  if (!answer.ok) throw new Error(await answer.text());
  return await answer.json();
}

async function send(events) {
  for (let at = 0; at < events.length; at += 1_000) {
    const answer = await fetch(`${url}/telemetry/inference/batch`, {
      method: 'POST',
      body: JSON.stringify(events.slice(at, at + 1_000)),
    });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

/** Two versions of one model, the newer one slower and less sure since a quarter of an hour. */
async function sendTraffic() {
  const random = generator(7);
  const now = Date.now();
  const events = [];
  for (let secondsAgo = 3_590; secondsAgo >= 0; secondsAgo -= 1) {
    const rate = 3 + 2 * Math.sin(secondsAgo / 500);
    for (let index = 0; index < rate + random(); index += 1) {
      const isNew = secondsAgo < 2_400 && random() < 0.35;
      const isWorse = isNew && secondsAgo < 900;
      const isError = random() < (isWorse ? 0.03 : 0.008);
      events.push({
        timestamp: new Date(now - secondsAgo * 1000 - random() * 900).toISOString(),
        model_version: isNew ? 'ocr-v2' : 'ocr-v1',
        inference_time_ms:
          Math.exp(4.7 + 0.35 * (random() + random() + random() - 1.5)) * (isWorse ? 2.1 : 1),
        confidence_score: Math.min(1, Math.max(0, (isWorse ? 0.78 : 0.91) + 0.08 * (random() - 0.5))),
        input_size_bytes: 20_000 + Math.floor(random() * 180_000),
        prediction_class: random() < 0.6 ? 'invoice' : 'receipt',
        is_error: isError,
        error_message: isError ? 'image could not be decoded' : null,
        feature: random() < 0.7 ? 'upload' : 'scan',
      });
    }
  }
  await send(events);
}

/** A small seeded generator (mulberry32), so that the pictures change only when the page does. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
