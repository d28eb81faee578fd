/** Bodies that are being received or decompressed, over real sockets: bounded all together. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { event } from './support/events.ts';
import { startTestServer, type TestServer } from './support/server.ts';

const budgetBytes = 256 * 1024;
const batchPath = '/telemetry/inference/batch';

let server: TestServer;
const sockets: Socket[] = [];
beforeAll(async () => {
  server = await startTestServer({ NOWCAST_MAX_RECEIVING_BYTES: String(budgetBytes) });
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await server.close();
});

/** What the server says that it holds, from its own metrics. */
async function heldBytes(): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^nowcast_body_bytes (\d+)$/m.exec(text)![1]);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A request of which `sent` bytes arrive and the rest does not. */
async function halfSent(path: string, sent: number, announced: number): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port) });
  sockets.push(socket);
  await once(socket, 'connect');
  const before = await heldBytes();
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${announced}\r\n\r\n${' '.repeat(sent)}`,
  );
  await until(async () => (await heldBytes()) >= before + sent);
  return socket;
}

const batchOf = (bytes: number) => {
  const one = JSON.stringify(event({ error_message: 'x'.repeat(1_000) }));
  return `[${new Array(Math.ceil(bytes / one.length)).fill(one).join(',')}]`;
};

test('half-sent bodies are held up to the bound, beyond it the answer is 503 with Retry-After, and all is free again after', async () => {
  const first = await halfSent(batchPath, 100_000, 200_000);
  const second = await halfSent('/rest/v1/inference_logs', 100_000, 200_000);
  const third = await halfSent('/telemetry/inference', 40_000, 60_000);

  const refused = await fetch(server.url + batchPath, { method: 'POST', body: batchOf(50_000) });
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await refused.json()).toMatchObject({
    error: 'overloaded',
    message: expect.stringContaining('NOWCAST_MAX_RECEIVING_BYTES'),
  });
  // A plain event comes in one piece: it is never under way.
  expect((await server.post('/telemetry/inference', event())).status).toBe(200);

  for (const socket of [first, second, third]) socket.destroy();
  await until(async () => (await heldBytes()) === 0);
  expect((await server.post(batchPath, batchOf(50_000))).status).toBe(200);
});

test('what a body becomes when it is decompressed counts too', async () => {
  await until(async () => (await heldBytes()) === 0);
  const small = gzipSync(batchOf(200_000));
  const slow = await halfSent(batchPath, 100_000, 200_000);
  const refused = await server.post(batchPath, small, { 'content-encoding': 'gzip' });
  expect(refused).toMatchObject({ status: 503, body: { error: 'overloaded' } });
  slow.destroy();
  await until(async () => (await heldBytes()) === 0);
  expect((await server.post(batchPath, small, { 'content-encoding': 'gzip' })).status).toBe(200);
});

test('a request that is alone is taken up to its own limits, whatever the bound', async () => {
  await until(async () => (await heldBytes()) === 0);
  expect((await server.post(batchPath, batchOf(2 * budgetBytes))).status).toBe(200);
  await until(async () => (await heldBytes()) === 0);
});
