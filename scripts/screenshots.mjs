// Remakes the pictures in docs/images: a Nowcast of its own, an hour of made-up traffic, a real browser.
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
  await sendTraffic();
  mkdirSync(images, { recursive: true });
  const browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  });
  for (const { file, width, height, colorScheme } of pictures) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' });
    await page.goto(url);
    await page.locator('.recharts-surface').first().waitFor();
    await page.getByText('v2').first().waitFor();
    await page.screenshot({ path: path.join(images, file) });
    await page.close();
    console.log(`docs/images/${file}`);
  }
  await browser.close();
} finally {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGTERM');
  await ended;
  rmSync(dataDir, { recursive: true, force: true });
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
  for (let at = 0; at < events.length; at += 1_000) {
    const answer = await fetch(`${url}/telemetry/inference/batch`, {
      method: 'POST',
      body: JSON.stringify(events.slice(at, at + 1_000)),
    });
    if (!answer.ok) throw new Error(await answer.text());
  }
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
