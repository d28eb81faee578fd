/** What an unmodified supabase-js application experiences, in both versions of its protocol. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Frame,
  Inbox,
  inserted,
  logRow,
  type RealtimeServer,
  startRealtime,
  subscribed,
} from './realtimeFixture.ts';

let realtime: RealtimeServer;
beforeEach(async () => {
  realtime = await startRealtime();
});
afterEach(async () => {
  await realtime.close();
  expect(realtime.errors).toEqual([]);
});

interface Payload {
  readonly eventType: string;
  readonly schema: string;
  readonly table: string;
  readonly commit_timestamp: string;
  readonly new: Record<string, unknown>;
  readonly old: Record<string, unknown>;
  readonly errors: readonly string[] | null;
}

const LOG_INSERTS = { event: 'INSERT', schema: 'public', table: 'inference_logs' } as const;

describe.each(['2.0.0', '1.0.0'] as const)('a supabase-js client with vsn %s', (vsn) => {
  test('receives the row inserted right after SUBSCRIBED', async () => {
    const inbox = new Inbox<Payload>();
    const channel = realtime
      .client({ vsn })
      .channel('inference-logs')
      .on('postgres_changes', LOG_INSERTS, (payload) => inbox.push(payload as unknown as Payload));
    await subscribed(channel);
    realtime.hub.publish([inserted(logRow(1))]);
    const [payload] = await inbox.atLeast(1);
    expect(payload).toEqual({
      schema: 'public',
      table: 'inference_logs',
      commit_timestamp: '2026-11-23T14:02:27.123Z',
      eventType: 'INSERT',
      new: logRow(1),
      old: {},
      errors: null,
    });
  });

  test('runs the two channels of the article side by side, each with its own table', async () => {
    const client = realtime.client({ vsn });
    const [logs, alerts] = [new Inbox<unknown>(), new Inbox<unknown>()];
    await Promise.all([
      subscribed(
        client.channel('inference-logs').on('postgres_changes', LOG_INSERTS, (p) => logs.push(p.new)),
      ),
      subscribed(
        client
          .channel('alerts')
          .on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'system_alerts' }, (p) =>
            alerts.push(p.new),
          ),
      ),
    ]);
    const alert = { id: 7, severity: 'critical', message: 'slow', metadata: { avg: 3 }, acknowledged: false };
    realtime.hub.publish([inserted(logRow(1)), inserted(alert, 'system_alerts'), inserted(logRow(2))]);
    expect(await logs.atLeast(2)).toEqual([logRow(1), logRow(2)]);
    expect(await alerts.atLeast(1)).toEqual([alert]);
  });

  test('gets updates with the new row and the old key, and deletes with the old row only', async () => {
    const inbox = new Inbox<Payload>();
    await subscribed(
      realtime
        .client({ vsn })
        .channel('alerts')
        .on('postgres_changes', { event: '*', schema: 'public', table: 'system_alerts' }, (payload) =>
          inbox.push(payload as unknown as Payload),
        ),
    );
    const base = {
      schema: 'public',
      table: 'system_alerts',
      commitTimestamp: '2026-11-23T14:02:27.000Z',
    } as const;
    const record = { id: 7, severity: 'warning', acknowledged: true };
    realtime.hub.publish([
      { ...base, type: 'UPDATE', record, oldRecord: { id: 7, severity: 'warning', acknowledged: false } },
      { ...base, type: 'UPDATE', record },
      { ...base, type: 'DELETE', record: null, oldRecord: { id: 7 } },
    ]);
    const [updated, updatedWithoutOld, deleted] = await inbox.atLeast(3);
    expect(updated).toMatchObject({ eventType: 'UPDATE', new: record, old: { id: 7 } });
    expect(updated!.old).toEqual({ id: 7 });
    expect(updatedWithoutOld).toMatchObject({ eventType: 'UPDATE', new: record, old: { id: 7 } });
    expect(deleted).toMatchObject({ eventType: 'DELETE', new: {}, old: { id: 7 } });
  });

  test('calls only the callbacks whose filter matches the row', async () => {
    const [slow, errors, all] = [new Inbox<unknown>(), new Inbox<unknown>(), new Inbox<unknown>()];
    await subscribed(
      realtime
        .client({ vsn })
        .channel('filters')
        .on(
          'postgres_changes',
          { ...LOG_INSERTS, filter: 'model_version=eq.v2,inference_time_ms=gt.500' },
          (p) => slow.push(p.new.id),
        )
        .on('postgres_changes', { ...LOG_INSERTS, filter: 'is_error=is.true' }, (p) => errors.push(p.new.id))
        .on('postgres_changes', LOG_INSERTS, (p) => all.push(p.new.id)),
    );
    realtime.hub.publish([
      inserted(logRow(1, { model_version: 'v2', inference_time_ms: 1000 })),
      inserted(logRow(2, { model_version: 'v1', inference_time_ms: 1000 })),
      inserted(logRow(3, { model_version: 'v2', inference_time_ms: 60 })),
      inserted(logRow(4, { is_error: true })),
    ]);
    expect(await all.atLeast(4)).toEqual([1, 2, 3, 4]);
    expect(slow.items).toEqual([1]);
    expect(errors.items).toEqual([4]);
  });

  test('hears every published table through a wildcard', async () => {
    const inbox = new Inbox<string>();
    await subscribed(
      realtime
        .client({ vsn })
        .channel('everything')
        .on('postgres_changes', { event: '*', schema: '*' }, (p) => inbox.push(p.table)),
    );
    realtime.hub.publish([inserted(logRow(1)), inserted({ id: 1 }, 'system_alerts')]);
    expect(await inbox.atLeast(2)).toEqual(['inference_logs', 'system_alerts']);
  });

  test('is told when a subscription is live', async () => {
    const inbox = new Inbox<unknown>();
    await subscribed(
      realtime
        .client({ vsn })
        .channel('dash')
        .on('postgres_changes', LOG_INSERTS, () => {})
        .on('system', {}, (payload) => inbox.push(payload)),
    );
    expect(await inbox.atLeast(1)).toEqual([
      { extension: 'postgres_changes', status: 'ok', message: 'Subscribed to PostgreSQL', channel: 'dash' },
    ]);
  });

  test('is told of a gap in the place where the changes are missing', async () => {
    const inbox = new Inbox<unknown>();
    await subscribed(
      realtime
        .client({ vsn })
        .channel('dash')
        .on('postgres_changes', LOG_INSERTS, (p) => inbox.push(p.new.id))
        .on('system', {}, (payload) => payload.status === 'error' && inbox.push(payload)),
    );
    realtime.hub.publish([inserted(logRow(1))]);
    realtime.hub.publishGap('inference_logs', 12, 'the feed was behind');
    realtime.hub.publish([inserted(logRow(14))]);
    expect(await inbox.atLeast(3)).toEqual([
      1,
      expect.objectContaining({
        status: 'error',
        message: 'Missed 12 changes of inference_logs: the feed was behind',
        missed: 12,
        channel: 'dash',
      }),
      14,
    ]);
  });

  test.each([
    ['an unknown table', { table: 'nope' }, /InvalidTable: table "nope" does not exist or is not published/],
    ['a view', { table: 'inference_metrics_hourly' }, /is a view and emits no changes/],
    ['another schema', { schema: 'private' }, /schema "private" is not published/],
    ['an unknown column', { filter: 'modle_version=eq.v1' }, /column "modle_version" does not exist/],
    ['an unknown operator', { filter: 'id=foo.1' }, /"foo" is not an operator/],
    [
      'a literal of another type',
      { filter: 'inference_time_ms=gt.fast' },
      /invalid input syntax for type double/,
    ],
  ])('sees CHANNEL_ERROR with the reason for %s', async (_name, change, reason) => {
    const channel = realtime
      .client({ vsn })
      .channel('bad')
      .on('postgres_changes', { ...LOG_INSERTS, ...change }, () => {});
    await expect(subscribed(channel)).rejects.toThrow(reason);
    await channel.unsubscribe();
  });

  test('stops receiving after it left, and receives again after it joined again', async () => {
    const client = realtime.client({ vsn });
    const [first, second] = [new Inbox<unknown>(), new Inbox<unknown>()];
    const channel = await subscribed(
      client.channel('dash').on('postgres_changes', LOG_INSERTS, (p) => first.push(p.new.id)),
    );
    await client.removeChannel(channel);
    await subscribed(
      client.channel('dash').on('postgres_changes', LOG_INSERTS, (p) => second.push(p.new.id)),
    );
    expect(realtime.hub.subscriberCount('inference_logs')).toBe(1);
    realtime.hub.publish([inserted(logRow(5))]);
    expect(await second.atLeast(1)).toEqual([5]);
    expect(first.items).toEqual([]);
  });

  test('exchanges JSON broadcasts, without an echo to itself unless it asks', async () => {
    const [heard, echoed] = [new Inbox<unknown>(), new Inbox<unknown>()];
    const listener = realtime.client({ vsn }).channel('room');
    listener.on('broadcast', { event: 'note' }, (message) => heard.push(message.payload));
    const sender = realtime.client({ vsn }).channel('room', { config: { broadcast: { ack: true } } });
    sender.on('broadcast', { event: 'note' }, (message) => echoed.push(message.payload));
    const selfish = realtime
      .client({ vsn })
      .channel('room', { config: { broadcast: { ack: true, self: true } } });
    const own = new Inbox<unknown>();
    selfish.on('broadcast', { event: 'note' }, (message) => own.push(message.payload));
    await Promise.all([subscribed(listener), subscribed(sender), subscribed(selfish)]);
    expect(await sender.send({ type: 'broadcast', event: 'note', payload: { n: 1 } })).toBe('ok');
    expect(await selfish.send({ type: 'broadcast', event: 'note', payload: { n: 2 } })).toBe('ok');
    expect(await heard.atLeast(2)).toEqual([{ n: 1 }, { n: 2 }]);
    expect(await own.atLeast(2)).toEqual([{ n: 1 }, { n: 2 }]);
    expect(await echoed.atLeast(1)).toEqual([{ n: 2 }]);
  });

  test('never waits for presence: tracking is refused at once, and the first state comes', async () => {
    const synced = new Inbox<string>();
    const channel = realtime
      .client({ vsn })
      .channel('people')
      .on('presence', { event: 'sync' }, () => synced.push('sync'));
    await subscribed(channel);
    await synced.atLeast(1);
    expect(channel.presenceState()).toEqual({});
    expect(await channel.track({ name: 'Ada' })).toBe('error');
    expect(await channel.untrack()).toBe('ok');
  });

  test('has its heartbeat answered', async () => {
    const client = realtime.client({ vsn });
    await subscribed(client.channel('dash').on('postgres_changes', LOG_INSERTS, () => {}));
    const statuses = new Inbox<string>();
    client.realtime.onHeartbeat((status) => statuses.push(status));
    await client.realtime.sendHeartbeat();
    expect(await statuses.atLeast(2)).toEqual(['sent', 'ok']);
  });
});

test('bytes sent by one client arrive as the same bytes at another, and are kept from clients without binary frames', async () => {
  const [heard, old] = [new Inbox<Uint8Array>(), new Inbox<unknown>()];
  const listener = realtime.client().channel('room');
  listener.on('broadcast', { event: 'blob' }, (message) => heard.push(new Uint8Array(message.payload)));
  const text = realtime.client({ vsn: '1.0.0' }).channel('room');
  text.on('broadcast', { event: '*' }, (message) => old.push(message));
  const sender = realtime.client().channel('room', { config: { broadcast: { ack: true } } });
  await Promise.all([subscribed(listener), subscribed(text), subscribed(sender)]);
  const bytes = Uint8Array.from({ length: 300 }, (_, at) => at % 256);
  expect(await sender.send({ type: 'broadcast', event: 'blob', payload: bytes.buffer })).toBe('ok');
  await sender.send({ type: 'broadcast', event: 'after', payload: {} });
  expect((await heard.atLeast(1))[0]).toEqual(bytes);
  expect(await old.atLeast(1)).toEqual([expect.objectContaining({ event: 'after' })]);
});

test('an anon key never gets a hidden column, not even through a filter', async () => {
  const inbox = new Inbox<unknown>();
  // A service key on the very same channel sees the column: what is shared between clients stops there.
  const service = await realtime.raw({ key: 'service' });
  await service.join('realtime:logs', [LOG_INSERTS]);
  const anon = realtime.client({ key: 'anon' });
  await subscribed(anon.channel('logs').on('postgres_changes', LOG_INSERTS, (p) => inbox.push(p)));
  const raw = await realtime.raw({ key: 'anon' });
  await raw.join('realtime:logs', [LOG_INSERTS]);
  realtime.hub.publish([inserted(logRow(1, { user_id: 'secret-user' }))]);
  const [payload] = await inbox.atLeast(1);
  const { user_id: _hidden, ...visible } = logRow(1);
  expect(payload).toMatchObject({ new: visible });
  await raw.frame((frame) => frame.event === 'postgres_changes');
  expect(raw.texts.join()).not.toContain('user');
  await service.frame((frame) => frame.payload.data?.record?.user_id === 'secret-user');

  const spy = anon
    .channel('spy')
    .on('postgres_changes', { ...LOG_INSERTS, filter: 'user_id=like.s%' }, () => {});
  await expect(subscribed(spy)).rejects.toThrow(/column "user_id" does not exist/);
  await spy.unsubscribe();
});

test('a selection brings the chosen columns and the key', async () => {
  const raw = await realtime.raw();
  await raw.join('realtime:dash', [{ ...LOG_INSERTS, select: ['model_version'] }]);
  realtime.hub.publish([inserted(logRow(3))]);
  const frame = await raw.frame(({ event }) => event === 'postgres_changes');
  expect(frame.payload.data).toMatchObject({
    columns: [
      { name: 'id', type: 'int8' },
      { name: 'timestamp', type: 'timestamptz' },
      { name: 'model_version', type: 'text' },
    ],
    record: { id: 3, timestamp: logRow(3).timestamp, model_version: 'v1' },
  });
  expect(Object.keys(frame.payload.data!.record!)).toEqual(['id', 'timestamp', 'model_version']);
});

test('a client resubscribes by itself after the server restarted', async () => {
  const before = realtime;
  const [statuses, rows] = [new Inbox<string>(), new Inbox<unknown>()];
  before
    .client()
    .channel('dash')
    .on('postgres_changes', LOG_INSERTS, (p) => rows.push(p.new.id))
    .subscribe((status) => statuses.push(status));
  await statuses.atLeast(1);
  await before.stop();
  realtime = await startRealtime({}, before.port);
  const back = new Promise<void>((resolve) => {
    realtime.hub.onSubscriptionsChanged((table, count) => table === 'inference_logs' && count && resolve());
  });
  await back;
  realtime.hub.publish([inserted(logRow(9))]);
  expect(await rows.atLeast(1)).toEqual([9]);
  expect(statuses.items[0]).toBe('SUBSCRIBED');
  expect(statuses.items[1]).toBe('CHANNEL_ERROR');
  expect(statuses.items.at(-1)).toBe('SUBSCRIBED');
  await before.close();
});

test('a refused channel heals by itself when the table appears', async () => {
  const missing = realtime.relations.get('system_alerts')!;
  realtime.relations.delete('system_alerts');
  const statuses = new Inbox<string>();
  realtime
    .client()
    .channel('alerts')
    .on('postgres_changes', { event: '*', schema: 'public', table: 'system_alerts' }, () => {})
    .subscribe((status) => statuses.push(status));
  expect(await statuses.atLeast(1)).toEqual(['CHANNEL_ERROR']);
  realtime.relations.set('system_alerts', missing);
  expect((await statuses.atLeast(2)).at(-1)).toBe('SUBSCRIBED');
});

test('subscribers of the same changes share their ids, whatever their channels are called', async () => {
  const [a, b] = [await realtime.raw(), await realtime.raw({ vsn: '1.0.0' })];
  const items = [LOG_INSERTS, LOG_INSERTS, { ...LOG_INSERTS, filter: 'id=gt.1' }];
  const idsOf = (frame: Frame): unknown[] =>
    (frame.payload.response!.postgres_changes as { id: number }[]).map(({ id }) => id);
  const first = await a.join('realtime:one', items);
  const ids = idsOf(first);
  expect(first.payload.response!.postgres_changes).toEqual(
    items.map((item, at) => ({ ...item, id: ids[at] })),
  );
  expect(new Set(ids).size).toBe(3);
  expect(idsOf(await b.join('realtime:two', items))).toEqual(ids);
  realtime.hub.publish([inserted(logRow(1)), inserted(logRow(2))]);
  await a.frame((frame) => frame.payload.data?.record?.id === 2);
  expect(a.changes().map((frame) => frame.payload.ids)).toEqual([ids.slice(0, 2), ids]);
});
