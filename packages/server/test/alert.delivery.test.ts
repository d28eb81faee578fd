/** From an alert in the database to a message at a channel: the whole server, real HTTP. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { type Receiver, startReceiver } from './support/receivers.ts';
import { startTestServer, type TestServer } from './support/server.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function start(
  environment: Record<string, string>,
): Promise<{ server: TestServer; query: (text: string, values?: unknown[]) => Promise<pg.QueryResult> }> {
  const server = await startTestServer({ NOWCAST_WEBHOOK_ALLOW: '127.0.0.1', ...environment });
  const pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
  open.push(server, { close: () => pool.end() });
  return { server, query: (text, values) => pool.query(text, values) };
}

async function receiver(...answer: Parameters<typeof startReceiver>): Promise<Receiver> {
  const made = await startReceiver(...answer);
  open.push(made);
  return made;
}

async function configFile(text: string): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-alerts-'));
  open.push({ close: () => rm(directory, { recursive: true, force: true }) });
  const file = path.join(directory, 'nowcast.config.ts');
  await writeFile(file, text);
  return file;
}

const raise = (message: string, more: { severity?: string; explanation?: unknown } = {}) => ({
  text: `insert into system_alerts (severity, alert_type, message, rule, labels, explanation)
    values ($1, 'error_rate', $2, 'error_failure', '{"model_version": "v2"}', $3) returning id`,
  values: [
    more.severity ?? 'critical',
    message,
    JSON.stringify(more.explanation ?? { sentence: 'Errors rose.' }),
  ],
});

describe('an alert', () => {
  test('is one firing and one resolved message at a Slack webhook, and a line of its timeline each', async () => {
    const slack = await receiver();
    const { server, query } = await start({ SLACK_WEBHOOK_URL: `${slack.url}/services/T/B/x` });
    const { text, values } = raise('30 % of requests of <v2> fail & more');
    await query(text, values);
    await slack.until(({ length }) => length >= 1);
    const [firing] = slack.received;
    expect(firing).toMatchObject({ method: 'POST', path: '/services/T/B/x' });
    expect(firing!.body.text).toBe('🔴 Critical: 30 % of requests of &lt;v2&gt; fail &amp; more');
    expect(JSON.stringify(firing!.body.blocks)).toContain('Errors rose.');
    await query(`update system_alerts set status = 'resolved'`);
    await slack.until(({ length }) => length >= 2);
    expect(slack.received[1]!.body.text).toMatch(/^🟢 Resolved after \d+ (s|min): 30 %/);

    // The receiver has it a moment before it is written down.
    const channels = async () => (await server.get('/alerts/channels')).body;
    await expect.poll(channels).toMatchObject([
      {
        name: 'slack',
        kind: 'slack',
        source: 'environment',
        state: 'working',
        waiting: 0,
        sent: 2,
        failed: 0,
      },
    ]);
    expect(JSON.stringify(await channels())).not.toContain('services');
    await expect
      .poll(async () => (await server.get('/health')).body.alert_channels)
      .toEqual({
        working: 1,
        failing: 0,
        untried: 0,
        waiting: 0,
      });
    const { rows } = await query(
      `select text, channel from incident_timeline where kind = 'sent' order by at`,
    );
    expect(rows).toEqual([
      { text: 'Told that it fires', channel: 'slack' },
      { text: 'Told that it is over', channel: 'slack' },
    ]);
  });

  test('reaches a channel of the table that takes it, by severity and labels', async () => {
    const [all, critical, other] = [await receiver(), await receiver(), await receiver()];
    const { query } = await start({});
    await query(
      `insert into alert_channels (name, kind, min_severity, matchers, secrets) values
        ('all', 'webhook', 'warning', '{}', $1),
        ('critical', 'webhook', 'critical', '{"model_version": ["v1", "v2"]}', $2),
        ('other', 'webhook', 'warning', '{"model_version": "v3"}', $3)`,
      [{ url: all.url }, { url: critical.url }, { url: other.url }],
    );
    const warning = raise('slow', { severity: 'warning' });
    await query(warning.text.replace('error_failure', 'latency'), warning.values);
    await all.until(({ length }) => length >= 1);
    expect(critical.received).toEqual([]);
    const grave = raise('failing');
    await query(grave.text, grave.values);
    await critical.until(({ length }) => length >= 1);
    await all.until(({ length }) => length >= 2);
    expect(all.received.map(({ body }) => body.type)).toEqual(['firing', 'escalated']);
    expect(critical.received.map(({ body }) => [body.type, body.incident.alert_count])).toEqual([
      ['firing', 2],
    ]);
    expect(other.received).toEqual([]);
  });
});

describe('people', () => {
  test('silence what they know: nothing is told, and its beginning once the silence ends', async () => {
    const hook = await receiver();
    const { server, query } = await start({ NOWCAST_WEBHOOK_URL: hook.url });
    const silence = {
      matchers: { model_version: 'v2' },
      for_interval: '1 hour',
      reason: 'deploy',
      by: 'ann',
    };
    const { body: id } = await server.post('/rest/v1/rpc/silence_alerts', silence);
    const { text, values } = raise('failing');
    await query(text, values);
    // Another incident, told afterwards, shows that there was time for this one.
    await query(`insert into nowcast.incidents (severity, title) values ('warning', 'other')`);
    await query(
      `insert into system_alerts (severity, alert_type, message, rule, incident_id, explanation)
       select 'warning', 'x', 'other', 'x', max(id), '{"sentence": "x"}' from nowcast.incidents`,
    );
    await hook.until(({ length }) => length >= 1);
    expect(hook.received[0]!.body.incident.title).toBe('other');
    await server.post('/rest/v1/rpc/end_silence', { id });
    await hook.until(({ length }) => length >= 2);
    expect(hook.received[1]!.body).toMatchObject({ type: 'firing', incident: { title: 'failing' } });
  });

  test('acknowledge as the article does, and a message that can be changed says so', async () => {
    const hook = await receiver();
    const { query } = await start({ NOWCAST_WEBHOOK_URL: hook.url });
    const { text, values } = raise('failing');
    await query(text, values);
    await hook.until(({ length }) => length >= 1);
    // Changes wait for ten seconds.
    await expect
      .poll(async () => (await query('select told from nowcast.alert_deliveries')).rows)
      .toEqual([{ told: 'firing' }]);
    await query(`update nowcast.alert_deliveries set told_at = told_at - interval '10 seconds'`);
    await query('update system_alerts set acknowledged = true');
    await hook.until(({ length }) => length >= 2);
    expect(hook.received[1]!.body).toMatchObject({ type: 'update', incident: { acknowledged: true } });
  });
});

test('ten thousand alerts at once are one incident and a handful of messages', async () => {
  const [slack, hook] = [await receiver(), await receiver()];
  const { query } = await start({ SLACK_WEBHOOK_URL: slack.url, NOWCAST_WEBHOOK_URL: hook.url });
  await query(
    `insert into system_alerts (severity, alert_type, message, rule, labels, explanation)
     select 'critical', 'error_rate', 'failing', 'rule ' || i, jsonb_build_object('model_version', 'm' || i % 500),
       '{"sentence": "Errors rose."}' from generate_series(1, 10000) i`,
  );
  await query(`update system_alerts set status = 'resolved'`);
  await hook.until((received) => received.some(({ body }) => /resolved|late/.test(body.type)));
  await slack.until((received) => received.some(({ body }) => body.text.includes('Resolved')));
  expect(slack.received.length).toBeLessThanOrEqual(2);
  expect(hook.received.length).toBeLessThanOrEqual(3);
  expect(slack.received.at(-1)!.text).toContain('and 9,994 more');
});

describe('a channel', () => {
  test('of the table keeps secrets that were written into its config out of sight, and is refused by name', async () => {
    const { server, query } = await start({});
    const write = (body: unknown) => server.post('/rest/v1/alert_channels', body);
    expect(
      await write({ name: 'ops', kind: 'slack', config: { url: 'https://hooks.example/secret' } }),
    ).toMatchObject({
      status: 201,
    });
    expect((await query('select config, secrets from alert_channels')).rows).toEqual([
      { config: {}, secrets: { url: 'https://hooks.example/secret' } },
    ]);
    expect(await write({ name: 'a', kind: 'sms' })).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining('kind must be one of slack, webhook') },
    });
    expect(await write({ name: 'a', kind: 'email', config: { to: 'a@b.example' } })).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining('needs url, to and from') },
    });
  });

  test('that is away is shown, gets the message when it is back, marked late, and is told of what is refused once', async () => {
    let status = 503;
    const slack = await receiver(() => ({ status }));
    const { server, query } = await start({ SLACK_WEBHOOK_URL: slack.url });
    const { text, values } = raise('failing');
    await query(text, values);
    await slack.until(({ length }) => length >= 1);
    const channel = async () => (await server.get('/alerts/channels')).body[0];
    await expect.poll(channel).toMatchObject({ state: 'failing', waiting: 1, last_error: 'answered 503' });
    await expect
      .poll(async () => (await server.get('/health')).body)
      .toMatchObject({ alert_channels: { failing: 1, waiting: 1 } });
    expect((await query(`select note from incident_timeline where kind = 'failing'`)).rows).toEqual([
      { note: 'answered 503' },
    ]);
    await query(`update nowcast.incidents set opened_at = opened_at - interval '10 minutes'`);
    status = 200;
    const { body: tested } = await server.post('/alerts/channels/test', { name: 'slack' });
    expect(tested).toEqual({ delivered: true });
    await slack.until((received) => received.some(({ text: sent }) => sent.includes('it began 10 min ago')));
    status = 404;
    await query(`update system_alerts set status = 'resolved'`);
    await expect.poll(channel).toMatchObject({ refused: 1, last_error: 'answered 404' });
    const { length } = slack.received;
    await query(`select pg_notify('nowcast_outbox', '')`);
    await query(
      `insert into nowcast.alert_outbox (kind, severity, payload) values ('digest', 'warning', '{"title": "News"}')`,
    );
    await slack.until((received) => received.length > length);
    expect(slack.received.slice(length).map(({ body }) => body.text)).toEqual(['🔵 News']);
  });

  test('of the configuration file takes what it is for, beside those of the environment and the table', async () => {
    const [file, table] = [await receiver(), await receiver()];
    const config = await configFile(`export default {
      channels: [
        { name: 'from-file', kind: 'webhook', url: '${file.url}/x', min_severity: 'critical', matchers: { model_version: 'v2' } },
      ],
    };`);
    const { server, query } = await start({
      NOWCAST_CONFIG: config,
      SLACK_WEBHOOK_URL: `${table.url}/slack`,
    });
    await query(`insert into alert_channels (name, kind, secrets) values ('from-file', 'webhook', $1)`, [
      { url: table.url },
    ]);
    const { text, values } = raise('failing');
    await query(text, values);
    await file.until(({ length }) => length === 1);
    expect(file.received[0]).toMatchObject({ path: '/x', body: { type: 'firing' } });
    const { body } = await server.get('/alerts/channels');
    expect(body).toMatchObject([
      { name: 'slack', source: 'environment' },
      { name: 'from-file', source: 'config', enabled: true },
      {
        name: 'from-file',
        source: 'table',
        state: 'failing',
        last_error: 'the name is taken by a channel of the config',
      },
    ]);
    expect(JSON.stringify(body)).not.toContain(file.url);
  });

  test('is tested by name; an unknown one is an error', async () => {
    const { server } = await start({ SLACK_WEBHOOK_URL: 'https://127.0.0.2/x' });
    expect(await server.post('/alerts/channels/test', { name: 'nobody' })).toMatchObject({ status: 404 });
    expect(await server.post('/alerts/channels/test', { name: 1 })).toMatchObject({
      status: 400,
      body: { field: 'name' },
    });
    expect((await server.post('/alerts/channels/test', { name: 'slack' })).body).toEqual({
      delivered: false,
      error: 'the host has an address that is not public; NOWCAST_WEBHOOK_ALLOW can allow it by host or CIDR',
    });
  });
});
