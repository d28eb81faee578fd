/** From a POST to the message on an open WebSocket, with one subscriber and with many. */
import type { Bench } from '../bench.ts';
import type { HttpLoad } from '../load/http-load.ts';
import type { PulseTold, PulseWatch, PulseWatchResult } from '../load/pulse-watch.ts';
import type { Expected, Subscribers, SubscribersResult } from '../load/subscribers.ts';
import { alone, isMissing, type Missing, type Row, type Samples } from '../row.ts';
import { metricsCounts } from '../side/metrics.ts';
import type { NowcastSide } from '../side/nowcast.ts';
import type { Measurement } from './measurement.ts';

export interface Case {
  what: string;
  eventsPerSecond: number;
  /** Null posts single events. */
  batchSize: number | null;
  sockets: number;
}

const CASES: Case[] = [
  { what: '1,000 events/s as single POSTs, 1 socket', eventsPerSecond: 1_000, batchSize: null, sockets: 1 },
  {
    what: '10,000 events/s in batches of 100, 1 socket',
    eventsPerSecond: 10_000,
    batchSize: 100,
    sockets: 1,
  },
  {
    what: '300 events/s in batches of 10, 1,000 sockets',
    eventsPerSecond: 300,
    batchSize: 10,
    sockets: 1_000,
  },
];
const MAX_P99_MS = 250;
const CONNECTIONS = 32;
const SETTLE_LIMIT_MS = 5_000;
const COMPANION_LIMIT_MS = 60_000;

export const delivery: Measurement = {
  name: 'delivery',
  title: 'POST to message at a subscriber',
  run,
};

async function run(bench: Bench): Promise<Row[]> {
  const nowcast = await bench.nowcast();
  const rows: Row[] = [];
  for (const entry of CASES) {
    const results = isMissing(nowcast) ? nowcast : await rounds(bench, nowcast, entry);
    const figure = (pick: (result: SubscribersResult) => number): Samples<number> =>
      isMissing(results) ? results : results.map(pick);
    rows.push(
      alone({
        what: `POST -> message p50, ${entry.what}`,
        unit: 'ms',
        ours: figure((result) => result.p50Ms),
      }),
      alone({
        what: `POST -> message p99, ${entry.what}`,
        unit: 'ms',
        ours: figure((result) => result.p99Ms),
        target: { atMost: MAX_P99_MS },
      }),
    );
    if (entry.sockets > 1) {
      rows.push(
        alone({
          what: `delivered, ${entry.what}`,
          unit: 'messages/s',
          ours: figure((result) => result.messagesPerSecond),
        }),
      );
    }
    rows.push(
      alone({
        what: `messages lost, ${entry.what}`,
        unit: '',
        ours: figure((result) => result.lost),
        target: { atMost: 0 },
      }),
    );
  }
  return [...rows, ...(await pulseRows(bench, nowcast))];
}

/** The product's page: a change of the minute's figures instead of every row. */
async function pulseRows(bench: Bench, nowcast: NowcastSide | Missing): Promise<Row[]> {
  const entry: Case = { what: '1,000 events/s', eventsPerSecond: 1_000, batchSize: null, sockets: 1 };
  const results: Samples<PulseWatchResult> = isMissing(nowcast) ? nowcast : [];
  while (!isMissing(nowcast) && Array.isArray(results) && results.length < roundsOf(bench)) {
    results.push(await watchPulse(bench, nowcast, entry));
  }
  const figure = (pick: (result: PulseWatchResult) => number): Samples<number> =>
    isMissing(results) ? results : results.map(pick);
  const what = (text: string) => `${text}, ${entry.what}`;
  return [
    alone({ what: what('POST -> page (pulse) p50'), unit: 'ms', ours: figure((result) => result.p50Ms) }),
    alone({
      what: what('POST -> page (pulse) p99'),
      unit: 'ms',
      ours: figure((result) => result.p99Ms),
      target: { atMost: MAX_P99_MS },
    }),
    alone({
      what: what('events never shown (pulse)'),
      unit: 'events',
      ours: figure((result) => result.lost),
      target: { atMost: 0 },
    }),
  ];
}

async function watchPulse(bench: Bench, nowcast: NowcastSide, entry: Case): Promise<PulseWatchResult> {
  const spec: PulseWatch = { port: nowcast.port, settleLimitMs: SETTLE_LIMIT_MS };
  const page = bench.companion<PulseWatch, PulseWatchResult>('pulse-watch', spec, COMPANION_LIMIT_MS);
  const tell = (message: PulseTold) => page.tell(message);
  await page.ready;
  tell({ kind: 'baseline', rows: await metricsCounts(nowcast.databaseUrl) });
  const posted = await bench.http(`delivery: pulse, ${entry.what}`, nowcast, pacedPosts(bench, entry));
  const { acknowledged: events, startedAtMs, openedAtMs, closedAtMs } = posted;
  tell({
    kind: 'ended',
    events,
    startedAtMs,
    eventsPerSecond: entry.eventsPerSecond,
    openedAtMs,
    closedAtMs,
  });
  return page.result;
}

function roundsOf(bench: Bench): number {
  return bench.plan.quick ? 1 : 3;
}

async function rounds(bench: Bench, nowcast: NowcastSide, entry: Case): Promise<SubscribersResult[]> {
  const results: SubscribersResult[] = [];
  while (results.length < roundsOf(bench)) results.push(await deliver(bench, nowcast, entry));
  return results;
}

/** One load with its subscribers. */
export async function deliver(bench: Bench, nowcast: NowcastSide, entry: Case): Promise<SubscribersResult> {
  const spec: Subscribers = { port: nowcast.port, sockets: entry.sockets, settleLimitMs: SETTLE_LIMIT_MS };
  const subscribers = bench.companion<Subscribers, SubscribersResult>(
    'subscribers',
    spec,
    COMPANION_LIMIT_MS,
  );
  await subscribers.ready;
  const posted = await bench.http(`delivery: ${entry.what}`, nowcast, pacedPosts(bench, entry));
  subscribers.tell({
    events: posted.acknowledged,
    openedAtMs: posted.openedAtMs,
    closedAtMs: posted.closedAtMs,
  } satisfies Expected);
  const result = await subscribers.result;
  if (result.notice !== null) bench.log(`  the server said: ${result.notice}`);
  return result;
}

function pacedPosts(bench: Bench, entry: Case): Omit<HttpLoad, 'port'> {
  return {
    path: entry.batchSize === null ? '/telemetry/inference' : '/telemetry/inference/batch',
    connections: CONNECTIONS,
    batchSize: entry.batchSize,
    events: { count: 10_000, seed: 2, firstAtMs: null },
    warmUpMs: bench.plan.warmUpMs,
    measureMs: bench.plan.measureMs,
    requestsPerSecond: entry.eventsPerSecond / (entry.batchSize ?? 1),
    stamped: true,
  };
}
