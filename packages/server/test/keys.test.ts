import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createEmptyDatabase } from './support/postgres.ts';
import { buildServer, clusterDirectory, query, spawnNowcast } from './support/processes.ts';
import { startTestServer } from './support/server.ts';

beforeAll(buildServer);

async function nowcast(args: string[], env: Record<string, string>) {
  const { ended, stdout, stderr } = spawnNowcast(args, env);
  const { code } = await ended;
  return { code, stdout: stdout(), stderr: stderr() };
}

async function emptyDatabase(): Promise<Record<string, string>> {
  const database = await createEmptyDatabase();
  onTestFinished(database.drop);
  return { DATABASE_URL: database.url };
}

describe('nowcast keys', () => {
  test('creates a key that a running server follows, lists it without showing it, and revokes it', async () => {
    const server = await startTestServer();
    onTestFinished(server.close);
    const env = { DATABASE_URL: server.databaseUrl };
    const created = await nowcast(['keys', 'create', '--scope', 'ingest', '--name', 'the api'], env);
    expect(created.code).toBe(0);
    const key = created.stdout.trim();
    expect(key).toMatch(/^nc_ing_[\w-]{32}$/);
    const prefix = key.slice(0, 15);
    expect(created.stderr).toContain(prefix);
    expect(created.stderr).toContain('every request needs a key');
    expect(created.stderr).not.toContain(key);

    const event = { model_version: 'm', inference_time_ms: 1 };
    const status = async () =>
      (await server.post('/telemetry/inference', event, { authorization: `Bearer ${key}` })).status;
    await expect.poll(async () => (await server.post('/telemetry/inference', event)).status).toBe(401);
    expect(await status()).toBe(200);
    // Written down in the background.
    await expect
      .poll(() => query(server.databaseUrl, 'select last_used_at is not null from nowcast.keys'))
      .toEqual([['t']]);

    const listed = await nowcast(['keys', 'list', '--json'], env);
    expect(JSON.parse(listed.stdout)).toEqual({
      prefix,
      scope: 'ingest',
      name: 'the api',
      created: expect.stringMatching(/^\d{4}-.*\+00$/),
      last_used: expect.stringMatching(/^\d{4}-.*\+00$/),
      revoked: null,
    });
    const stored = JSON.stringify(await query(server.databaseUrl, 'select k::text from nowcast.keys k'));
    for (const text of [listed.stdout, listed.stderr, stored]) expect(text).not.toContain(key.slice(15));

    expect((await nowcast(['keys', 'revoke', prefix], env)).stdout).toBe(`${prefix} is revoked.\n`);
    await expect.poll(status, { interval: 5 }).toBe(401);
    expect((await nowcast(['keys', 'revoke', key], env)).stdout).toBe(`${prefix} was revoked before.\n`);
    expect((await nowcast(['keys', 'list'], env)).stdout).toMatch(/the api .* \d{4}-.* \| \d{4}-/);
  });

  test('makes the table where there is none yet, and revokes only what is meant', async () => {
    const env = await emptyDatabase();
    await nowcast(['keys', 'create', '--scope', 'anon'], env);
    await nowcast(['keys', 'create', '--scope', 'anon'], env);
    const several = await nowcast(['keys', 'revoke', 'nc_anon_'], env);
    expect(several).toMatchObject({ code: 1, stdout: '' });
    expect(several.stderr).toMatch(
      /^Several keys .* none was revoked: nc_anon_[\w-]{8}, nc_anon_[\w-]{8}\.\n$/,
    );
    const none = await nowcast(['keys', 'revoke', 'nc_svc_looks-like-a-secret'], env);
    expect(none.code).toBe(1);
    expect(none.stderr).not.toContain('looks-like-a-secret');
    expect((await nowcast(['keys', 'list', '--json'], env)).stdout.match(/"revoked":null/g)).toHaveLength(2);
  });

  test.each([
    [['keys', 'create']],
    [['keys', 'create', '--scope', 'admin']],
    [['keys', 'create', '--scope', 'anon', '--name', 'x'.repeat(101)]],
    [['keys', 'revoke']],
  ])('%j is wrong usage', async (args) => {
    expect((await nowcast(args, { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/x' })).code).toBe(2);
  });

  test('works on the embedded database', async () => {
    const env = { NOWCAST_DATA_DIR: await clusterDirectory() };
    const { code, stdout } = await nowcast(['keys', 'create', '--scope', 'service'], env);
    expect(code).toBe(0);
    expect((await nowcast(['keys', 'list'], env)).stdout).toContain(stdout.slice(0, 15));
  });
});

test('no secret is ever printed, however much is logged', async () => {
  const env = await emptyDatabase();
  const { stdout: made } = await nowcast(['keys', 'create', '--scope', 'service'], env);
  const secrets = ['env-ingest-secret', 'env-anon-secret', 'env-service-secret', made.trim(), 'wrong-secret'];
  const server = spawnNowcast(['start'], {
    ...env,
    PORT: '0',
    NOWCAST_INGEST_KEY: secrets[0]!,
    NOWCAST_ANON_KEY: secrets[1]!,
    NOWCAST_SERVICE_KEY: secrets[2]!,
    NOWCAST_LOG_LEVEL: 'trace',
  });
  await server.says('Send the first event');
  const url = /ready at (\S+)/.exec(server.stdout())![1]!;
  for (const key of secrets) {
    const headers = { apikey: key, 'content-type': 'application/json' };
    for (const body of ['{"model_version":"m","inference_time_ms":1}', 'no json']) {
      await fetch(`${url}/telemetry/inference`, { method: 'POST', headers, body });
      await fetch(`${url}/telemetry/inference/batch`, { method: 'POST', headers, body });
    }
    for (const path of ['/rest/v1/inference_logs', '/rest/v1/rpc/nothing', '/metrics', '/nowhere']) {
      const answer = await fetch(`${url}${path}`, { headers });
      expect(await answer.text()).not.toContain(key);
    }
    await fetch(`${url}/realtime/v1/websocket?apikey=${key}`);
  }
  server.child.kill('SIGTERM');
  expect((await server.ended).code).toBe(0);
  const printed = server.stdout() + server.stderr();
  expect(printed).toContain('Stopped.');
  for (const secret of secrets) expect(printed).not.toContain(secret);
});
