/**
 * Twenty open tabs of the article's own component, which asks for the whole view again on every insert: do they
 * slow the ingest, does the server's memory hold, and is every tab right soon after the last event?
 */

import type { Bench } from '../bench.ts';
import type { HttpLoad, HttpLoadResult } from '../load/http-load.ts';
import type { Tabs, TabsResult, TabsTold } from '../load/tabs.ts';
import { alone, compare, isMissing, type Row } from '../row.ts';
import { type MetricsCount, metricsCounts } from '../side/metrics.ts';
import type { NowcastSide } from '../side/nowcast.ts';
import { residentBytes } from '../side/process-tree.ts';
import { alternate, type Measurement, turn } from './measurement.ts';

const TABS = 20;
const EVENTS_PER_SECOND = 1_000;
const CONNECTIONS = 32;
const SETTLE_LIMIT_MS = 5_000;
const COMPANION_LIMIT_MS = 60_000;
/** A tab that was never right by then counts as this. */
const NEVER_MS = SETTLE_LIMIT_MS;
const RIGHT_WITHIN_MS = 1_000;

export const tabs: Measurement = {
  name: 'tabs',
  title: `${TABS} tabs of the article's component at ${EVENTS_PER_SECOND.toLocaleString('en')} events/s`,
  run,
};

interface WithTabs extends TabsResult {
  eventsPerSecond: number;
  p99Ms: number;
  residentBytesBefore: number;
  residentBytesAfter: number;
}

async function run(bench: Bench): Promise<Row[]> {
  const nowcast = await bench.nowcast();
  const { open, closed } = await alternate<{ open: WithTabs; closed: HttpLoadResult }>(
    bench.plan.quick ? 1 : 3,
    {
      closed: turn(nowcast, (side) => bench.http('tabs: none open', side, pacedPosts(bench))),
      open: turn(nowcast, (side) => withTabs(bench, side)),
    },
  );
  const what = (text: string) => `${TABS} tabs open: ${text}`;
  const samples = <Value>(pick: (sample: WithTabs) => Value) => (isMissing(open) ? open : open.map(pick));
  const rate = (sample: { eventsPerSecond: number }) => sample.eventsPerSecond;
  const slowest = (sample: WithTabs) => Math.max(...sample.rightAfterMs.map((ms) => ms ?? NEVER_MS));
  const sides = { ours: open, against: 'no tab open', theirs: closed };
  return [
    compare({
      ...sides,
      what: what('ingest'),
      unit: 'events/s',
      ourFigure: rate,
      theirFigure: rate,
      target: { atLeast: 0.9 },
    }),
    compare({
      ...sides,
      what: what('POST p99'),
      unit: 'ms',
      ourFigure: (s) => s.p99Ms,
      theirFigure: (s) => s.p99Ms,
    }),
    alone({
      what: what('last tab right after'),
      unit: 'ms',
      ours: samples(slowest),
      target: { atMost: RIGHT_WITHIN_MS },
    }),
    alone({
      what: what('server memory before'),
      unit: 'MB',
      ours: samples((s) => s.residentBytesBefore / 2 ** 20),
    }),
    alone({
      what: what('server memory after'),
      unit: 'MB',
      ours: samples((s) => s.residentBytesAfter / 2 ** 20),
    }),
  ];
}

async function withTabs(bench: Bench, nowcast: NowcastSide): Promise<WithTabs> {
  const spec: Tabs = { port: nowcast.port, tabs: TABS, settleLimitMs: SETTLE_LIMIT_MS };
  const residentBytesBefore = residentBytes(nowcast.pid);
  const open = bench.companion<Tabs, TabsResult>('tabs', spec, COMPANION_LIMIT_MS);
  const tell = (message: TabsTold) => open.tell(message);
  await open.ready;
  const posted = await bench.http(`tabs: ${TABS} open`, nowcast, pacedPosts(bench));
  tell({ kind: 'ended', endedAtMs: posted.endedAtMs });
  tell({ kind: 'expected', rows: await newestMinute(nowcast.databaseUrl) });
  const result = await open.result;
  if (result.firstFailure !== null)
    bench.log(`  ${result.failures} tab requests failed: ${result.firstFailure}`);
  const { messages, answers, queuedAtEnd } = result;
  bench.log(
    `  tabs got ${messages} messages and ${answers} answers; ${queuedAtEnd} requests were queued at the end`,
  );
  return {
    ...result,
    eventsPerSecond: posted.eventsPerSecond,
    p99Ms: posted.p99Ms,
    residentBytesBefore,
    residentBytesAfter: residentBytes(nowcast.pid),
  };
}

/** A tab that shows the newest minute as the view has it is right. */
async function newestMinute(databaseUrl: string): Promise<MetricsCount[]> {
  const rows = await metricsCounts(databaseUrl);
  return rows.filter((row) => row.minute === rows[0]!.minute);
}

function pacedPosts(bench: Bench): Omit<HttpLoad, 'port'> {
  return {
    path: '/telemetry/inference',
    connections: CONNECTIONS,
    batchSize: null,
    events: { count: 8_192, seed: 3, firstAtMs: null },
    warmUpMs: bench.plan.warmUpMs,
    measureMs: bench.plan.quick ? bench.plan.measureMs : 2 * bench.plan.measureMs,
    requestsPerSecond: EVENTS_PER_SECOND,
    stamped: false,
  };
}
