/** Ten megabytes that would become ten gigabytes. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { event } from './support/events.ts';
import { reservedPort } from './support/ports.ts';
import { createTestDatabase } from './support/postgres.ts';
import { buildServer, spawnNowcast } from './support/processes.ts';

beforeAll(buildServer);

const bombBytes = 10 * 2 ** 20;
const maxExtraBytes = 50 * 2 ** 20;

/** As many members as fit: gunzip takes them as one stream. */
function bomb(): Buffer {
  const member = gzipSync(Buffer.alloc(10 * 2 ** 20, ' '), { level: 9 });
  return Buffer.concat(new Array<Buffer>(Math.floor(bombBytes / member.length)).fill(member));
}

/** The most that the process has ever held. */
function peakBytes(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

test.runIf(process.platform === 'linux')('a gzip bomb is refused within 50 MB of extra memory', async () => {
  const database = await createTestDatabase();
  const url = `http://127.0.0.1:${await reservedPort()}`;
  const server = spawnNowcast(['start'], { DATABASE_URL: database.url, PORT: new URL(url).port });
  await server.says(`ready at ${url}`);
  const post = (path: string, body: string | Buffer, headers = {}) =>
    fetch(url + path, { method: 'POST', body, headers });
  // What every request needs is there before.
  for (let sent = 0; sent < 50; sent += 1) {
    expect((await post('/telemetry/inference/batch', JSON.stringify([event()]))).status).toBe(200);
  }
  const before = peakBytes(server.child.pid!);
  const answer = await post('/telemetry/inference/batch', bomb(), { 'content-encoding': 'gzip' });
  expect(answer.status).toBe(413);
  expect(await answer.json()).toMatchObject({ message: expect.stringContaining('NOWCAST_MAX_DECOMPRESSED') });
  expect(peakBytes(server.child.pid!) - before).toBeLessThan(maxExtraBytes);
  expect((await post('/telemetry/inference', JSON.stringify(event()))).status).toBe(200);
  server.child.kill('SIGTERM');
  await server.ended;
  await database.drop();
});
