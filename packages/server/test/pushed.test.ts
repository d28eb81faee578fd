/** What servers push to open pages and store nowhere, and changes of alerts that stand behind views. */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { event } from './support/events.ts';
import type { TestServer } from './support/server.ts';
import { type Subscriber, startSubscriber } from './support/subscriber.ts';

let subscriber: Subscriber;
let server: TestServer;
let pool: pg.Pool;
beforeAll(async () => {
  subscriber = await startSubscriber();
  ({ server, pool } = subscriber);
});
afterEach(() => subscriber.leave());
afterAll(() => subscriber.close());

test('whoever watches is told the health at once, and when events were lost', async () => {
  const heard = await subscriber.listen('pipeline_status');
  await expect.poll(() => heard.at(-1)?.new.health).toMatchObject({ database: 'connected' });
  const before = heard.at(-1)!.new.losses_changed_at;
  await server.post('/telemetry/inference/batch', [event({ confidence_score: 7 })]);
  await expect.poll(() => heard.at(-1)!.new.losses_changed_at).not.toBe(before);
  const { body } = await server.get('/rest/v1/pipeline_status');
  expect(body).toEqual([]);
});

test('quantiles of the last hour are pushed as metrics_total() tells them', async () => {
  await server.post('/telemetry/inference/batch', [
    event({ model_version: 'pushed', inference_time_ms: 40 }),
    event({ model_version: 'pushed', inference_time_ms: 60 }),
  ]);
  const heard = await subscriber.listen('metrics_hour_totals');
  const pushed = () =>
    (heard.at(-1)?.new.totals as { model_version: string | null; request_count: number }[] | undefined)?.find(
      ({ model_version }) => model_version === 'pushed',
    );
  await expect.poll(() => pushed()?.request_count).toBe(2);
  const { rows } = await pool.query(
    `select to_jsonb(t) as total from metrics_total() t where model_version = 'pushed'`,
  );
  expect(pushed()).toEqual(rows[0]!.total);
});

test('silences, rules and sent messages of alerts reach whoever watches', async () => {
  const silences = await subscriber.listen('alert_silences');
  const rules = await subscriber.listen('alert_rules');
  const timeline = await subscriber.listen('incident_timeline');
  const { rows } = await pool.query<{ id: string }>(
    `select silence_alerts('{"model_version": "a"}', interval '1 hour', 'why', 'ann') as id`,
  );
  await expect.poll(() => silences).toMatchObject([{ new: { id: Number(rows[0]!.id), reason: 'why' } }]);
  await pool.query('select end_silence($1)', [rows[0]!.id]);
  await expect.poll(() => silences.length).toBe(2);
  expect(silences[1]!.new.ended_at).not.toBeNull();
  await pool.query(`update alert_rules set severity = 'critical' where name = 'high_latency'`);
  await expect.poll(() => rules).toMatchObject([{ new: { name: 'high_latency', severity: 'critical' } }]);
  await pool.query(
    `insert into nowcast.alert_messages (delivery_id, incident_id, channel, step, attempts)
     values (1, 7, 'ops', 'firing', 1)`,
  );
  await expect
    .poll(() => timeline)
    .toMatchObject([{ new: { incident_id: 7, kind: 'sent', channel: 'ops' } }]);
});

test('whoever watches is told that a channel begins to fail, and that it works again', async () => {
  const timeline = await subscriber.listen('incident_timeline');
  const told = () => timeline.map((change) => [change.new.channel, change.new.kind]);
  await pool.query(`select nowcast.channel_tested('ops', null)`);
  await pool.query(`select nowcast.channel_tested('ops', 'answered 503')`);
  await expect.poll(told).toEqual([['ops', 'failing']]);
  await pool.query(`select nowcast.channel_tested('ops', null)`);
  await expect.poll(told).toEqual([
    ['ops', 'failing'],
    ['ops', 'working'],
  ]);
});
