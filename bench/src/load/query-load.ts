/** One client that asks the same query again and again at a steady pace, as an open dashboard or Grafana does. */
import pg from 'pg';
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
  // The first answers pay for caches and the plan; nobody looks at a dashboard for one query.
  for (let warm = 0; warm < 5; warm++) await client.query(load.query);
  task.ready();
  let rows = 0;
  while (running) {
    const startedAt = monotonicMs();
    // Rows as arrays of text: parsing them is the reader's cost, not the query's.
    const answer = await client.query({ text: load.query, rowMode: 'array', types: AS_TEXT });
    rows = answer.rows.length;
    if (!latencies.record(monotonicMs() - startedAt)) break;
    await sleep(load.everyMs);
  }
  await client.end();
  return { ...latencies.summary(), rows };
});

const AS_TEXT = { getTypeParser: () => (value: string | Buffer) => value };
