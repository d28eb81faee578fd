/**
 * What dashboards ask, while 5,000 events/s arrive and five million are stored, a million of them in the last
 * hour: the answer's time must not depend on how many events there are.
 */
import type { Bench } from '../bench.ts';
import type { HttpLoad } from '../load/http-load.ts';
import type { QueryLoad, QueryLoadResult } from '../load/query-load.ts';
import { alone, isMissing, type Missing, type Row } from '../row.ts';
import { seedHistory } from '../seed.ts';
import { startNowcast } from '../side/nowcast.ts';
import type { Measurement } from './measurement.ts';

const QUERIES = {
  inference_metrics_hourly: 'SELECT * FROM inference_metrics_hourly',
  'metrics() of the last hour': 'SELECT * FROM metrics()',
  // Of these and the next, in the page's steps, the seed has five hours.
  'metrics() of six hours': "SELECT * FROM metrics(now() - interval '6 hours', step => '5 minutes')",
  'metrics() of a day': "SELECT * FROM metrics(now() - interval '1 day', step => '15 minutes')",
  'open alerts': `SELECT * FROM system_alerts WHERE NOT acknowledged OR status = 'firing'
    ORDER BY timestamp DESC LIMIT 100`,
  'newest 100 events': 'SELECT * FROM inference_logs ORDER BY timestamp DESC, id DESC LIMIT 100',
};
const EVENTS_PER_SECOND = 5_000;
const BATCH_SIZE = 50;
const CONNECTIONS = 8;
const EVERY_MS = 50;
const COMPANION_LIMIT_MS = 60_000;

export const queries: Measurement = {
  name: 'queries',
  title: `queries at ${EVENTS_PER_SECOND.toLocaleString('en')} events/s with 5 million events stored`,
  slow: true,
  run,
};

async function run(bench: Bench): Promise<Row[]> {
  const results = await measure(bench);
  return Object.keys(QUERIES).flatMap((name) => {
    const samples = isMissing(results) ? results : results[name]!;
    const figure = (pick: (result: QueryLoadResult) => number) =>
      isMissing(samples) ? samples : samples.map(pick);
    const rowsOf = isMissing(samples) ? '' : `, ${samples[0]!.rows} rows`;
    return [
      alone({
        what: `${name} p50${rowsOf}`,
        unit: 'ms',
        ours: figure((result) => result.p50Ms),
        target: { atMost: 10 },
      }),
      alone({ what: `${name} p99${rowsOf}`, unit: 'ms', ours: figure((result) => result.p99Ms) }),
    ];
  });
}

/** In a database of its own, so that no other measurement works on five million rows. */
async function measure(bench: Bench): Promise<Record<string, QueryLoadResult[]> | Missing> {
  const databaseUrl = await bench.postgres.createDatabase('bench_queries');
  // The first start makes the schema; the history goes in while no server runs.
  const first = await startNowcast({ databaseUrl }, { inspect: false });
  if (isMissing(first)) return first;
  await first.stop();
  const startedAt = performance.now();
  bench.log('  storing five million events ...');
  bench.expectStored(databaseUrl, await seedHistory(databaseUrl));
  bench.log(`  ... took ${Math.round((performance.now() - startedAt) / 1_000)} s`);
  const nowcast = await startNowcast({ databaseUrl }, { inspect: false });
  if (isMissing(nowcast)) return nowcast;
  try {
    const results: Record<string, QueryLoadResult[]> = {};
    for (const [name, query] of Object.entries(QUERIES)) {
      const spec: QueryLoad = { databaseUrl, query, everyMs: EVERY_MS };
      const asked = bench.companion<QueryLoad, QueryLoadResult>('query-load', spec, COMPANION_LIMIT_MS);
      await asked.ready;
      await bench.http(`queries: ${name}`, nowcast, pacedPosts(bench));
      asked.tell({});
      results[name] = [await asked.result];
    }
    return results;
  } finally {
    await nowcast.stop();
  }
}

function pacedPosts(bench: Bench): Omit<HttpLoad, 'port'> {
  return {
    path: '/telemetry/inference/batch',
    connections: CONNECTIONS,
    batchSize: BATCH_SIZE,
    events: { count: 20_000, seed: 4, firstAtMs: null, mix: 'wide' },
    warmUpMs: bench.plan.warmUpMs,
    measureMs: 2 * bench.plan.measureMs,
    requestsPerSecond: EVENTS_PER_SECOND / BATCH_SIZE,
    stamped: false,
  };
}
