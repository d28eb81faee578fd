/** One client that asks the same query again and again at a steady pace, as an open dashboard or Grafana does. */
import pg from 'pg';
import { BareQuery } from './bare-query.ts';
import { monotonicMs, sleep } from './clock.ts';
import { Latencies, type LatencySummary } from './latencies.ts';
import { serveTask } from './task.ts';

export interface QueryLoad {
  databaseUrl: string;
  query: string;
  everyMs: number;
}

export interface QueryLoadResult extends LatencySummary {
  rows: number;
}

const MAX_QUERIES = 100_000;

serveTask<QueryLoad, QueryLoadResult>(async (load, task) => {
  const client = new pg.Client({ connectionString: load.databaseUrl });
  await client.connect();
  const latencies = new Latencies(MAX_QUERIES);
  let running = true;
  task.onTold(() => {
    running = false;
  });
  const query = new BareQuery(client, load.query);
  // The first answers pay for caches and the plan; nobody looks at a dashboard for one query.
  for (let warm = 0; warm < 5; warm++) await query.ask();
  task.ready();
  let rows = 0;
  while (running) {
    const startedAt = monotonicMs();
    rows = await query.ask();
    if (!latencies.record(monotonicMs() - startedAt)) break;
    await sleep(load.everyMs);
  }
  await client.end();
  return { ...latencies.summary(), rows };
});
