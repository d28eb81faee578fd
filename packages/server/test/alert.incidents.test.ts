import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 6 });
  pool.on('error', () => undefined);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(() =>
  pool.query(
    'truncate system_alerts, nowcast.incidents, nowcast.alert_outbox, nowcast.alert_silences cascade',
  ),
);

async function rows<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await pool.query<Row>(text, values)).rows;
}

/** @returns the alert's id, or undefined when the insert was dropped */
async function raise(
  rule: string,
  model: string | undefined,
  severity = 'warning',
): Promise<number | undefined> {
  const inserted = await rows<{ id: number }>(
    `insert into system_alerts (severity, alert_type, message, rule, labels) values ($1, $2, $3, $2, $4)
     on conflict (rule, labels) where status = 'firing' do nothing returning id`,
    [severity, rule, `${rule} of ${model}`, model === undefined ? {} : { model_version: model }],
  );
  return inserted[0]?.id;
}
const resolve = (id: number | undefined) =>
  pool.query(`update system_alerts set status = 'resolved' where id = $1`, [id]);
const outbox = () =>
  rows('select kind, severity, alert_id, labels, payload from nowcast.alert_outbox order by id');
const incidents = () =>
  rows('select severity, title, closed_at is null as open, summary from nowcast.incidents order by id');

describe('alerts that begin together', () => {
  test('are one incident with one beginning and one end, whoever inserts them', async () => {
    const ids = [];
    for (const model of ['a', 'b', 'c']) {
      for (const rule of ['error_failure', 'latency_p95', 'traffic_collapsed'])
        ids.push(await raise(rule, model));
    }
    expect(await incidents()).toMatchObject([{ title: 'error_failure of a (and 8 more)', open: true }]);
    expect((await incidents())[0]!.summary).toMatchObject({
      models: ['a', 'b', 'c'],
      rules: ['error_failure', 'latency_p95', 'traffic_collapsed'],
      alerts: 9,
    });
    for (const id of ids.slice(1)) await resolve(id);
    expect(await incidents()).toMatchObject([{ open: true }]);
    await resolve(ids[0]);
    expect((await outbox()).map(({ kind }) => kind)).toEqual([
      'firing',
      ...Array(8).fill('update'),
      'resolved',
    ]);
    expect(await incidents()).toMatchObject([{ open: false }]);
    expect(
      await rows('select distinct acknowledged, resolved_at is not null as at from system_alerts'),
    ).toEqual([{ acknowledged: true, at: true }]);
  });

  test('have a title that is a phrase, while each message stays the sentence it is', async () => {
    const insert = (rule: string, message: string) =>
      pool.query(
        `insert into system_alerts (severity, alert_type, message, rule) values ('warning', 'test', $1, $2)`,
        [message, rule],
      );
    await insert('one', 'Half of the events failed, where 1.5 % is usual.');
    expect(await incidents()).toMatchObject([{ title: 'Half of the events failed, where 1.5 % is usual' }]);
    await insert('two', 'The rest is slow.');
    expect(await incidents()).toMatchObject([
      { title: 'Half of the events failed, where 1.5 % is usual (and 1 more)' },
    ]);
    await insert('three', 'Who knows ...');
    expect(await rows('select message from system_alerts order by id')).toEqual([
      { message: 'Half of the events failed, where 1.5 % is usual.' },
      { message: 'The rest is slow.' },
      { message: 'Who knows ...' },
    ]);
  });

  test('are news again when one of them is graver', async () => {
    await raise('latency_p95', 'a');
    await raise('error_failure', 'a', 'critical');
    expect(await outbox()).toMatchObject([
      { kind: 'firing', severity: 'warning' },
      {
        kind: 'firing',
        severity: 'critical',
        payload: { escalated: true },
        labels: { rule: 'error_failure' },
      },
    ]);
    expect(await incidents()).toMatchObject([
      { severity: 'critical', title: 'error_failure of a (and 1 more)' },
    ]);
  });

  test('are one incident when they come at once over several connections', async () => {
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((model) => raise('error_failure', model, 'critical')));
    expect(await incidents()).toHaveLength(1);
    expect((await outbox()).map(({ kind }) => kind).sort()).toEqual(['firing', ...Array(4).fill('update')]);
  });

  test('are one incident when the first has not committed yet', async () => {
    const first = await pool.connect();
    await first.query(
      `begin; insert into system_alerts (severity, alert_type, message, rule) values ('warning', 'x', 'x', 'x')`,
    );
    const second = raise('error_failure', 'a');
    const waiting = async () =>
      (
        await rows(`select pid from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())`)
      ).length;
    await expect.poll(waiting).toBe(1);
    await first.query('commit');
    first.release();
    await second;
    expect(await incidents()).toMatchObject([{ summary: { alerts: 2 } }]);
  });

  test('and what begins later on another model is an incident of its own', async () => {
    await raise('error_failure', 'a');
    await pool.query(
      `update nowcast.incidents set summary = summary || jsonb_build_object('last_joined_at', now() - interval '3 minutes')`,
    );
    await raise('latency_p95', 'a');
    expect(await incidents()).toHaveLength(1);
    await pool.query(
      `update nowcast.incidents set summary = summary || jsonb_build_object('last_joined_at', now() - interval '3 minutes')`,
    );
    await raise('error_failure', 'b');
    expect(await incidents()).toHaveLength(2);
  });
});

