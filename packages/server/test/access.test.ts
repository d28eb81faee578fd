import { request } from 'node:http';
import pg from 'pg';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import ws from 'ws';
import { Access } from '../src/access/access.ts';
import { createKey, revokeKey } from '../src/access/keyTable.ts';
import { TokenBucket } from '../src/access/tokenBucket.ts';
import { startServer } from '../src/server.ts';
import { readSettings } from '../src/settings.ts';
import { createTestDatabase } from './support/postgres.ts';
import { startTestServer, type TestServer } from './support/server.ts';

async function start(environment: Record<string, string> = {}): Promise<TestServer> {
  const server = await startTestServer(environment);
  onTestFinished(server.close);
  return server;
}

async function databaseOf(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const event = { model_version: 'm', inference_time_ms: 1 };
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** fetch does not let Host and Origin be set. */
function answerTo(
  url: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]> }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (response) => {
      response.resume();
      resolve({ status: response.statusCode!, headers: response.headers });
    });
    sent.on('error', reject);
    sent.end(method === 'POST' ? JSON.stringify(event) : undefined);
  });
}

function webSocket(server: TestServer, headers: Record<string, string>, key = 'any'): Promise<ws | number> {
  const { host, origin } = { host: undefined, origin: undefined, ...headers };
  const socket = new ws(`${server.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=${key}`, {
    headers: host === undefined ? {} : { host },
    ...(origin === undefined ? {} : { origin }),
  });
  onTestFinished(() => socket.terminate());
  return new Promise((resolve) => {
    socket.on('open', () => resolve(socket));
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode!));
    socket.on('error', () => undefined);
  });
}

describe('without any key', () => {
  test('any key string is taken from this machine', async () => {
    const server = await start();
    expect((await server.post('/telemetry/inference', event, bearer('whatever'))).status).toBe(200);
    expect((await server.get('/rest/v1/system_alerts', { apikey: 'whatever' })).status).toBe(200);
    expect(await webSocket(server, {})).toBeInstanceOf(ws);
  });

  test.each([
    ['a rebound name in Host', { host: 'evil.example' }],
    ['a name that only begins like loopback', { host: '127.0.0.1.evil.example' }],
    ['a page from elsewhere', { origin: 'https://evil.example' }],
    ['a sandboxed page', { origin: 'null' }],
  ])('%s is refused at every door, the page included', async (_what, headers) => {
    const server = await start({ NOWCAST_ALLOWED_ORIGINS: '*' });
    for (const path of ['/', '/health', '/metrics', '/rest/v1/inference_logs', '/openapi.json']) {
      expect((await answerTo(server.url + path, headers)).status, path).toBe(403);
    }
    for (const path of ['/telemetry/inference', '/telemetry/inference/batch']) {
      expect((await answerTo(server.url + path, headers, 'POST')).status, path).toBe(403);
      expect((await answerTo(server.url + path, headers, 'OPTIONS')).status, path).toBe(403);
    }
    expect(await webSocket(server, headers)).toBe(403);
  });

  test('a server that others could reach does not start, in one sentence', async () => {
    const database = await createTestDatabase();
    onTestFinished(database.drop);
    const settings = readSettings({ PORT: '0', HOST: '0.0.0.0', DATABASE_URL: database.url });
    await expect(startServer(settings)).rejects.toMatchObject({
      name: 'StartupError',
      exitCode: 2,
      message: expect.stringMatching(/^HOST 0\.0\.0\.0 .* needs keys: [^\n]*nowcast keys create[^\n]*\.$/),
    });
    // A key that was revoked lets nobody in.
    const client = await databaseOf(database.url);
    const { key } = await createKey(client, 'service', '');
    await revokeKey(client, key);
    await expect(startServer(settings)).rejects.toMatchObject({ exitCode: 2 });
    await createKey(client, 'service', '');
    await (await startServer(settings)).close();
  });
});

