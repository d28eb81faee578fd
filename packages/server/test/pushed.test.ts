/** What servers push to open pages and store nowhere, and changes of alerts that stand behind views. */
import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { event } from './support/events.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { supabaseClient } from './support/supabase.ts';

let server: TestServer;
let supabase: SupabaseClient;
let pool: pg.Pool;
const channels: RealtimeChannel[] = [];

beforeAll(async () => {
  server = await startTestServer();
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
  supabase = supabaseClient(server.url);
});
afterEach(async () => {
  for (const channel of channels.splice(0)) await supabase.removeChannel(channel);
});
afterAll(async () => {
  await supabase.realtime.disconnect();
  await pool.end();
  await server.close();
});

async function listen(table: string): Promise<Record<string, unknown>[]> {
  const heard: Record<string, unknown>[] = [];
  const channel = supabase
    .channel(`${table}-${Math.random()}`)
    .on('postgres_changes', { event: '*', schema: 'public', table }, ({ new: row }) => heard.push(row));
  channels.push(channel);
  await new Promise<void>((resolve, reject) => {
    channel.subscribe((status, error) => {
      if (status === 'SUBSCRIBED') resolve();
      else if (status === 'CHANNEL_ERROR') reject(error);
    });
  });
  return heard;
}

const soon = { timeout: 15_000 };

test('whoever watches is told the health at once, and when events were lost', async () => {
  const heard = await listen('pipeline_status');
  await expect.poll(() => heard.at(-1)?.health, soon).toMatchObject({ database: 'connected' });
  const before = heard.at(-1)!.losses_changed_at;
  await server.post('/telemetry/inference/batch', [event({ confidence_score: 7 })]);
  await expect.poll(() => heard.at(-1)!.losses_changed_at, soon).not.toBe(before);
  const { body } = await server.get('/rest/v1/pipeline_status');
  expect(body).toEqual([]);
});

test('quantiles of the last hour are pushed as metrics_total() tells them', async () => {
  await server.post('/telemetry/inference/batch', [
    event({ model_version: 'pushed', inference_time_ms: 40 }),
    event({ model_version: 'pushed', inference_time_ms: 60 }),
  ]);
  const heard = await listen('metrics_hour_totals');
  const pushed = () =>
    (heard.at(-1)?.totals as { model_version: string | null; request_count: number }[] | undefined)?.find(
      ({ model_version }) => model_version === 'pushed',
    );
  await expect.poll(() => pushed()?.request_count, soon).toBe(2);
  const { rows } = await pool.query(
    `select to_jsonb(t) as total from metrics_total() t where model_version = 'pushed'`,
  );
  expect(pushed()).toEqual(rows[0]!.total);
});

test('silences, rules and sent messages of alerts reach whoever watches', async () => {
  const silences = await listen('alert_silences');
  const rules = await listen('alert_rules');
  const timeline = await listen('incident_timeline');
  const { rows } = await pool.query<{ id: string }>(
    `select silence_alerts('{"model_version": "a"}', interval '1 hour', 'why', 'ann') as id`,
  );
  await expect.poll(() => silences, soon).toMatchObject([{ id: Number(rows[0]!.id), reason: 'why' }]);
  await pool.query('select end_silence($1)', [rows[0]!.id]);
  await expect.poll(() => silences.length, soon).toBe(2);
  expect(silences[1]!.ended_at).not.toBeNull();
  await pool.query(`update alert_rules set severity = 'critical' where name = 'high_latency'`);
  await expect.poll(() => rules, soon).toMatchObject([{ name: 'high_latency', severity: 'critical' }]);
  await pool.query(
    `insert into nowcast.alert_messages (delivery_id, incident_id, channel, step, attempts)
     values (1, 7, 'ops', 'firing', 1)`,
  );
  await expect.poll(() => timeline, soon).toMatchObject([{ incident_id: 7, kind: 'sent', channel: 'ops' }]);
});
