/** Senders that are slow, silent or too large, on real sockets. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpTimings } from '../src/access/httpServer.ts';
import { type RunningServer, startServer } from '../src/server.ts';
import { readSettings } from '../src/settings.ts';
import { event } from './support/events.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';

let database: TestDatabase;
/** Takes its time, as a busy machine may. */
let server: RunningServer;
let impatient: RunningServer;
let forgetful: RunningServer;
beforeAll(async () => {
  database = await createTestDatabase();
  const settings = readSettings({
    PORT: '0',
    DATABASE_URL: database.url,
    NOWCAST_LOG_LEVEL: 'error',
    NOWCAST_MAX_BODY_BYTES: '4KiB',
    NOWCAST_MAX_DECOMPRESSED_BYTES: '8KiB',
    NOWCAST_MAX_BATCH_EVENTS: '3',
    NOWCAST_MAX_METADATA_BYTES: '200',
    NOWCAST_MAX_JSON_DEPTH: '3',
    NOWCAST_MAX_JSON_KEYS: '5',
  });
  server = await startServer(settings);
  impatient = await startServer(settings, {
    http: { ...httpTimings, headersTimeoutMs: 1_000, requestTimeoutMs: 1_500, checkIntervalMs: 50 },
  });
  forgetful = await startServer(settings, {
    http: { ...httpTimings, keepAliveTimeoutMs: 1_000, checkIntervalMs: 50 },
  });
});
afterAll(async () => {
  await Promise.all([server.close(), impatient.close(), forgetful.close()]);
  await database.drop();
});

async function open(to = impatient): Promise<Socket> {
  const { hostname, port } = new URL(to.url);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  return socket;
}

/** Everything that the server says until it ends the connection. */
async function said(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

const head = (more: string) => `POST /telemetry/inference HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`;

describe('a connection ends', () => {
  test('when its sender says nothing', async () => {
    expect(await said(await open())).toMatch(/^(HTTP\/1\.1 408 |$)/);
  });

  test('with 408 when the headers trickle', async () => {
    const socket = await open();
    socket.write('POST /telemetry/inference HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
    expect(await said(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  test.each([
    ['of a plain event', 'Content-Length: 60\r\n', '{"model_version":'],
    ['of a batch in chunks', 'Transfer-Encoding: chunked\r\n', '5\r\n[{"mo\r\n'],
  ])('with 408 when the body %s stops half way', async (_what, headers, body) => {
    const socket = await open();
    socket.write(head(headers) + body);
    expect(await said(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('when nothing came over it for the keep-alive time, and not before', async () => {
    const socket = await open(forgetful);
    const body = JSON.stringify(event());
    socket.write(head(`Content-Length: ${body.length}\r\n`) + body);
    expect(await said(socket)).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*Keep-Alive: timeout=/);
    // Longer than what proxies and the clients of the usual languages keep a connection for.
    expect(httpTimings.keepAliveTimeoutMs).toBeGreaterThan(60_000);
  });
});

describe('a limit is named in the answer where it is exceeded', () => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
  const wide = (keys: number) => Object.fromEntries(Array.from({ length: keys }, (_, n) => [`k${n}`, n]));
  const batch = '/telemetry/inference/batch';
  const single = '/telemetry/inference';
  const large = JSON.stringify([event({ error_message: 'x'.repeat(5_000) })]);

  async function post(path: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
    const response = await fetch(server.url + path, { method: 'POST', body, headers });
    return { status: response.status, body: (await response.json()) as { message: string } };
  }

  test.each([
    ['a body', batch, large, {}, 413, /4096 bytes \(NOWCAST_MAX_BODY_BYTES\)/],
    ['the body of an event', single, large.slice(1, -1), {}, 413, /4096 bytes \(NOWCAST_MAX_BODY_BYTES\)/],
    [
      'a decompressed body',
      batch,
      gzipSync(' '.repeat(9_000)),
      { 'content-encoding': 'gzip' },
      413,
      /8192 bytes \(NOWCAST_MAX_DECOMPRESSED_BYTES\)/,
    ],
    ['events', batch, '[1,2,3,4]', {}, 413, /3 events \(NOWCAST_MAX_BATCH_EVENTS\), got 4/],
  ] as const)('%s', async (_what, path, body, headers, status, message) => {
    const answer = await post(path, body, headers);
    expect(answer).toMatchObject({ status, body: { message: expect.stringMatching(message) } });
  });

  test.each([
    ['levels of metadata', nested(4), /3 levels \(NOWCAST_MAX_JSON_DEPTH\)/],
    ['keys of metadata', { a: wide(3), b: [wide(2)] }, /5 keys \(NOWCAST_MAX_JSON_KEYS\), got 7/],
    // Three bytes each in UTF-8.
    [
      'bytes of metadata',
      { a: '模'.repeat(70) },
      /200 bytes of JSON \(NOWCAST_MAX_METADATA_BYTES\), got 21\d/,
    ],
  ])('%s', async (_what, metadata, message) => {
    const answer = await post(single, JSON.stringify({ ...event(), metadata }));
    expect(answer).toMatchObject({ status: 400, body: { message: expect.stringMatching(message) } });
  });

  test.each([[nested(3)], [{ a: wide(2), b: [wide(1)] }], [{ a: '模'.repeat(60) }]])(
    'and what lies within is stored',
    async (metadata) => {
      expect((await post(single, JSON.stringify({ ...event(), metadata }))).status).toBe(200);
    },
  );
});
