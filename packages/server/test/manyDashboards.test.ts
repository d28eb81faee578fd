/** A thousand open pages: each follows the pulse and reads by REST, and the database sees one server. */
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { event } from './support/events.ts';
import { startTestServer } from './support/server.ts';

const dashboards = 1_000;
/** Pages that load at the same moment. */
const readers = 200;
/** The writer's own connection is not one of the pool. */
const writerConnections = 1;
const poolMax = 4;

interface Page {
  readonly joined: Promise<void>;
  /** Resolves when a row of the pulse arrives. */
  readonly pulsed: Promise<void>;
  close(): void;
}

function openPage(url: string, number: number): Page {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/realtime/v1/websocket?vsn=1.0.0&apikey=any`);
  const topic = `realtime:page-${number}`;
  socket.on('open', () => {
    const binding = { event: '*', schema: 'public', table: 'metrics_pulse' };
    const payload = { config: { postgres_changes: [binding] } };
    socket.send(JSON.stringify({ topic, event: 'phx_join', payload, ref: '1', join_ref: '1' }));
  });
  const heard = (wanted: (event: string, payload: { status?: string }) => boolean) =>
    new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (data) => {
        const { event: name, payload } = JSON.parse(String(data));
        if (wanted(name, payload)) resolve();
      });
    });
  return {
    joined: heard((name, { status }) => name === 'system' && status === 'ok'),
    pulsed: heard((name) => name === 'postgres_changes'),
    close: () => socket.terminate(),
  };
}

test('a thousand dashboards never use more than the connections of the pool', async () => {
  const server = await startTestServer({ NOWCAST_DB_POOL_MAX: String(poolMax) });
  onTestFinished(() => server.close());
  const watcher = new pg.Client({ connectionString: server.databaseUrl, application_name: 'watcher' });
  await watcher.connect();

  let most = 0;
  let watching = true;
  const watch = (async () => {
    while (watching) {
      const { rows } = await watcher.query<{ count: number }>(
        `select count(*)::integer as count from pg_stat_activity
         where datname = current_database() and application_name like 'nowcast%'`,
      );
      most = Math.max(most, rows[0]!.count);
    }
  })();
  onTestFinished(async () => {
    watching = false;
    await watch;
    await watcher.end();
  });

  const pages = Array.from({ length: dashboards }, (_, number) => openPage(server.url, number));
  onTestFinished(() => {
    for (const page of pages) page.close();
  });
  await Promise.all(pages.map(({ joined }) => joined));
  const reads = pages.slice(0, readers).map(async (_page, number) => {
    // Different queries: equal ones would share one.
    const { status } = await server.get(`/rest/v1/metrics_pulse?limit=${number + 1}`);
    return status;
  });
  expect((await server.post('/telemetry/inference', event())).status).toBe(200);
  await Promise.all(pages.map(({ pulsed }) => pulsed));
  const statuses = await Promise.all(reads);

  // What the pool cannot take in time is told to come again, and never gets a connection of its own.
  expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
  expect(statuses).toContain(200);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(poolMax + writerConnections);
});
