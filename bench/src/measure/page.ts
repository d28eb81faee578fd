/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The page in a real browser: how soon a cold one shows something and is live, how soon an event is on the screen at
 * 1,000 events/s, how busy its main thread is at 10,000. Whether its memory stays flat for longer is `memory.ts`'s question.
 */
import type { Browser } from 'playwright-core';
import type { Bench } from '../bench.ts';
import { sleep } from '../load/clock.ts';
import type { HttpLoad } from '../load/http-load.ts';
import { alone, isMissing, type Row } from '../row.ts';
import type { NowcastSide } from '../side/nowcast.ts';
import { busyPercent, launchBrowser, openView, PageMeter } from './browser.ts';
import type { Measurement } from './measurement.ts';

const COLD_OPENINGS = 5;
const PROBES = 150;
const PROBE_MODEL = 'probe';
const BUSY_MS = 60_000;

export const page: Measurement = { name: 'page', title: 'the page in Chromium', slow: true, run };

async function run(bench: Bench): Promise<Row[]> {
  const nowcast = await bench.nowcast();
  if (isMissing(nowcast)) return [alone({ what: 'page', unit: 'ms', ours: nowcast })];
  const browser = await launchBrowser();
  try {
    await bench.http('page: some events first', nowcast, load(bench, 1_000, 1, 2_000));
    const cold = await coldOpenings(browser, nowcast);
    const pixelMs = await postToPixel(bench, browser, nowcast);
    const busy = await underLoad(bench, browser, nowcast);
    return [
      alone({
        what: 'first contentful paint, cold cache',
        unit: 'ms',
        ours: cold.paintMs,
        target: { atMost: 1_000 },
      }),
      alone({ what: 'live, cold cache', unit: 'ms', ours: cold.liveMs, target: { atMost: 2_000 } }),
      alone({
        what: `POST to pixel at 1,000 events/s, p50 of ${PROBES}`,
        unit: 'ms',
        ours: [quantile(pixelMs, 0.5)],
      }),
      alone({
        what: `POST to pixel at 1,000 events/s, p99 of ${PROBES}`,
        unit: 'ms',
        ours: [quantile(pixelMs, 0.99)],
        target: { atMost: 300 },
      }),
      alone({
        what: 'main thread busy at 10,000 events/s',
        unit: '%',
        ours: [busy.busyPercent],
        target: { atMost: 30 },
      }),
      alone({ what: 'memory of the page before', unit: 'MB', ours: [busy.heapBeforeMb] }),
      alone({
        what: `memory of the page after ${Math.round(busy.seconds)} s of it`,
        unit: 'MB',
        ours: [busy.heapAfterMb],
      }),
    ];
  } finally {
    await browser.close();
  }
}

async function coldOpenings(browser: Browser, nowcast: NowcastSide) {
  const paintMs: number[] = [];
  const liveMs: number[] = [];
  for (let opening = 0; opening < COLD_OPENINGS; opening += 1) {
    const startedAt = performance.now();
    const opened = await openView(browser, nowcast);
    await opened.locator('[data-panel="Requests"][data-state="live"]').waitFor();
    liveMs.push(performance.now() - startedAt);
    paintMs.push(
      await opened.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]!.startTime),
    );
    await opened.context().close();
  }
  return { paintMs, liveMs };
}

declare global {
  interface Window {
    firstSeen(requests: number): Promise<number>;
  }
}

/** Each probe is an event of a model of its own; the tile that counts it tells when it was on the screen. */
async function postToPixel(bench: Bench, browser: Browser, nowcast: NowcastSide): Promise<number[]> {
  const post = async () => {
    const answer = await fetch(`http://127.0.0.1:${nowcast.port}/telemetry/inference`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model_version: PROBE_MODEL, inference_time_ms: 100, confidence_score: 0.9 }),
    });
    if (answer.status !== 200) throw new Error(`a probe was answered ${answer.status}`);
    bench.expectStored(nowcast.databaseUrl, 1);
  };
  await post();
  const opened = await openView(browser, nowcast, `/?model=${PROBE_MODEL}`);
  const requests = opened.locator('[data-panel="tile Requests"] output');
  while ((await requests.textContent()) !== '1') await sleep(20);
  await opened.evaluate(watchRequests);
  const running = bench.http('page: 1,000 events/s', nowcast, load(bench, 1_000, 1, PROBES * 130));
  const took: number[] = [];
  for (let count = 2; count <= PROBES + 1; count += 1) {
    const postedAt = Date.now();
    await post();
    took.push((await opened.evaluate((wanted) => window.firstSeen(wanted), count)) - postedAt);
    // Not in step with the page's own rhythm.
    await sleep(Math.random() * 40);
  }
  await running;
  await opened.context().close();
  return took;
}

/** In the page: when the tile first showed so many requests, as a time of day. */
function watchRequests(): void {
  const shown = new Map<number, number>();
  const output = document.querySelector('[data-panel="tile Requests"] output')!;
  window.firstSeen = async (requests) => {
    for (;;) {
      const first = [...shown].find(([count]) => count >= requests);
      if (first !== undefined) return first[1];
      await new Promise(requestAnimationFrame);
    }
  };
  new MutationObserver(() =>
    // What the frame that follows puts on the screen.
    requestAnimationFrame(() => {
      const count = Number(output.textContent?.replaceAll(',', ''));
      if (!shown.has(count)) shown.set(count, Date.now());
    }),
  ).observe(output, { childList: true, characterData: true, subtree: true });
}

async function underLoad(bench: Bench, browser: Browser, nowcast: NowcastSide) {
  const opened = await openView(browser, nowcast);
  const meter = await PageMeter.of(opened);
  const windowMs = bench.plan.quick ? BUSY_MS / 4 : BUSY_MS;
  const running = bench.http('page: 10,000 events/s', nowcast, load(bench, 100, 100, windowMs + 10_000));
  await sleep(5_000);
  const before = await meter.read();
  await sleep(windowMs);
  const after = await meter.read();
  await running;
  await opened.context().close();
  return {
    seconds: (after.atMs - before.atMs) / 1_000,
    busyPercent: busyPercent(before, after),
    heapBeforeMb: before.heapMb,
    heapAfterMb: after.heapMb,
  };
}

function load(
  bench: Bench,
  requestsPerSecond: number,
  batchSize: number,
  measureMs: number,
): Omit<HttpLoad, 'port'> {
  return {
    path: batchSize === 1 ? '/telemetry/inference' : '/telemetry/inference/batch',
    connections: 16,
    batchSize: batchSize === 1 ? null : batchSize,
    events: { count: 8_192, seed: 5, firstAtMs: null },
    warmUpMs: bench.plan.warmUpMs,
    measureMs,
    requestsPerSecond,
    stamped: false,
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
