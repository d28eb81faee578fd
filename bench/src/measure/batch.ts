/**
 * Batches of 100 and 1,000 events over HTTP, beside bare COPY of the same rows into the same partition: the
 * price of HTTP, JSON, validation, summaries, feed and NOTIFY on top of the fastest durable way in.
 */
import type { Bench } from '../bench.ts';
import type { EventPool } from '../events.ts';
import type { CopyLoad } from '../load/copy-load.ts';
import type { HttpLoad } from '../load/http-load.ts';
import { compare, type Row } from '../row.ts';
import { withClient } from '../side/database.ts';
import { alternate, type Measurement, turn } from './measurement.ts';
import { singlePosts } from './single.ts';

const CONNECTIONS = 8;
const ROWS_PER_COMMIT = 10_000;
const EVENTS = 40_000;

export const batch: Measurement = {
  name: 'batch',
  title: `batches of 100 and 1,000, ${CONNECTIONS} in flight`,
  run,
};

async function run(bench: Bench): Promise<Row[]> {
  const nowcast = await bench.nowcast();
  const article = await bench.article();
  const post = (size: number) =>
    turn(nowcast, (side) => bench.http(`batch: Nowcast, ${size} a request`, side, batchPosts(bench, size)));
  const samples = await alternate(bench.plan.rounds, {
    hundred: post(100),
    copy: turn(nowcast, async (side) =>
      bench.copy('batch: bare COPY', await bareCopy(bench, side.databaseUrl)),
    ),
    thousand: post(1_000),
    article: turn(article, (side) => bench.http('batch: article, single POSTs', side, singlePosts(bench))),
  });
  const figures = {
    unit: 'events/s',
    ourFigure: (sample: { eventsPerSecond: number }) => sample.eventsPerSecond,
    theirFigure: (sample: { eventsPerSecond: number }) => sample.eventsPerSecond,
  };
  const copy = { ...figures, theirs: samples.copy, against: 'bare COPY, 10,000 rows a commit' };
  const single = { ...figures, theirs: samples.article, against: "the article's design (single POSTs only)" };
  return [
    compare({ ...copy, what: 'batches of 1,000', ours: samples.thousand, target: { atLeast: 0.6 } }),
    compare({ ...copy, what: 'batches of 100', ours: samples.hundred, target: { atLeast: 0.4 } }),
    compare({ ...single, what: 'batches of 1,000', ours: samples.thousand }),
    compare({ ...single, what: 'batches of 100', ours: samples.hundred }),
  ];
}

function batchPosts(bench: Bench, size: number): Omit<HttpLoad, 'port'> {
  return {
    path: '/telemetry/inference/batch',
    connections: CONNECTIONS,
    batchSize: size,
    events: recentEvents(),
    warmUpMs: bench.plan.warmUpMs,
    measureMs: bench.plan.measureMs,
    requestsPerSecond: null,
    stamped: false,
  };
}

async function bareCopy(bench: Bench, databaseUrl: string): Promise<CopyLoad> {
  const events = recentEvents();
  return {
    databaseUrl,
    table: await partitionOf(databaseUrl, events.firstAtMs!),
    rowsPerCommit: ROWS_PER_COMMIT,
    events,
    warmUpMs: bench.plan.warmUpMs,
    measureMs: bench.plan.measureMs,
  };
}

/** The latest 40 seconds at a thousand events a second, never reaching back into yesterday. */
function recentEvents(): EventPool {
  const now = Date.now();
  const midnight = now - (now % 86_400_000);
  return { count: EVENTS, seed: 1, firstAtMs: Math.max(midnight, now - EVENTS) };
}

/** The partition that Nowcast itself writes these events to. */
async function partitionOf(databaseUrl: string, ms: number): Promise<string> {
  const name = `inference_logs_${new Date(ms).toISOString().slice(0, 10).replaceAll('-', '')}`;
  const { rows } = await withClient(databaseUrl, (client) =>
    client.query<{ partition: string }>(
      `SELECT format('%I.%I', n.nspname, c.relname) AS partition
       FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE i.inhparent = 'public.inference_logs'::regclass AND c.relname = $1`,
      [name],
    ),
  );
  if (rows[0] === undefined) throw new Error(`inference_logs has no partition ${name}`);
  return rows[0].partition;
}