describe('an alert', () => {
  test('is open once per rule and labels, and a dropped repeat leaves no trace', async () => {
    expect(await raise('error_failure', 'a')).toBeTypeOf('number');
    expect(await raise('error_failure', 'a')).toBeUndefined();
    expect(await incidents()).toHaveLength(1);
    expect(await outbox()).toHaveLength(1);
  });

  test('of a transaction that is rolled back leaves neither incident nor news', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query(
      `insert into system_alerts (severity, alert_type, message, rule) values ('warning', 'x', 'x', 'x')`,
    );
    await client.query('rollback');
    client.release();
    expect(await incidents()).toEqual([]);
    expect(await outbox()).toEqual([]);
  });

  test('of a rule that is switched off is not raised', async () => {
    await pool.query(`update alert_rules set enabled = false where name = 'high_latency'`);
    expect(await raise('high_latency', 'a')).toBeUndefined();
    await pool.query(`update alert_rules set enabled = true where name = 'high_latency'`);
    expect(await raise('high_latency', 'a')).toBeTypeOf('number');
  });

  test('that is deleted while it is open ends its incident', async () => {
    await raise('error_failure', 'a');
    await pool.query('delete from system_alerts');
    expect(await incidents()).toMatchObject([{ open: false }]);
  });

  test('is acknowledged by the function with a name and a note, and by the page by its column', async () => {
    const [first, second] = [await raise('error_failure', 'a'), await raise('error_failure', 'b')];
    expect(await rows(`select acknowledge_alert($1, 'ann', 'known') as done`, [first])).toEqual([
      { done: true },
    ]);
    await pool.query('update system_alerts set acknowledged = true where id = $1', [second]);
    expect(
      await rows(
        'select acknowledged, acknowledged_by, acknowledge_note, acknowledged_at is not null as at, status from system_alerts order by id',
      ),
    ).toEqual([
      {
        acknowledged: true,
        acknowledged_by: 'ann',
        at: true,
        acknowledge_note: 'known',
        status: 'firing',
      },
      { acknowledged: true, acknowledged_by: null, acknowledge_note: null, at: true, status: 'firing' },
    ]);
    await resolve(first);
    expect(await rows(`select acknowledge_alert($1, 'ann') as done`, [first])).toEqual([{ done: false }]);
  });

  test('is silenced by the labels it carries for as long as the silence lasts', async () => {
    const id = await raise('error_failure', 'a');
    const silenced = async () =>
      (await rows('select silenced from system_alerts where id = $1', [id]))[0]!.silenced;
    await pool.query(`select silence_alerts('{"model_version": "b"}', '1 hour', 'deploy', 'ann')`);
    expect(await silenced()).toBe(false);
    const [made] = await rows<{ id: string }>(
      `select silence_alerts('{"model_version": "a", "rule": "error_failure"}', '1 hour', 'deploy', 'ann') as id`,
    );
    expect(await silenced()).toBe(true);
    expect(await rows('select end_silence($1) as done', [made!.id])).toEqual([{ done: true }]);
    expect(await silenced()).toBe(false);
    await pool.query(`select silence_alerts('{}', '1 hour', 'maintenance', 'ann')`);
    expect(
      await rows(`select silenced from system_alerts where id = $1`, [await raise('latency_p95', 'c')]),
    ).toEqual([{ silenced: true }]);
    await expect(pool.query(`select silence_alerts('{}', '0 hours', '', 'ann')`)).rejects.toThrow(
      'up to 90 days',
    );
  });
});

describe('a rule', () => {
  const write = (kind: string, condition: unknown) =>
    pool.query(`insert into alert_rules (name, kind, condition, enabled) values ('mine', $1, $2, false)`, [
      kind,
      JSON.stringify(condition),
    ]);

  test.for([
    ['nonsense', {}, 'kind must be one of'],
    ['threshold', [], 'condition must be a JSON object'],
    ['threshold', { metric: 'error_rate_pct', comparator: '>' }, 'needs "value"'],
    ['threshold', { metric: 'errors', comparator: '>', value: 1 }, 'condition.metric must be one of'],
    [
      'threshold',
      { metric: 'error_rate_pct', comparator: '>', value: '5' },
      'condition.value must be a number',
    ],
    [
      'threshold',
      { metric: 'error_rate_pct', comparator: '>', value: 5, window: 1 },
      'has no "window"; it may hold metric',
    ],
    ['error_burn', { long_seconds: 300, short_seconds: 3600, burn_rate: 2 }, 'must be less than'],
    ['error_failure', { windows_seconds: [] }, 'one to five numbers from 1 to 300'],
    ['anomaly', { metrics: ['latency'] }, 'must be a list of requests'],
    ['anomaly', { budget: 'rarely' }, 'such as "1 per month", not "rarely"'],
  ] as const)('of kind %s with %j is refused: %s', async ([kind, condition, message]) => {
    await expect(write(kind, condition)).rejects.toThrow(message);
  });

  test('keeps its history, and a default that is edited belongs to its editor', async () => {
    await write('threshold', { metric: 'error_rate_pct', comparator: '>', value: 5 });
    await pool.query(`update alert_rules set severity = 'critical' where name = 'mine'`);
    await pool.query(`update alert_rules set severity = 'critical' where name = 'mine'`);
    await pool.query(`delete from alert_rules where name = 'mine'`);
    expect(
      await rows(
        `select version, rule ->> 'severity' as severity from nowcast.alert_rule_versions where name = 'mine' order by 1`,
      ),
    ).toEqual([
      { version: 1, severity: 'warning' },
      { version: 2, severity: 'critical' },
      { version: 3, severity: null },
    ]);
    await pool.query(`update alert_rules set repeat_interval_seconds = 60 where name = 'high_latency'`);
    expect(await rows(`select source from alert_rules where name = 'high_latency'`)).toEqual([
      { source: 'user' },
    ]);
  });
});