describe('a key in the database', () => {
  test('is required from the moment it exists, on this machine too', async () => {
    const server = await start();
    const client = await databaseOf(server.databaseUrl);
    const open = (await webSocket(server, {})) as ws;
    const closed = new Promise((resolve) => open.on('close', resolve));
    const ingest = await createKey(client, 'ingest', 'a sender');
    const status = async (headers = {}) => (await server.post('/telemetry/inference', event, headers)).status;
    await expect.poll(() => status(), { interval: 5 }).toBe(401);
    expect(await status(bearer('whatever'))).toBe(401);
    expect(await status(bearer(ingest.key))).toBe(200);
    expect((await server.get('/rest/v1/system_alerts', { apikey: ingest.key })).status).toBe(401);
    expect((await server.get('/health')).status).toBe(200);
    // A socket from before holds a key that opens nothing now.
    expect(await closed).toBe(1008);
  });

  test('ends at once when it is revoked, and its sockets with it; the last one does not open the doors', async () => {
    const server = await start();
    const client = await databaseOf(server.databaseUrl);
    const { key, prefix } = await createKey(client, 'anon', 'a page');
    const status = async () => (await server.get('/rest/v1/system_alerts', { apikey: key })).status;
    await expect
      .poll(async () => (await server.get('/rest/v1/system_alerts')).status, { interval: 5 })
      .toBe(401);
    expect(await status()).toBe(200);
    const socket = (await webSocket(server, {}, key)) as ws;
    const closed = new Promise((resolve) => socket.on('close', resolve));
    await revokeKey(client, prefix);
    await expect.poll(status, { interval: 5 }).toBe(401);
    expect(await closed).toBe(1008);
    expect((await server.post('/telemetry/inference', event)).status).toBe(401);
  });

  test('is followed again after the connection that announces changes was lost', async () => {
    const server = await start({ NOWCAST_SERVICE_KEY: 'the-service-key' });
    const client = await databaseOf(server.databaseUrl);
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'nowcast feed' and datname = current_database()`,
    );
    const { key } = await createKey(client, 'ingest', '');
    await expect
      .poll(async () => (await server.post('/telemetry/inference', event, bearer(key))).status, {
        interval: 20,
      })
      .toBe(200);
  });

  test('is told apart by when it was last used, written once a minute and not in its use', async () => {
    const server = await start();
    const client = await databaseOf(server.databaseUrl);
    const { key } = await createKey(client, 'service', 'used');
    await createKey(client, 'service', 'unused');
    const usedOf = async (name: string) =>
      (await client.query('select last_used_at, xmin::text from nowcast.keys where name = $1', [name]))
        .rows[0];
    await expect.poll(async () => (await server.post('/telemetry/inference', event)).status).toBe(401);
    for (let posts = 0; posts < 20; posts++) await server.post('/telemetry/inference', event, bearer(key));
    await expect.poll(async () => (await usedOf('used')).last_used_at).toBeInstanceOf(Date);
    const { xmin } = await usedOf('used');
    for (let posts = 0; posts < 20; posts++) await server.post('/telemetry/inference', event, bearer(key));
    expect((await usedOf('used')).xmin).toBe(xmin);
    expect((await usedOf('unused')).last_used_at).toBeNull();
  });
});

test('a busy key costs the database one statement a minute', async () => {
  const database = await createTestDatabase();
  onTestFinished(database.drop);
  const pool = new pg.Pool({ connectionString: database.url });
  const { key } = await createKey(pool, 'ingest', '');
  const access = new Access(readSettings({}), pino({ level: 'silent' }));
  await access.start(pool, () => undefined);
  let statements = 0;
  pool.on('acquire', () => statements++);
  for (let uses = 0; uses < 1_000; uses++) expect(access.scopeOf(key)).toBe('ingest');
  await access.stop();
  expect(statements).toBe(1);
  await pool.end();
});

describe('with keys', () => {
  const keys = { NOWCAST_SERVICE_KEY: 'the-service-key' };

  test('pages of other origins are let in by the list, at HTTP and at the WebSocket alike', async () => {
    const server = await start({ ...keys, NOWCAST_ALLOWED_ORIGINS: 'https://app.example' });
    const { host } = new URL(server.url);
    const cases = [
      ['https://app.example', true, true],
      ['https://app.example.evil.example', false, false],
      ['http://app.example', false, false],
      ['null', false, false],
      // The own page needs no CORS.
      [`http://${host}`, false, true],
      ['http://localhost:5173', false, false],
    ] as const;
    for (const [origin, cors, socket] of cases) {
      const { headers } = await answerTo(`${server.url}/health`, { origin });
      expect(headers['access-control-allow-origin'], origin).toBe(cors ? origin : undefined);
      const preflight = await answerTo(`${server.url}/rest/v1/x`, { origin }, 'OPTIONS');
      expect(preflight.headers['access-control-allow-origin'], origin).toBe(cors ? origin : undefined);
      const opened = await webSocket(server, { origin }, 'the-service-key');
      if (socket) expect(opened, origin).toBeInstanceOf(ws);
      else expect(opened, origin).toBe(403);
    }
  });

  test('without a list only the own origin is let in', async () => {
    const server = await start(keys);
    const foreign = { origin: 'https://app.example' };
    expect(
      (await answerTo(`${server.url}/health`, foreign)).headers['access-control-allow-origin'],
    ).toBeUndefined();
    expect(await webSocket(server, foreign, 'the-service-key')).toBe(403);
    expect(await webSocket(server, { origin: server.url }, 'the-service-key')).toBeInstanceOf(ws);
    expect(await webSocket(server, {}, 'the-service-key')).toBeInstanceOf(ws);
  });
});

