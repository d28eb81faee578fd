/**
 * Whether the page's memory stays flat while events arrive: each view is watched for minutes, and its heap, DOM nodes
 * and listeners are read behind a garbage collection every half minute.
 */
import type { Browser } from 'playwright-core';
import type { Bench } from '../bench.ts';
import { makeEvents } from '../events.ts';
import { sleep } from '../load/clock.ts';
import { alone, isMissing, type Row } from '../row.ts';
import type { NowcastSide } from '../side/nowcast.ts';
import { busyPercent, launchBrowser, openView, type PageFigures, PageMeter } from './browser.ts';
import type { Measurement } from './measurement.ts';

export const memory: Measurement = { name: 'memory', title: 'memory of the page', byName: true, run };

const BATCH_SIZE = 100;
/** Every model in every minute. */
const HOUR_EVENTS = 12_000;
const ALERT_EACH_MS = 5_000;
/** The first reads see lists and charts fill themselves. */
const SETTLING_SHARE = 0.2;
/** A working day of it would be 50 MB more. */
const MAX_GROWTH_MB_PER_MINUTE = 0.1;

const VIEWS = [
  { title: 'Live', path: '/', share: 1 },
  { title: 'Alerts', path: '/alerts', share: 0.3 },
  { title: 'History', path: '/history', share: 0.3 },
  { title: 'Pipeline', path: '/pipeline', share: 0.3 },
];

interface Read extends PageFigures {
  detachedTrees: number;
}

async function run(bench: Bench): Promise<Row[]> {
  const nowcast = await bench.nowcast();
  if (isMissing(nowcast)) return [alone({ what: 'memory of the page', unit: 'MB', ours: nowcast })];
  await fillTheHour(bench, nowcast);
  const browser = await launchBrowser();
  try {
    const rows: Row[] = [];
    for (const view of VIEWS) {
      const minutes = Math.max(1, bench.plan.minutes * view.share);
      rows.push(...rowsOf(view.title, minutes, await watch(bench, browser, nowcast, view, minutes)));
    }
    return rows;
  } finally {
    await browser.close();
  }
}

async function watch(
  bench: Bench,
  browser: Browser,
  nowcast: NowcastSide,
  { title, path }: { title: string; path: string },
  minutes: number,
): Promise<Read[]> {
  const { eventsPerSecond } = bench.plan;
  const watchMs = minutes * 60_000;
  const load = bench.http(`${title}: ${eventsPerSecond} events/s`, nowcast, {
    path: '/telemetry/inference/batch',
    connections: 16,
    batchSize: BATCH_SIZE,
    events: { count: 8_192, seed: 5, firstAtMs: null },
    warmUpMs: bench.plan.warmUpMs,
    measureMs: watchMs + 10_000,
    requestsPerSecond: eventsPerSecond / BATCH_SIZE,
    stamped: false,
  });
  const page = await openView(browser, nowcast, path);
  const meter = await PageMeter.of(page);
  const reads: Read[] = [];
  const startedAt = performance.now();
  const everyMs = Math.min(30_000, watchMs / 10);
  for (let next = everyMs; next <= watchMs; next += everyMs) {
    while (performance.now() - startedAt < next) {
      if (path === '/alerts') await raiseAlert(nowcast);
      await sleep(Math.max(0, Math.min(ALERT_EACH_MS, next - (performance.now() - startedAt))));
    }
    const read = { ...(await meter.read()), detachedTrees: await meter.detachedTrees() };
    reads.push(read);
    bench.log(
      `    ${Math.round((read.atMs - startedAt) / 1_000)} s: ${read.heapMb.toFixed(2)} MB, ` +
        `${read.nodes} nodes, ${read.detachedTrees} detached trees, ${read.listeners} listeners`,
    );
  }
  await page.context().close();
  await load;
  return reads;
}

/** The page holds an hour of minutes: one that fills itself while it is watched would look like a leak. */
async function fillTheHour(bench: Bench, { port, databaseUrl }: NowcastSide): Promise<void> {
  const now = Date.now();
  const events = makeEvents({ count: HOUR_EVENTS, seed: 6, firstAtMs: null }).map((event, index) => ({
    ...event,
    timestamp: new Date(now - (index * 3_600_000) / HOUR_EVENTS).toISOString(),
  }));
  for (let at = 0; at < events.length; at += 1_000) {
    const answer = await fetch(`http://127.0.0.1:${port}/telemetry/inference/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events.slice(at, at + 1_000)),
    });
    if (!answer.ok) throw new Error(`past events were answered ${answer.status}: ${await answer.text()}`);
  }
  bench.expectStored(databaseUrl, events.length);
}

/** As the article raises one, so that the view has something to follow. */
async function raiseAlert({ port }: NowcastSide): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/rest/v1/system_alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ alert_type: 'high_latency', severity: 'warning', message: 'Slower than it was' }),
  });
  if (!answer.ok) throw new Error(`an alert was answered ${answer.status}: ${await answer.text()}`);
}

function rowsOf(title: string, minutes: number, reads: readonly Read[]): Row[] {
  const settled = reads.slice(Math.floor(reads.length * SETTLING_SHARE));
  const [first, last] = [settled[0]!, settled.at(-1)!];
  const row = (what: string, unit: string, figure: number, atMost?: number) =>
    alone({
      what: `${title}: ${what}`,
      unit,
      ours: [figure],
      ...(atMost === undefined ? {} : { target: { atMost } }),
    });
  return [
    row('memory, settled', 'MB', first.heapMb),
    row(`memory after ${Number(minutes.toFixed(1))} minutes`, 'MB', last.heapMb),
    row('growth of memory', 'MB/min', growthMbPerMinute(settled), MAX_GROWTH_MB_PER_MINUTE),
    row('DOM nodes, settled', 'nodes', first.nodes),
    row('DOM nodes at the end', 'nodes', last.nodes),
    row('detached trees at the end', 'trees', last.detachedTrees),
    row('listeners more than when settled', 'listeners', last.listeners - first.listeners),
    row('main thread busy', '%', busyPercent(first, last)),
  ];
}

/** Slope of the least-squares line: one odd read does not make it. */
function growthMbPerMinute(reads: readonly Read[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const minutes = reads.map(({ atMs }) => atMs / 60_000);
  const figures = reads.map((read) => read.heapMb);
  const [centre, level] = [mean(minutes), mean(figures)];
  const covariance = mean(minutes.map((at, index) => (at - centre) * (figures[index]! - level)));
  return covariance / mean(minutes.map((at) => (at - centre) ** 2));
}
