import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { busyPercent, PageMeter } from '../../../bench/src/measure/browser.ts';
import { event, events, eventually, firstPaintMs, panel, tileValue } from './support/live.ts';
import { startPages } from './support/pages.ts';

/** Times are printed, not asserted: a busy machine would fail them. `npm run bench -- --only page` measures them. */
const maxFirstViewBytes = 250_000;

const pages = startPages();

test('the first view needs at most 250 KB of JavaScript, charts included, and paints soon', async () => {
  await pages.server.postOne(event());
  const { page, requests, close } = await pages.open();
  await page.locator('[data-panel="Latency"] .recharts-surface').first().waitFor();
  const scripts = requests.filter((url) => url.endsWith('.js'));
  expect(scripts.length).toBeGreaterThan(1);
  let bytes = 0;
  for (const url of scripts) {
    const file = fileURLToPath(new URL(`../dist${new URL(url).pathname}`, import.meta.url));
    bytes += gzipSync(await readFile(file)).length;
  }
  const firstPaint = await firstPaintMs(page);
  console.log(
    `first view: ${(bytes / 1_000).toFixed(1)} KB gzip of JavaScript, first paint after ${firstPaint.toFixed(0)} ms`,
  );
  expect(bytes).toBeLessThanOrEqual(maxFirstViewBytes);
  await close();
});

test('at 10,000 events a second the page stays quiet and its memory flat', async () => {
  const { page, close } = await pages.open();
  const meter = await PageMeter.of(page);
  const stop = sendLoad(10_000);
  // Charts are loaded when the page has painted, and are no leak.
  for (const title of ['Requests', 'Latency', 'Error rate', 'Confidence'])
    await panel(page, title).locator('.recharts-surface').first().waitFor();
  await eventually(() => panel(page, 'Live tail').textContent()).toContain('a sample, each second');
  const before = await meter.read();
  const requests = await tileValue(page, 'Requests');
  // Three seconds' worth, on a machine that takes them as fast as that.
  await expect
    .poll(() => tileValue(page, 'Requests'), { timeout: 200_000 })
    .toBeGreaterThan(requests + 30_000);
  const after = await meter.read();
  await stop();
  console.log(
    `main thread busy ${busyPercent(before, after).toFixed(0)} % at 10,000 events/s; heap ${before.heapMb.toFixed(1)} -> ${after.heapMb.toFixed(1)} MB`,
  );
  expect(after.heapMb).toBeLessThan(before.heapMb + 8);
  await close();
});

/** Batches, twenty a second; the returned function ends it. */
function sendLoad(perSecond: number): () => Promise<void> {
  let stopped = false;
  const sent = (async () => {
    let due = performance.now();
    while (!stopped) {
      await pages.server.post(...events(perSecond / 20, (index) => ({ model_version: `load-${index % 4}` })));
      due = Math.max(due + 50, performance.now() - 1_000);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    }
  })();
  return () => {
    stopped = true;
    return sent;
  };
}