describe('the rate limit', () => {
  test('answers 429 with Retry-After to the key that exceeds it, at every door, and to no other', async () => {
    const server = await start({
      NOWCAST_INGEST_KEY: 'busy',
      NOWCAST_SERVICE_KEY: 'calm',
      // Half an hour of debt after the batch: no machine stands still for as long.
      NOWCAST_RATE_LIMIT: '1',
    });
    const batch = Array.from({ length: 1_000 }, () => event);
    // It may be in debt for one request, however large.
    expect((await server.post('/telemetry/inference/batch', batch, bearer('busy'))).body).toMatchObject({
      accepted: 1_000,
    });
    for (const path of ['/telemetry/inference', '/telemetry/inference/batch']) {
      const refused = await fetch(server.url + path, {
        method: 'POST',
        headers: bearer('busy'),
        body: JSON.stringify(event),
      });
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(60);
      expect(await refused.json()).toMatchObject({ error: 'rate_limited' });
      expect((await server.post(path, [event], bearer('calm'))).status).not.toBe(429);
    }
  });

  test('allows the rate over time and two seconds of it at once', () => {
    let nowMs = 0;
    const bucket = new TokenBucket(10, () => nowMs);
    const taken = () => {
      let events = 0;
      while (bucket.take(1) === 0) events++;
      return events;
    };
    expect(taken()).toBe(20);
    nowMs += 1_000;
    expect(taken()).toBe(10);
    nowMs += 3_600_000;
    expect(taken()).toBe(20);
    nowMs += 100;
    expect(bucket.take(50)).toBe(0);
    expect(bucket.take(1)).toBe(5);
    nowMs += 4_800;
    expect(bucket.take(1)).toBe(1);
    nowMs += 200;
    expect(bucket.take(1)).toBe(0);
  });
});

test('every answer that a browser may show forbids it to run, frame or guess anything', async () => {
  const server = await start();
  for (const path of ['/', '/a-view-of-the-page', '/health', '/rest/v1/system_alerts', '/rest/v1/nothing']) {
    const { headers } = await answerTo(server.url + path, { accept: 'text/html' });
    const policy = headers['content-security-policy'];
    expect(policy, path).toContain("default-src 'self'");
    expect(policy, path).toContain("frame-ancestors 'none'");
    expect(policy, path).not.toMatch(/script-src|unsafe-eval/);
    expect(headers, path).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
  }
  const refused = await answerTo(server.url, { host: 'evil.example' });
  expect(refused.headers['content-security-policy']).toBeDefined();
});
