import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import ws from 'ws';
import { needOf } from '../src/access/routes.ts';
import { type RunningServer, startServer } from '../src/server.ts';
import { readSettings } from '../src/settings.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';

/** Who calls, and what that opens. */
const callers = {
  nobody: { key: undefined, may: ['public'] },
  stranger: { key: 'not-a-key', may: ['public'] },
  ingest: { key: 'the-ingest-key', may: ['public', 'ingest'] },
  anon: { key: 'the-anon-key', may: ['public', 'read'] },
  service: { key: 'the-service-key', may: ['public', 'ingest', 'read', 'service'] },
} as const;

let database: TestDatabase;
let server: RunningServer;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startServer(
    readSettings({
      PORT: '0',
      DATABASE_URL: database.url,
      NOWCAST_LOG_LEVEL: 'error',
      NOWCAST_INGEST_KEY: callers.ingest.key,
      NOWCAST_ANON_KEY: callers.anon.key,
      NOWCAST_SERVICE_KEY: callers.service.key,
    }),
  );
});
afterAll(async () => {
  await server.close();
  await database.drop();
});

interface Probe {
  readonly path: string;
  readonly need: string;
  readonly body?: string;
}

const event = JSON.stringify({ model_version: 'm', inference_time_ms: 1 });

/** A request to the route that fails for nothing but its key, and what it needs. */
function probeOf(method: string, url: string): Probe {
  const need = needOf(url)!;
  if (url === '/rest/v1/*') {
    if (method === 'POST') return { path: '/rest/v1/inference_logs', need: 'service', body: event };
    const path = '/rest/v1/system_alerts?id=eq.0';
    if (method === 'PATCH') return { path, need: 'service', body: '{"acknowledged":true}' };
    // What is published can be deleted by nobody.
    return { path, need: method === 'DELETE' ? 'nobody' : 'read' };
  }
  const path = url === '*' ? '/health' : url.replace('*', 'some-name');
  return {
    path,
    need: need === 'read by its door' ? 'read' : need === 'nobody but the server itself' ? 'nobody' : need,
    ...(need === 'ingest' ? { body: url.endsWith('/batch') ? `[${event}]` : event } : {}),
  };
}

async function statusOf(method: string, { path, body }: Probe, key: string | undefined, more = {}) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...more,
    },
    ...(body === undefined ? {} : { body }),
  });
  await response.arrayBuffer();
  return response.status;
}

const refused = (status: number) => status === 401 || status === 403;

describe('the route table', () => {
  test('says of every route what it needs', () => {
    const unclassified = server.routes.filter(({ url }) => needOf(url) === undefined);
    expect(unclassified, 'add them to packages/server/src/access/routes.ts').toEqual([]);
    expect(server.routes.length).toBeGreaterThan(10);
  });

  test('holds for every key and every route over HTTP', async () => {
    const wrong: string[] = [];
    for (const { method, url } of server.routes) {
      const probe = probeOf(method, url);
      for (const [caller, { key, may }] of Object.entries(callers)) {
        const status = await statusOf(method, probe, key);
        const allowed = (may as readonly string[]).includes(probe.need);
        if (refused(status) === allowed || status >= 500) {
          wrong.push(`${method} ${probe.path} as ${caller}: ${status}, needs ${probe.need}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test.each(Object.entries(callers))(
    'holds for %s on the way that a plain event takes past the framework, and beside it',
    async (_caller, { key, may }) => {
      const probe = probeOf('POST', '/telemetry/inference');
      const allowed = (may as readonly string[]).includes('ingest');
      expect(refused(await statusOf('POST', probe, key))).toBe(!allowed);
      // Named requests take the ordinary way.
      const named = { 'idempotency-key': `of ${key}` };
      expect(refused(await statusOf('POST', probe, key, named))).toBe(!allowed);
    },
  );

  test.each(Object.entries(callers))('holds for %s at the WebSocket', async (_caller, { key, may }) => {
    const query = key === undefined ? '' : `?apikey=${key}`;
    const socket = new ws(`${server.url.replace('http', 'ws')}/realtime/v1/websocket${query}`);
    const outcome = await new Promise((resolve) => {
      socket.on('open', () => resolve('open'));
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      socket.on('error', () => undefined);
    });
    socket.terminate();
    expect(outcome).toBe((may as readonly string[]).includes('read') ? 'open' : 401);
  });
});
