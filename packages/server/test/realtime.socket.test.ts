/** The door under clients that are slow, idle, hostile or wrong, and what it refuses at the upgrade. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import ws from 'ws';
import {
  type Frame,
  inserted,
  logRow,
  type RawClient,
  type RealtimeServer,
  startRealtime,
  until,
} from './realtimeFixture.ts';

let realtime: RealtimeServer;
afterEach(async () => {
  await realtime.close();
});

const LOG_INSERTS = { event: 'INSERT', schema: 'public', table: 'inference_logs' };
const KIB = 1024;

/** Rows of about 10 KiB, so that the kernel's buffers fill soon. */
function largeRow(id: number): Record<string, unknown> {
  return logRow(id, { model_version: 'x'.repeat(10 * KIB) });
}

/** Publishes large rows until the condition holds; returns how many. */
async function publishUntil(holds: () => boolean): Promise<number> {
  let published = 0;
  while (!holds()) {
    realtime.hub.publish(Array.from({ length: 20 }, () => inserted(largeRow(++published))));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return published;
}

const isOverflow = (frame: Frame): boolean =>
  frame.event === 'system' && /^Missed \d+ messages? of this channel/.test(frame.payload.message ?? '');

function missedBy(client: RawClient): number {
  return client.frames.filter(isOverflow).reduce((sum, frame) => sum + frame.payload.missed!, 0);
}

describe('a client that reads slowly', () => {
  test('gets every change or is told how many it missed, in the place where they are missing', async () => {
    realtime = await startRealtime({ limits: { maxQueuedBytes: 256 * KIB } });
    const slow = await realtime.raw();
    await slow.join('realtime:dash', [LOG_INSERTS]);
    slow.socket.pause();
    const published = await publishUntil(() => realtime.hub.stats().droppedMessages > 100);
    slow.socket.resume();
    await until(() => slow.changes().length + missedBy(slow) === published);
    await until(() => realtime.hub.stats().queuedBytes === 0);
    expect(missedBy(slow)).toBe(realtime.hub.stats().droppedMessages);
    // Ids rise, and each jump is announced by the notice before it with exactly the number jumped over.
    let expected = 1;
    for (const frame of slow.frames) {
      if (isOverflow(frame)) expected += frame.payload.missed!;
      if (frame.event === 'postgres_changes') expect(frame.payload.data?.record?.id).toBe(expected++);
    }
    expect(expected).toBe(published + 1);
    expect(slow.frames.find(isOverflow)?.payload).toMatchObject({ status: 'error', channel: 'dash' });
  });

  test('costs the others nothing: they get every change, and memory stays within the bound', async () => {
    realtime = await startRealtime({ limits: { maxQueuedBytes: 256 * KIB } });
    const [slow, fast] = [await realtime.raw(), await realtime.raw()];
    await slow.join('realtime:dash', [LOG_INSERTS]);
    await fast.join('realtime:dash', [LOG_INSERTS]);
    slow.socket.pause();
    let worst = 0;
    let published = 0;
    while (realtime.hub.stats().droppedMessages < 200) {
      realtime.hub.publish(Array.from({ length: 20 }, () => inserted(largeRow(++published))));
      await until(() => fast.changes().length + missedBy(fast) >= published);
      worst = Math.max(worst, realtime.hub.stats().queuedBytes);
    }
    expect(missedBy(fast)).toBe(0);
    expect(fast.changes().map((frame) => frame.payload.data?.record?.id)).toEqual(
      Array.from({ length: published }, (_, at) => at + 1),
    );
    expect(worst).toBeLessThanOrEqual(256 * KIB);
  });

  test('has its heartbeat and a new join answered ahead of the data that waits', async () => {
    realtime = await startRealtime();
    const slow = await realtime.raw();
    await slow.join('realtime:dash', [LOG_INSERTS]);
    slow.socket.pause();
    const published = await publishUntil(() => realtime.hub.stats().queuedBytes > 1024 * KIB);
    const heartbeat = slow.send('phoenix', 'heartbeat');
    const join = slow.send('realtime:late', 'phx_join', { config: {} });
    await until(() => realtime.hub.stats().channels === 2);
    expect(realtime.hub.stats().queuedBytes).toBeGreaterThan(1024 * KIB);
    slow.socket.resume();
    await slow.reply(heartbeat);
    await slow.reply(join);
    // At least the mebibyte that waited comes after the answers.
    expect(slow.changes().length).toBeLessThan(published - 50);
    await until(() => slow.changes().length === published);
  });

  test('gets nothing of a channel that it left, though much of it was waiting', async () => {
    realtime = await startRealtime();
    const slow = await realtime.raw();
    const left = await slow.join('realtime:left', [LOG_INSERTS]);
    await slow.join('realtime:kept', [LOG_INSERTS]);
    slow.socket.pause();
    const published = await publishUntil(() => realtime.hub.stats().queuedBytes > 1024 * KIB);
    const leave = slow.send('realtime:left', 'phx_leave', {}, left.ref);
    await until(() => realtime.hub.stats().channels === 1);
    slow.socket.resume();
    const answer = await slow.reply(leave);
    await until(() => slow.changes('realtime:kept').length === published);
    const afterwards = slow.frames.slice(slow.frames.indexOf(answer));
    expect(afterwards.map(({ topic, event }) => [topic, event])).not.toContainEqual([
      'realtime:left',
      'postgres_changes',
    ]);
    expect(slow.changes('realtime:left').length).toBeLessThan(published);
  });

  test('shares one bound with all the other slow ones', async () => {
    realtime = await startRealtime({ limits: { maxTotalQueuedBytes: 512 * KIB } });
    const slow = [await realtime.raw(), await realtime.raw(), await realtime.raw()];
    for (const [at, client] of slow.entries()) {
      await client.join(`realtime:dash${at}`, [LOG_INSERTS]);
      client.socket.pause();
    }
    const published = await publishUntil(() => realtime.hub.stats().droppedMessages > 100);
    expect(realtime.hub.stats().queuedBytes).toBeLessThanOrEqual(512 * KIB);
    for (const client of slow) client.socket.resume();
    await until(() => slow.every((client) => client.changes().length + missedBy(client) === published));
  });
});

test('publishing faster than fan-out ends in a told gap, not in growing memory', async () => {
  realtime = await startRealtime({ limits: { maxPendingChanges: 10 } });
  const client = await realtime.raw();
  await client.join('realtime:dash', [LOG_INSERTS]);
  for (let id = 1; id <= 25; id++) realtime.hub.publish([inserted(logRow(id))]);
  await client.frame((frame) => frame.payload.data?.record?.id === 25);
  const missed = client.frames.find((frame) => frame.payload.status === 'error')?.payload.missed;
  expect(missed! + client.changes().length).toBe(25);
});

test('a row above a mebibyte arrives without its large fields and says so', async () => {
  realtime = await startRealtime();
  const client = await realtime.raw();
  await client.join('realtime:dash', [LOG_INSERTS]);
  realtime.hub.publish([inserted(logRow(1, { model_version: 'é'.repeat(600 * KIB) }))]);
  const frame = await client.frame(({ event }) => event === 'postgres_changes');
  const { model_version: _large, ...rest } = logRow(1);
  expect(frame.payload.data).toMatchObject({ errors: ['Error 413: Payload Too Large'], record: rest });
  expect(frame.payload.data?.record).not.toHaveProperty('model_version');
});

test('a row that cannot be written as JSON is a told gap of one, and publishing goes on', async () => {
  realtime = await startRealtime();
  const client = await realtime.raw();
  await client.join('realtime:dash', [LOG_INSERTS]);
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  realtime.hub.publish([inserted(logRow(1, { model_version: circular })), inserted(logRow(2))]);
  await client.frame((frame) => frame.payload.data?.record?.id === 2);
  expect(client.frames.find((frame) => frame.payload.missed === 1)).toBeDefined();
  expect(realtime.errors).toHaveLength(1);
});

describe('a client that misbehaves', () => {
  test('may send anything malformed: it is ignored and the socket stays open', async () => {
    realtime = await startRealtime();
    const client = await realtime.raw();
    const malformed = [
      'not json',
      '{}',
      '[]',
      '[null,null,5,"x",{}]',
      '["1","1","realtime:x","phx_join",null]',
      '["1","1","realtime:x","phx_join",[]]',
      '[1,2,"t","e",{}]',
      '["1","1","realtime:x","broadcast",{}]',
    ];
    for (const text of malformed) client.socket.send(text);
    for (const bytes of [[], [3], [3, 9, 9, 9, 9, 9, 1], [4, 0, 0, 0, 0, 0, 0], [255]]) {
      client.socket.send(Buffer.from(bytes));
    }
    await client.reply(client.send('phoenix', 'heartbeat'));
    expect(client.frames).toHaveLength(1);
    expect(realtime.errors).toEqual([]);
  });

  test('is answered with the reason on every topic, event and join that cannot be served', async () => {
    realtime = await startRealtime({ limits: { maxChannelsPerSocket: 2, maxBindingsPerChannel: 2 } });
    const client = await realtime.raw();
    const reason = async (ref: string): Promise<unknown> => {
      const { status, response } = (await client.reply(ref)).payload;
      expect(status).toBe('error');
      return response?.reason;
    };
    expect(await reason(client.send('realtime:nowhere', 'presence', { event: 'track' }))).toBe(
      'unmatched topic',
    );
    expect(await reason(client.send('dash', 'phx_join', { config: {} }))).toMatch(/^InvalidTopic/);
    expect(await reason(client.send('realtime:', 'phx_join', { config: {} }))).toMatch(/^InvalidTopic/);
    expect(await reason(client.send(`realtime:${'x'.repeat(300)}`, 'phx_join', {}))).toMatch(/^InvalidTopic/);
    expect(await reason(client.send('realtime:public:inference_logs', 'phx_join', {}))).toMatch(
      /^UnsupportedJoin/,
    );
    expect(await reason(client.send('realtime:p', 'phx_join', { config: { private: true } }))).toMatch(
      /^PrivateChannelsUnsupported/,
    );
    expect(
      await reason(client.send('realtime:t', 'phx_join', { config: {}, access_token: 'forged' })),
    ).toMatch(/^Unauthorized/);
    const three = { config: { postgres_changes: [LOG_INSERTS, LOG_INSERTS, LOG_INSERTS] } };
    expect(await reason(client.send('realtime:many', 'phx_join', three))).toMatch(/^TooManyBindings/);
    const large = { config: { postgres_changes: [{ ...LOG_INSERTS, extra: 'x'.repeat(70 * KIB) }] } };
    expect(await reason(client.send('realtime:large', 'phx_join', large))).toMatch(/^MessageTooLarge/);
    await client.join('realtime:1', []);
    await client.join('realtime:2', []);
    expect(await reason(client.send('realtime:3', 'phx_join', { config: {} }))).toMatch(
      /^ChannelRateLimitReached/,
    );
    expect(await reason(client.send('realtime:1', 'nonsense'))).toMatch(/unknown event "nonsense"/);
    expect(realtime.hub.stats()).toMatchObject({ sockets: 1, channels: 2 });
  });

  test('is read no further while it does not read its answers, and served on when it does', async () => {
    realtime = await startRealtime();
    const [greedy, other] = [await realtime.raw(), await realtime.raw()];
    greedy.socket.pause();
    const count = 1_000;
    const padding = 'x'.repeat(30 * KIB);
    for (let n = 0; n < count; n++) {
      greedy.socket.send(JSON.stringify([null, `${n}${padding}`, 'phoenix', 'heartbeat', {}]));
    }
    // The server has stopped reading when its turns at serving the other client change nothing any more.
    let unsent = -1;
    for (let same = 0; same < 20; ) {
      await other.reply(other.send('phoenix', 'heartbeat'));
      same = greedy.socket.bufferedAmount === unsent ? same + 1 : 0;
      unsent = greedy.socket.bufferedAmount;
    }
    expect(unsent).toBeGreaterThan(0);
    greedy.socket.resume();
    await until(() => greedy.frames.length === count);
  });

  test('is closed when a frame exceeds what a broadcast may hold', async () => {
    realtime = await startRealtime();
    const client = await realtime.raw();
    client.socket.send('x'.repeat(300 * KIB));
    expect((await once(client.socket, 'close'))[0]).toBe(1009);
  });

  test('is closed when it sends nothing for the idle time', async () => {
    realtime = await startRealtime({ limits: { idleMs: 40 } });
    const client = await realtime.raw();
    expect((await once(client.socket, 'close'))[0]).toBe(1000);
    await until(() => realtime.hub.stats().sockets === 0);
  });

  test('is cut off when it answers no ping', async () => {
    realtime = await startRealtime({ limits: { pingMs: 40 } });
    const client = await realtime.raw({ autoPong: false });
    expect((await once(client.socket, 'close'))[0]).toBe(1006);
  });
});

test('only what a channel asks for is sent: not other events, and nothing once it was left', async () => {
  realtime = await startRealtime();
  const client = await realtime.raw();
  const left = await client.join('realtime:left', [LOG_INSERTS]);
  await client.join('realtime:updates', [{ ...LOG_INSERTS, event: 'UPDATE' }]);
  await client.reply(client.send('realtime:left', 'phx_leave', {}, left.ref));
  realtime.hub.publish([inserted(logRow(1)), { ...inserted(logRow(2)), type: 'UPDATE' }]);
  await client.frame(({ event }) => event === 'postgres_changes');
  await client.reply(client.send('phoenix', 'heartbeat'));
  expect(client.changes().map(({ topic, payload }) => [topic, payload.data?.record?.id])).toEqual([
    ['realtime:updates', 2],
  ]);
});

describe('a join, while the feed still has earlier commits to publish,', () => {
  test('waits for them: they reach the others and not the one who joins, and what it sent behind keeps its order', async () => {
    let settled: (() => void) | undefined;
    let settling = false;
    realtime = await startRealtime({
      settle: () => (settling ? new Promise((resolve) => (settled = resolve)) : Promise.resolve()),
    });
    const [early, late] = [await realtime.raw(), await realtime.raw()];
    await early.join('realtime:dash', [LOG_INSERTS]);
    settling = true;
    const join = late.send('realtime:dash', 'phx_join', { config: { postgres_changes: [LOG_INSERTS] } });
    const leave = late.send('realtime:dash', 'phx_leave', {}, join);
    const again = late.send('realtime:dash', 'phx_join', { config: { postgres_changes: [LOG_INSERTS] } });
    await until(() => settled !== undefined);
    realtime.hub.publish([inserted(logRow(1))]);
    settling = false;
    settled!();
    await late.reply(again);
    realtime.hub.publish([inserted(logRow(2))]);
    await late.frame(({ event }) => event === 'postgres_changes');
    const replies = late.frames.filter(({ event }) => event === 'phx_reply');
    expect(replies.map(({ ref }) => ref)).toEqual([join, leave, again]);
    expect(late.changes().map(({ payload }) => payload.data?.record?.id)).toEqual([2]);
    await early.frame((frame) => frame.payload.data?.record?.id === 2);
    expect(early.changes().map(({ payload }) => payload.data?.record?.id)).toEqual([1, 2]);
  });

  test('goes on when the feed fails, which is reported', async () => {
    realtime = await startRealtime({ settle: () => Promise.reject(new Error('no database')) });
    const client = await realtime.raw();
    expect((await client.join('realtime:dash', [LOG_INSERTS])).payload.status).toBe('ok');
    expect(realtime.errors).toEqual([expect.objectContaining({ message: 'no database' })]);
  });
});

test('joining a topic again closes the old instance with its own ref and answers the new one', async () => {
  realtime = await startRealtime();
  const client = await realtime.raw();
  const first = await client.join('realtime:dash', [LOG_INSERTS]);
  const second = await client.join('realtime:dash', [LOG_INSERTS]);
  const close = await client.frame(({ event }) => event === 'phx_close');
  expect(close).toMatchObject({ joinRef: first.ref, ref: first.ref, topic: 'realtime:dash' });
  expect(client.frames.indexOf(close)).toBeLessThan(client.frames.indexOf(second));
  realtime.hub.publish([inserted(logRow(1))]);
  await client.frame(({ event }) => event === 'postgres_changes');
  expect(realtime.hub.subscriberCount('inference_logs')).toBe(1);
});

test('a key that is revoked loses its socket, and cannot come back', async () => {
  let valid = true;
  realtime = await startRealtime({
    // Keys are looked at with each ping; a busy machine has to answer one before the next.
    limits: { pingMs: 300 },
    scopeOf: () => (valid ? 'anon' : undefined),
  });
  const client = await realtime.raw();
  valid = false;
  expect((await once(client.socket, 'close'))[0]).toBe(1008);
  await expect(realtime.raw()).rejects.toThrow('401');
});

test('revoking the key that a channel rests on closes the socket, though its first key is valid', async () => {
  const valid = new Set(['first', 'joined', 'later']);
  realtime = await startRealtime({
    // Keys are looked at with each ping; a busy machine has to answer one before the next.
    limits: { pingMs: 300 },
    scopeOf: (key) => (valid.has(key ?? '') ? 'anon' : undefined),
  });
  for (const revoked of ['joined', 'later']) {
    const client = await realtime.raw({ key: 'first' });
    const join = client.send('realtime:dash', 'phx_join', { config: {}, access_token: 'joined' });
    await client.reply(join);
    if (revoked === 'later') client.send('realtime:dash', 'access_token', { access_token: 'later' }, join);
    await client.reply(client.send('phoenix', 'heartbeat'));
    valid.delete(revoked);
    expect((await once(client.socket, 'close'))[0]).toBe(1008);
    valid.add(revoked);
  }
});

test('a better key given later widens a channel without a rejoin, a wrong one ends it', async () => {
  realtime = await startRealtime();
  const client = await realtime.raw({ key: 'anon' });
  const { ref } = await client.join('realtime:dash', [LOG_INSERTS]);
  client.send('realtime:dash', 'access_token', { access_token: 'service' }, ref);
  await client.reply(client.send('phoenix', 'heartbeat'));
  realtime.hub.publish([inserted(logRow(1))]);
  const frame = await client.frame(({ event }) => event === 'postgres_changes');
  expect(frame.payload.data?.record?.user_id).toBe('u-1');
  client.send('realtime:dash', 'access_token', { access_token: 'forged' }, ref);
  await client.frame(({ event }) => event === 'phx_close');
  expect(realtime.hub.subscriberCount('inference_logs')).toBe(0);
});

test('subscriptions are counted per table as they come and go', async () => {
  realtime = await startRealtime();
  const seen: [string, number][] = [];
  realtime.hub.onSubscriptionsChanged((table, count) => seen.push([table, count]));
  const [a, b] = [await realtime.raw(), await realtime.raw()];
  await a.join('realtime:dash', [LOG_INSERTS, { ...LOG_INSERTS, table: 'system_alerts' }]);
  await b.join('realtime:dash', [LOG_INSERTS]);
  a.socket.terminate();
  await until(() => realtime.hub.stats().sockets === 1);
  expect(seen).toEqual([
    ['inference_logs', 1],
    ['system_alerts', 1],
    ['inference_logs', 2],
    ['inference_logs', 1],
    ['system_alerts', 0],
  ]);
});

describe('the upgrade', () => {
  async function refusal(path: string, headers: Record<string, string> = {}): Promise<[number, unknown]> {
    const socket = new ws(`ws://127.0.0.1:${realtime.port}${path}`, { headers });
    socket.on('error', () => {});
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, http.IncomingMessage];
    let body = '';
    for await (const chunk of response) body += chunk;
    return [response.statusCode!, JSON.parse(body)];
  }

  test('is refused with a JSON reason: no key, a wrong key, a foreign origin, another path', async () => {
    realtime = await startRealtime();
    const path = '/realtime/v1/websocket';
    expect(await refusal(path)).toEqual([401, { error: expect.stringContaining('no API key') }]);
    expect(await refusal(`${path}?apikey=wrong`)).toEqual([401, { error: 'invalid API key' }]);
    expect(await refusal(`${path}?apikey=anon`, { origin: 'https://evil.example' })).toEqual([
      403,
      { error: 'this origin is not allowed' },
    ]);
    expect(await refusal('/elsewhere?apikey=anon')).toEqual([404, { error: 'no such WebSocket' }]);
  });

  test('is refused with 503 when the sockets are all taken', async () => {
    realtime = await startRealtime({ limits: { maxSockets: 1 } });
    await realtime.raw();
    const [status] = await refusal('/realtime/v1/websocket?apikey=anon');
    expect(status).toBe(503);
  });

  test('takes the key from a header as well', async () => {
    realtime = await startRealtime();
    for (const headers of [{ apikey: 'anon' }, { 'x-api-key': 'anon' }, { authorization: 'Bearer anon' }]) {
      const socket = new ws(`ws://127.0.0.1:${realtime.port}/realtime/v1/websocket`, { headers });
      await once(socket, 'open');
      socket.terminate();
    }
  });

  test('leaves other paths to their own listeners', async () => {
    realtime = await startRealtime();
    const server = http.createServer();
    const { registerRealtime } = await import('../src/deliver/realtime/hub.ts');
    const hub = registerRealtime(server, {
      catalog: { relation: () => undefined, refresh: () => Promise.resolve() },
      scopeOf: () => 'anon',
      readableColumns: () => [],
      originAllowed: () => true,
    });
    server.on('upgrade', (request, socket) => {
      if (request.url === '/other') socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nmine');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    socket.write('GET /other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    expect(answer).toMatch(/mine$/);
    await hub.close();
    server.close();
  });
});

test('closing tells every client to come back and waits only so long for one that does not read', async () => {
  realtime = await startRealtime({ limits: { closeMs: 500 } });
  const [reading, stuck] = [await realtime.raw(), await realtime.raw()];
  stuck.socket.pause();
  const closed = once(reading.socket, 'close');
  await realtime.hub.close();
  expect((await closed)[0]).toBe(1012);
  expect(realtime.hub.stats().sockets).toBe(0);
  stuck.socket.terminate();
});
