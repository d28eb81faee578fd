/** Requests have ids, and the log holds neither secrets nor what was sent. */
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { event } from './support/events.ts';
import { reservedPort } from './support/ports.ts';
import { createTestDatabase } from './support/postgres.ts';
import { buildServer, spawnNowcast } from './support/processes.ts';

beforeAll(buildServer);

const secrets = {
  ingest: 'ingest-key-2f61',
  anon: 'anon-key-77aa',
  service: 'service-key-c001',
  stranger: 'guessed-key-9e9e',
};
const payload = 'what-the-user-asked-83b0';

describe('a server that logs everything', () => {
  let lines: string[];
  let output: string;
  let password: string;
  const ids: Record<string, string | null> = {};

  // One run, looked at from several sides.
  test('answers every request with an id, the sender’s own where it is fit', async () => {
    const database = await createTestDatabase();
    password = new URL(database.url).password;
    const url = `http://127.0.0.1:${await reservedPort()}`;
    const server = spawnNowcast(['start'], {
      DATABASE_URL: database.url,
      PORT: new URL(url).port,
      NOWCAST_LOG_LEVEL: 'trace',
      NOWCAST_INGEST_KEY: secrets.ingest,
      NOWCAST_ANON_KEY: secrets.anon,
      NOWCAST_SERVICE_KEY: secrets.service,
    });
    await server.says(`ready at ${url}`);
    const send = async (name: string, path: string, key: string, body?: string, more = {}) => {
      const response = await fetch(url + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${key}`, ...more },
        ...(body === undefined ? {} : { body }),
      });
      await response.arrayBuffer();
      ids[name] = response.headers.get('x-request-id');
      return response.status;
    };
    const good = JSON.stringify({ ...event(), prediction_class: payload, metadata: { prompt: payload } });
    const batch = '/telemetry/inference/batch';
    const single = '/telemetry/inference';
    expect(await send('good', batch, secrets.ingest, `[${good}]`)).toBe(200);
    expect(await send('own', batch, secrets.ingest, `[${good}]`, { 'x-request-id': 'trace:7.a-b' })).toBe(
      200,
    );
    expect(await send('odd', batch, secrets.ingest, `[${good}]`, { 'x-request-id': '{"a": "b"}' })).toBe(200);
    expect(await send('invalid', single, secrets.ingest, JSON.stringify({ model_version: payload }))).toBe(
      400,
    );
    expect(await send('broken', single, secrets.ingest, `{"${payload}`)).toBe(400);
    expect(await send('stranger', single, secrets.stranger, good)).toBe(401);
    expect(await send('read', `/rest/v1/inference_logs?prediction_class=eq.${payload}`, secrets.anon)).toBe(
      200,
    );
    expect(await send('hidden', `/rest/v1/inference_logs?user_id=eq.${payload}`, secrets.anon)).toBe(401);
    expect(await send('query', `/health?apikey=${secrets.service}&q=${payload}`, secrets.anon)).toBe(200);
    expect(await send('missing', `/nothing/${payload}?apikey=${secrets.anon}`, secrets.anon)).toBe(404);

    // The truly unexpected: a table of our own is gone.
    const owner = new pg.Client({ connectionString: database.url });
    await owner.connect();
    await owner.query('alter table nowcast.batches rename to elsewhere');
    const report = JSON.stringify({ events: [], batch_id: payload, dropped: { full: 1 } });
    expect(await send('failing', batch, secrets.ingest, report)).toBe(500);
    // Not dropped: that would lock its tables one by one, against what the server does by itself.
    await owner.query('alter schema nowcast rename to gone');
    expect(await send('unexpected', '/rest/v1/rpc/metrics', secrets.anon)).toBeGreaterThanOrEqual(400);
    await owner.end();
    server.child.kill('SIGTERM');
    await server.ended;
    await database.drop();

    output = server.stdout() + server.stderr();
    lines = server
      .stderr()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    expect(ids.own).toBe('trace:7.a-b');
    const given = Object.values(ids);
    expect(given.every((id) => typeof id === 'string' && /^[\w.:-]{1,100}$/.test(id))).toBe(true);
    expect(new Set(given).size).toBe(given.length);
  });

  test('names the request that failed unexpectedly, and why', () => {
    const failures = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 50);
    expect(failures).toContainEqual(
      expect.objectContaining({
        msg: 'ingest failed',
        request_id: ids.failing,
        err: expect.objectContaining({ message: expect.stringContaining('nowcast.batches') }),
      }),
    );
  });

  test.each(Object.entries({ ...secrets, payload }))('never says %s', (_name, secret) => {
    expect(lines.length).toBeGreaterThan(0);
    expect(output).not.toContain(secret);
  });

  test('never says the password of the database', () => {
    expect(password.length).toBeGreaterThan(10);
    expect(output).not.toContain(password);
  });
});
