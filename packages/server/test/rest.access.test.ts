import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publish } from '../src/deliver/published.ts';
import { corsHeaders } from '../src/deliver/rest/cors.ts';
import { client, type RestServer, startRest } from './restFixture.ts';

let server: RestServer;
beforeAll(async () => {
  server = await startRest(`
    select nowcast.create_partition('2026-01-05');
    insert into public.inference_logs (timestamp, model_version, inference_time_ms, user_id, metadata, error_message)
    values ('2026-01-05', 'v1', 10, 'alice', '{"secret": 1}', 'failed for alice');
    insert into public.system_alerts (severity, alert_type, message) values ('warning', 'no_data', 'quiet');
  `);
});
afterAll(() => server.close());

describe('a key', () => {
  it('is needed, and must be right', async () => {
    const none = await fetch(`${server.url}/rest/v1/system_alerts`);
    expect(none.status).toBe(401);
    expect(await none.json()).toMatchObject({
      message: 'No API key found in request',
      hint: 'No `apikey` request header or url param was found.',
    });
    const { error, status } = await client(server.url, 'wrong').from('system_alerts').select();
    expect(status).toBe(401);
    expect(error).toMatchObject({ message: 'Invalid API key' });
  });
});

describe('an anon key', () => {
  const HIDDEN = ['user_id', 'metadata', 'error_message'];

  it('reads events without the columns that may be personal', async () => {
    const { data, error } = await server.anon.from('inference_logs').select('*').single();
    expect(error).toBeNull();
    expect(data).toMatchObject({ model_version: 'v1', inference_time_ms: 10 });
    for (const column of HIDDEN) expect(data).not.toHaveProperty(column);
    const full = await server.service.from('inference_logs').select('*').single();
    expect(full.data).toMatchObject({
      user_id: 'alice',
      metadata: { secret: 1 },
      error_message: 'failed for alice',
    });
  });

  it('cannot learn them by naming, filtering or ordering', async () => {
    const logs = () => server.anon.from('inference_logs');
    for (const column of HIDDEN) {
      for (const query of [
        logs().select(column),
        logs().select(`x:${column}`),
        logs().select('id').like(column, 'a%'),
        logs().select('id').or(`${column}.is.null,id.gt.0`),
        logs().select('id').order(column),
        logs().select('id').eq(`${column}->>secret`, '1'),
      ]) {
        const { error, status } = await query;
        expect(status).toBe(401);
        expect(error).toMatchObject({ code: '42501' });
      }
    }
  });

  it('sees them where the operator has opted in', () => {
    const columns = HIDDEN.map((name) => ({
      name,
      type: 'text',
      isPrimaryKey: false,
      hasDefault: false,
      nullable: true,
    }));
    const relation = { schema: 'public', name: 'inference_logs', kind: 'table', columns } as const;
    expect(publish().readableColumns('anon', relation)).toEqual([]);
    expect(publish({ anonSeesPersonalColumns: true }).readableColumns('anon', relation)).toEqual(columns);
  });

  it('changes nothing', async () => {
    const results = [
      await server.anon.from('system_alerts').update({ acknowledged: true }).gt('id', 0),
      await server.anon.from('inference_logs').insert({ model_version: 'v1', inference_time_ms: 1 }),
      await server.anon.from('system_alerts').delete().gt('id', 0),
    ];
    for (const { error, status } of results) {
      expect(status).toBe(401);
      expect(error).toMatchObject({ code: '42501' });
    }
    expect((await server.anon.from('system_alerts').select('acknowledged')).data).toEqual([
      { acknowledged: false },
    ]);
  });

  it('gets costs by model but not by user', () => {
    const { refusedArgument, mayCall } = publish();
    expect(refusedArgument('anon', 'cost_report', new Map([['group_by', 'feature']]))).toBeUndefined();
    expect(refusedArgument('anon', 'cost_report', new Map([['group_by', 'user_id']]))).toBe('group_by');
    expect(refusedArgument('service', 'cost_report', new Map([['group_by', 'user_id']]))).toBeUndefined();
    expect(mayCall('anon', 'nowcast_recompute_check')).toBe(false);
    expect(mayCall('service', 'nowcast_recompute_check')).toBe(true);
  });
});

describe('a service key', () => {
  it('acknowledges an alert', async () => {
    const { data, error } = await server.service
      .from('system_alerts')
      .update({ acknowledged: true })
      .eq('alert_type', 'no_data')
      .select('acknowledged');
    expect(error).toBeNull();
    expect(data).toEqual([{ acknowledged: true }]);
  });

  it('does not rewrite an alert, an event or an id', async () => {
    const results = [
      await server.service.from('system_alerts').update({ message: 'x' }).gt('id', 0),
      await server.service.from('inference_logs').update({ model_version: 'x' }).gt('id', 0),
      await server.service.from('inference_logs').delete().gt('id', 0),
      await server.service
        .from('inference_logs')
        .insert({ id: 1, model_version: 'v1', inference_time_ms: 1 }),
      await server.service.from('metrics_pulse').delete().gt('request_count', 0),
    ];
    for (const { error, status } of results) {
      expect(status).toBe(403);
      expect(error).toMatchObject({ code: '42501' });
    }
  });
});

it('names for CORS every header that supabase-js sends', async () => {
  const sent = new Set<string>();
  server.app.server.on('request', ({ headers }) => {
    for (const name of Object.keys(headers)) sent.add(name);
  });
  await server.service.from('system_alerts').select('*', { count: 'exact' }).range(0, 1);
  await server.service.from('system_alerts').upsert({ message: 'x' }).select().single();
  await server.service.rpc('metrics', {}, { get: true });
  const fromBrowser = [
    'host',
    'connection',
    'accept-language',
    'accept-encoding',
    'sec-fetch-mode',
    'user-agent',
    'content-length',
    'cache-control',
    'pragma',
  ];
  expect(corsHeaders.allowedHeaders).toEqual(
    expect.arrayContaining([...sent].filter((name) => !fromBrowser.includes(name))),
  );
  expect(corsHeaders.exposedHeaders).toContain('content-range');
});
