/** What people see and do about alerts, by SQL and through the REST door. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let pool: pg.Pool;
beforeAll(async () => {
  server = await startTestServer({ NOWCAST_ANON_KEY: 'read', NOWCAST_SERVICE_KEY: 'all' });
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
});
afterAll(async () => {
  await pool.end();
  await server.close();
});
beforeEach(() =>
  pool.query(
    'truncate system_alerts, nowcast.incidents, nowcast.alert_outbox, nowcast.alert_silences, alert_channels cascade',
  ),
);

const call = (name: string, body: unknown, apikey = 'all') =>
  server.post(`/rest/v1/rpc/${name}`, body, { apikey });
const read = (path: string, apikey = 'all') => server.get(`/rest/v1/${path}`, { apikey });

async function raise(rule: string, model: string): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    `insert into system_alerts (severity, alert_type, message, rule, labels) values ('critical', $1, $2, $1, $3) returning id`,
    [rule, `${rule} of ${model}`, { model_version: model }],
  );
  return rows[0]!.id;
}

describe('an incident', () => {
  test('is acknowledged as a whole, and its timeline tells who did what', async () => {
    const ids = [await raise('error_failure', 'a'), await raise('latency', 'a')];
    const { body: open } = await read('incidents');
    expect(open).toMatchObject([
      {
        title: 'error_failure of a (and 1 more)',
        alert_count: 2,
        models: ['a'],
        rules: ['error_failure', 'latency'],
        severity: 'critical',
        closed_at: null,
        acknowledged: false,
        acknowledged_by: null,
        silenced: false,
      },
    ]);
    const incident = open[0].id;
    const acknowledge = { incident_id: incident, by: 'ann', note: 'rolling back' };
    expect(await call('acknowledge_incident', acknowledge)).toMatchObject({ status: 200, body: 2 });
    expect(await call('acknowledge_incident', acknowledge)).toMatchObject({ status: 200, body: 0 });
    expect((await read('incidents')).body).toMatchObject([{ acknowledged: true, acknowledged_by: 'ann' }]);

    await call('silence_alerts', {
      matchers: { model_version: 'a' },
      for_interval: '1 hour',
      reason: 'known',
      by: 'bob',
    });
    expect((await read('incidents')).body).toMatchObject([{ silenced: true }]);
    await pool.query(`update system_alerts set status = 'resolved' where id = any ($1)`, [ids]);
    expect((await read('incidents')).body).toMatchObject([{ acknowledged: true, silenced: false }]);
    const { body: timeline } = await read(`incident_timeline?incident_id=eq.${incident}&order=at,kind`);
    expect(timeline.find(({ kind }: { kind: string }) => kind === 'silenced').text).toMatch(
      /^Silenced until \d{4}-\d\d-\d\d \d\d:\d\d UTC: model_version a$/,
    );
    expect(timeline.map(({ kind, who, note }: Record<string, unknown>) => [kind, who, note])).toEqual([
      ['began', null, null],
      ['joined', null, null],
      ['acknowledged', 'ann', 'rolling back'],
      ['acknowledged', 'ann', 'rolling back'],
      ['silenced', 'bob', 'known'],
      ['closed', null, null],
      ['resolved', null, null],
      ['resolved', null, null],
    ]);
  });

  test('shows an anon key neither people, nor what they say, nor explanations', async () => {
    const id = await raise('error_failure', 'a');
    await pool.query(`update system_alerts set explanation = '{"sentence": "user 7"}' where id = $1`, [id]);
    await call('acknowledge_alert', { alert_id: id, by: 'ann', note: 'it is the customer in Bern' });
    const { body } = await read('system_alerts', 'read');
    expect(body[0]).toHaveProperty('message');
    expect(body[0]).not.toHaveProperty('explanation');
    expect(body[0]).not.toHaveProperty('acknowledged_by');
    expect(JSON.stringify([body, (await read('incident_timeline', 'read')).body])).not.toContain('Bern');
    expect(JSON.stringify((await read('incident_timeline')).body)).toContain('Bern');
    expect((await read('incidents', 'read')).body[0]).not.toHaveProperty('acknowledged_by');
    expect((await read('incident_timeline', 'read')).body[0]).not.toHaveProperty('who');
    expect((await read('system_alerts', 'all')).body[0]).toMatchObject({
      explanation: { sentence: 'user 7' },
    });
  });
});

describe('a maintenance window', () => {
  const hour = 3_600_000;
  const at = (offsetMs: number) => new Date(Date.now() + offsetMs).toISOString();

  test('silences what matches from its beginning on and can be ended early', async () => {
    await raise('error_failure', 'a');
    const { body: coming } = await call('maintenance_window', {
      starts_at: at(hour),
      ends_at: at(2 * hour),
      reason: 'migration',
    });
    expect((await read('incidents')).body).toMatchObject([{ silenced: false }]);
    const { body: now } = await call('maintenance_window', {
      starts_at: at(-1000),
      ends_at: at(hour),
      matchers: { model_version: 'a' },
      by: 'ann',
    });
    expect((await read('incidents')).body).toMatchObject([{ silenced: true }]);
    expect((await read('alert_silences?order=id')).body).toMatchObject([
      { id: coming, kind: 'maintenance', reason: 'migration', ended_at: null },
      { id: now, kind: 'maintenance', created_by: 'ann', ended_at: null },
    ]);
    expect(await call('end_silence', { id: now })).toMatchObject({ status: 200, body: true });
    expect((await read('incidents')).body).toMatchObject([{ silenced: false }]);
    expect(await call('end_silence', { id: now })).toMatchObject({ status: 200, body: false });
  });

  test.for([
    [{ starts_at: at(hour), ends_at: at(0) }, 'ends after it starts'],
    [{ starts_at: at(-2 * hour), ends_at: at(-hour) }, 'is over already'],
    [{ starts_at: at(0), ends_at: at(91 * 24 * hour) }, 'up to 90 days'],
    [{ starts_at: at(0), ends_at: at(hour), matchers: [] }, 'matchers must be a JSON object'],
  ] as const)('that makes no sense is refused: %j', async ([body, message]) => {
    expect(await call('maintenance_window', body)).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining(message) },
    });
  });
});

describe('what changes something', () => {
  test.each([
    'acknowledge_alert',
    'acknowledge_incident',
    'silence_alerts',
    'end_silence',
    'maintenance_window',
  ])('%s is closed to an anon key and to GET', async (name) => {
    expect((await call(name, {}, 'read')).status).toBe(404);
    expect((await read(`rpc/${name}`)).status).toBe(405);
  });

  test('a channel is written by a service key, which never reads its secrets, and is unknown to an anon key', async () => {
    const channel = { name: 'ops', kind: 'slack', secrets: { url: 'https://hooks.slack.com/services/x' } };
    const made = await server.post('/rest/v1/alert_channels', channel, {
      apikey: 'all',
      prefer: 'return=representation',
    });
    expect(made).toMatchObject({ status: 201, body: [{ name: 'ops', min_severity: 'warning' }] });
    expect(JSON.stringify(made.body)).not.toContain('hooks.slack.com');
    expect(JSON.stringify((await read('alert_channels')).body)).not.toContain('secrets');
    expect((await read('alert_channels?select=secrets')).status).toBe(403);
    expect((await read('alert_channels?secrets->>url=like.https*')).status).toBe(403);
    expect((await read('alert_channels', 'read')).status).toBe(404);
  });
});
