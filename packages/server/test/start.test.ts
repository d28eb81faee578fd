import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { identify } from '../src/store/embedded/processIdentity.ts';
import { readAddress } from '../src/store/embedded/urlFile.ts';
import { reservedPort } from './support/ports.ts';
import {
  buildServer,
  clusterDirectory,
  gone,
  query,
  spawnNowcast,
  temporaryDirectory,
} from './support/processes.ts';

beforeAll(buildServer);

/** `nowcast start` on a data directory, ready; with its PostgreSQL's process. */
async function startNowcast(dataDir: string, env: Record<string, string> = {}) {
  const url = `http://127.0.0.1:${await reservedPort()}`;
  const spawned = spawnNowcast(['start'], { ...env, NOWCAST_DATA_DIR: dataDir, PORT: new URL(url).port });
  await spawned.says(`ready at ${url}`);
  await spawned.says('curl');
  const pid = Number(readFileSync(path.join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]);
  return { ...spawned, url, dataDir, postmaster: identify(pid)! };
}

describe('nowcast start', () => {
  test('says where it is and how to send the first event, which works as pasted', async () => {
    const dataDir = path.join(await temporaryDirectory(), 'data');
    const { stdout, url } = await startNowcast(dataDir);
    expect(stdout()).toContain(dataDir);
    const curl = /curl -X POST (\S+) -H '([^:]+): ([^']+)' -d '([^']+)'/.exec(stdout());
    const answer = await fetch(curl![1]!, {
      method: 'POST',
      headers: { [curl![2]!]: curl![3]! },
      body: curl![4]!,
    });
    expect(curl![1]).toBe(`${url}/telemetry/inference`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ status: 'logged' });
    const psqlUrl = readFileSync(path.join(dataDir, 'postgres.url'), 'utf8').trim();
    expect(await query(psqlUrl, 'select model_version from inference_logs')).toEqual([['v1']]);
  });

  test('with keys, shows where the key belongs in the first event, and no key', async () => {
    const keys = { NOWCAST_INGEST_KEY: 'ingest-secret', NOWCAST_SERVICE_KEY: 'service-secret' };
    const { stdout, url } = await startNowcast(await clusterDirectory(), keys);
    const curl = /curl -X POST (\S+) -H '[^']+' -H 'authorization: Bearer YOUR_INGEST_KEY' -d '([^']+)'/.exec(
      stdout(),
    )!;
    expect(stdout()).not.toContain('secret');
    const post = (key: string) =>
      fetch(curl[1]!, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        body: curl[2]!,
      }).then(({ status }) => status);
    expect(curl[1]).toBe(`${url}/telemetry/inference`);
    expect(await post('YOUR_INGEST_KEY')).toBe(401);
    expect(await post('ingest-secret')).toBe(200);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s stops everything cleanly', async (signal) => {
    // Its work in the background, here the partitions of ten years, is long from done.
    const years = { NOWCAST_HOT_DAYS: '3650' };
    const { child, ended, postmaster, dataDir, stdout } = await startNowcast(await clusterDirectory(), years);
    child.kill(signal);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(stdout()).toContain('Stopped.');
    await gone(postmaster, 0);
    expect(existsSync(path.join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
  });

  test('a second signal ends it at once, and PostgreSQL follows', async () => {
    const { child, ended, postmaster } = await startNowcast(await clusterDirectory());
    child.kill('SIGTERM');
    child.kill('SIGINT');
    expect([130, 143, 0]).toContain((await ended).code);
    await gone(postmaster);
  });

  test('after kill -9 PostgreSQL stops by itself, and the next start has every event', async () => {
    const first = await startNowcast(await clusterDirectory());
    const event = { model_version: 'v7', inference_time_ms: 1, input_size_bytes: 1 };
    const answer = await fetch(`${first.url}/telemetry/inference`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(event),
    });
    expect(answer.status).toBe(200);
    first.child.kill('SIGKILL');
    await gone(first.postmaster);

    const second = await startNowcast(first.dataDir);
    const psqlUrl = readFileSync(path.join(second.dataDir, 'postgres.url'), 'utf8').trim();
    expect(await query(psqlUrl, 'select model_version from inference_logs')).toEqual([['v7']]);
  });

  test('a second start on the same data directory is told where the first one is', async () => {
    const first = await startNowcast(await clusterDirectory());
    for (const port of [new URL(first.url).port, String(await reservedPort())]) {
      const second = spawnNowcast(['start'], { NOWCAST_DATA_DIR: first.dataDir, PORT: port });
      expect((await second.ended).code).toBe(1);
      expect(second.stderr()).toContain(`already runs on this data directory at ${first.url}`);
      expect(second.stderr().trim().split('\n')).toHaveLength(1);
    }
    expect((await fetch(`${first.url}/health`)).status).toBe(200);
  });

  test('a port in use is one sentence, and no PostgreSQL is left behind', async () => {
    const dataDir = await clusterDirectory();
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const refused = spawnNowcast(['start'], { NOWCAST_DATA_DIR: dataDir, PORT: String(port) });
    expect((await refused.ended).code).toBe(1);
    expect(refused.stderr()).toBe(
      `Port ${port} on 127.0.0.1 is in use by another program: stop it, or set PORT to a free one.\n`,
    );
    expect(existsSync(path.join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
  });

  test('a host that is not loopback is refused without keys', async () => {
    const dataDir = path.join(await temporaryDirectory(), 'data');
    const refused = spawnNowcast(['start'], { HOST: '0.0.0.0', PORT: '0', NOWCAST_DATA_DIR: dataDir });
    expect((await refused.ended).code).toBe(2);
    expect(refused.stderr()).toMatch(/^HOST 0\.0\.0\.0 .* needs keys: [^\n]*\n$/);
    // No cluster was made for a start that could not succeed.
    expect(existsSync(dataDir)).toBe(false);
  });

  test('a cluster of another version is one sentence', async () => {
    const dataDir = await clusterDirectory();
    writeFileSync(path.join(dataDir, 'postgres/PG_VERSION'), '17\n');
    const refused = spawnNowcast(['start'], { NOWCAST_DATA_DIR: dataDir, PORT: '0' });
    expect((await refused.ended).code).toBe(1);
    expect(refused.stderr()).toMatch(/^[^\n]*made by PostgreSQL 17[^\n]*\n$/);
    expect(readAddress(dataDir)).toBeDefined();
  });

  test.each([
    ['HOST', { HOST: '203.0.113.7', NOWCAST_SERVICE_KEY: 'secret' }, /no address of this machine: set HOST/],
    ['HOST', { HOST: 'nowhere.invalid', NOWCAST_SERVICE_KEY: 'secret' }, /cannot be resolved: set HOST/],
  ])('a %s that cannot be listened on is one sentence', async (_name, env, sentence) => {
    const dataDir = path.join(await temporaryDirectory(), 'data');
    const refused = spawnNowcast(['start'], { ...env, PORT: '0', NOWCAST_DATA_DIR: dataDir });
    expect((await refused.ended).code).toBe(1);
    expect(refused.stderr()).toMatch(/^[^\n]+\n$/);
    expect(refused.stderr()).toMatch(sentence);
    expect(existsSync(dataDir)).toBe(false);
  });

  test('comes back by itself when PostgreSQL is killed', async () => {
    const { postmaster, url } = await startNowcast(await clusterDirectory());
    process.kill(postmaster.pid, 'SIGKILL');
    await gone(postmaster);
    const event = JSON.stringify({ model_version: 'v1', inference_time_ms: 1, input_size_bytes: 1 });
    const post = () =>
      fetch(`${url}/telemetry/inference`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: event,
      }).then((answer) => answer.status);
    await expect.poll(post, { interval: 50 }).toBe(200);
  });
});
