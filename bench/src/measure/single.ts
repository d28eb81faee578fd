/** Single POSTs at 64 connections: the rate, and the latency that a caller sees at that load. */
import type { Bench } from '../bench.ts';
import type { HttpLoad, HttpLoadResult } from '../load/http-load.ts';
import { compare, type Row } from '../row.ts';
import { alternate, type Measurement, turn } from './measurement.ts';

const CONNECTIONS = 64;
/** Distinct events, so that no side profits from seeing the same one again and again. */
const EVENTS = 8_192;
const AGAINST = "the article's design";

export const single: Measurement = {
  name: 'single',
  title: `single POST, ${CONNECTIONS} connections`,
  run,
};

/** Also used where a batch is set beside what the article's design offers: one event a request. */
export function singlePosts(bench: Bench): Omit<HttpLoad, 'port'> {
  return {
    path: '/telemetry/inference',
    connections: CONNECTIONS,
    batchSize: null,
    events: { count: EVENTS, seed: 1, firstAtMs: null },
    warmUpMs: bench.plan.warmUpMs,
    measureMs: bench.plan.measureMs,
    requestsPerSecond: null,
    stamped: false,
  };
}

async function run(bench: Bench): Promise<Row[]> {
  const nowcast = await bench.nowcast();
  const article = await bench.article();
  const { ours, theirs } = await alternate(bench.plan.rounds, {
    ours: turn(nowcast, (side) => bench.http('single: Nowcast', side, singlePosts(bench))),
    theirs: turn(article, (side) => bench.http('single: article', side, singlePosts(bench))),
  });
  const sides = { ours, theirs, against: AGAINST };
  const p50 = (sample: HttpLoadResult) => sample.p50Ms;
  const p99 = (sample: HttpLoadResult) => sample.p99Ms;
  const rate = (sample: HttpLoadResult) => sample.eventsPerSecond;
  return [
    compare({
      ...sides,
      what: single.title,
      unit: 'requests/s',
      ourFigure: rate,
      theirFigure: rate,
      target: { atLeast: 6 },
    }),
    compare({ ...sides, what: 'p50 latency', unit: 'ms', ourFigure: p50, theirFigure: p50 }),
    compare({ ...sides, what: 'p99 latency', unit: 'ms', ourFigure: p99, theirFigure: p99 }),
    compare({
      ...sides,
      what: 'p99 latency beside the other p50',
      unit: 'ms',
      ourFigure: p99,
      theirFigure: p50,
      target: { atMost: 1 },
    }),
  ];
}
