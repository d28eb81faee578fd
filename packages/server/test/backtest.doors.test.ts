import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildServer, spawnNowcast } from './support/processes.ts';
import { startTestServer, type TestServer } from './support/server.ts';

const keys = {
  NOWCAST_INGEST_KEY: 'ingest-key-of-this-test',
  NOWCAST_ANON_KEY: 'anon-key-of-this-test',
  NOWCAST_SERVICE_KEY: 'service-key-of-this-test',
};
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const service = bearer(keys.NOWCAST_SERVICE_KEY);
const path = '/alerts/backtest';

let server: TestServer;
beforeAll(async () => {
  await buildServer();
  server = await startTestServer(keys);
  const client = new pg.Client({ connectionString: server.databaseUrl });
  await client.connect();
  // Five hours of twenty events a minute; of the tenth last to the sixth last minutes all fail.
  await client.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms, is_error)
     select date_trunc('minute', now()) - make_interval(secs => 3 * i), 'v1', 100, i between 100 and 200
     from generate_series(1, 6000) i
     where date_trunc('minute', now()) - make_interval(secs => 3 * i) >= date_trunc('day', now() at time zone 'utc') at time zone 'utc' - interval '1 day'`,
  );
  await client.end();
});
afterAll(() => server.close());

describe('POST /alerts/backtest', () => {
  test('answers what a rule would have done', async () => {
    const { status, body } = await server.post(path, { rule: { name: 'error_failure' } }, service);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      count: 1,
      alerts: [{ labels: { model_version: 'v1' }, severity: 'critical', message: expect.any(String) }],
    });
    expect(Object.keys(body.alerts[0]).sort()).toEqual([
      'delay_seconds',
      'first_bad_at',
      'labels',
      'message',
      'opened_at',
      'resolved_at',
      'severity',
    ]);
  });

  test('needs a service key', async () => {
    const ask = async (headers: Record<string, string>) =>
      (await server.post(path, { rule: { name: 'error_failure' } }, headers)).status;
    expect(await ask({})).toBe(401);
    expect(await ask(bearer(keys.NOWCAST_INGEST_KEY))).toBe(403);
    expect(await ask(bearer(keys.NOWCAST_ANON_KEY))).toBe(403);
  });

  test.each([
    [{ rule: { name: 'none' } }, 'name'],
    [{ rule: { name: 'error_failure' }, since: 'yesterday' }, 'since'],
    [
      { rule: { name: 'error_failure' }, since: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' },
      'since',
    ],
    [{ rule: { name: 'error_failure' }, since: '2020-01-02T00:00:00Z' }, 'since'],
    [{ rules: [] }, 'rules'],
    [{}, 'rule'],
  ])('refuses %j, naming the field', async (body, field) => {
    expect(await server.post(path, body, service)).toMatchObject({ status: 400, body: { field } });
  });

  test('runs one at a time', async () => {
    const statuses: number[] = [];
    const ask = async () => {
      const { status } = await server.post(path, { rule: { name: 'error_burn_fast' } }, service);
      statuses.push(status);
    };
    const client = new pg.Client({ connectionString: server.databaseUrl });
    await client.connect();
    // The one that runs waits for its figures until the others have been answered.
    await client.query('begin; lock table nowcast.model_summaries in access exclusive mode');
    const asked = [ask(), ask(), ask()];
    await expect.poll(() => statuses).toEqual([429, 429]);
    await client.query('rollback');
    await client.end();
    await Promise.all(asked);
    expect(statuses).toEqual([429, 429, 200]);
    // And the place is free again.
    await ask();
    expect(statuses.at(-1)).toBe(200);
  });
});

describe('nowcast backtest', () => {
  const nowcast = async (...args: string[]) => {
    const { ended, stdout, stderr } = spawnNowcast(['backtest', ...args], {
      DATABASE_URL: server.databaseUrl,
    });
    const { code } = await ended;
    return { code, stdout: stdout(), stderr: stderr() };
  };

  test('tells what a change of a rule would have done instead', async () => {
    const { code, stdout } = await nowcast('error_failure', '--set', 'min_events=5000', '--since', '1d');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^error_failure: 0 alerts instead of 1 \([\d.]+ a week\) in /);
  });

  test('prints a line of JSON an alert, and one with the figures', async () => {
    const { code, stdout } = await nowcast('error_failure', '--since', '1d', '--json');
    expect(code).toBe(0);
    const [alert, figures, ...others] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(alert).toMatchObject({ labels: { model_version: 'v1' } });
    expect(figures).toMatchObject({ count: 1 });
    expect(others).toEqual([]);
  });

  test.each([
    [[], 'Name a rule of alert_rules'],
    [['error_failre'], 'there is no rule "error_failre"'],
    [['error_failure', '--set', 'condition.p_value=3'], 'condition.p_value must be a number'],
    [['error_failure', '--since', 'monday'], '--since must be a time'],
    [['--rule', '/no/such/file'], 'cannot be read'],
    [['--rule', '{"kind":'], '--rule is no JSON'],
  ])('answers %j with one sentence and exit code 2', async (args, sentence) => {
    const { code, stdout, stderr } = await nowcast(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(sentence);
  });
});
