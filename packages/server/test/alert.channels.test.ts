/** Each kind of channel against a real server of its protocol on loopback, and what keeps them from private networks. */
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { SMTPServer } from 'smtp-server';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, test } from 'vitest';
import type { Attempt, Channel } from '../src/alert/channels/channel.ts';
import { configuredChannels } from '../src/alert/channels/configured.ts';
import { environmentChannels } from '../src/alert/channels/environment.ts';
import { AddressGuard } from '../src/alert/channels/http/addressGuard.ts';
import { makeChannel } from '../src/alert/channels/make.ts';
import { channelSpec } from '../src/alert/channels/spec.ts';
import { composeIncident } from '../src/alert/message/compose.ts';
import type { Message } from '../src/alert/message/message.ts';
import { readSettings } from '../src/settings.ts';
import { incidentNews } from './support/incident.ts';
import { type Receiver, type Reply, startReceiver } from './support/receivers.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function receiver(...answer: Parameters<typeof startReceiver>): Promise<Receiver> {
  const made = await startReceiver(...answer);
  open.push(made);
  return made;
}

const loopback = new AddressGuard(['127.0.0.1']);
const make = (given: object, services: Partial<{ slack: string; pagerduty: string }> = {}): Channel =>
  makeChannel(channelSpec({ name: 'it', ...given }, 'it', 'table'), loopback, {
    slack: services.slack ?? 'https://127.0.0.1:1',
    pagerduty: services.pagerduty,
  });
const occasion = { now: new Date('2026-03-01T02:12:00Z'), publicUrl: 'https://nowcast.example' };
const messageOf = (step: Message['step'], change: Parameters<typeof incidentNews>[0] = {}): Message =>
  composeIncident(
    incidentNews({ closedAt: step === 'resolved' ? new Date('2026-03-01T02:31:00Z') : null, ...change }),
    {
      step,
      ...occasion,
    },
  );
const attempt = (change: Partial<Attempt> = {}): Attempt => ({
  idempotencyKey: 'key-1',
  reference: null,
  maybeDelivered: false,
  signal: new AbortController().signal,
  ...change,
});

describe('a webhook', () => {
  const secret = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`;

  test('is signed as the Standard Webhooks library verifies it, with the same id at every attempt', async () => {
    const target = await receiver();
    const channel = make({ kind: 'webhook', url: `${target.url}/hook?a=1`, signing_secret: secret });
    await channel.send(messageOf('firing'), attempt());
    await channel.send(messageOf('firing'), attempt());
    for (const { headers, text } of target.received) {
      expect(new Webhook(secret).verify(text, headers as Record<string, string>)).toMatchObject({
        version: 1,
        id: 'key-1',
        type: 'firing',
        incident: { id: '7', severity: 'critical' },
      });
      expect(() =>
        new Webhook(secret).verify(text.replace('firing', 'resolve'), headers as Record<string, string>),
      ).toThrow();
    }
    expect(target.received.map(({ headers }) => headers['idempotency-key'])).toEqual(['key-1', 'key-1']);
  });

  test.for([
    [{ status: 500 }, { retry: true, maybeDelivered: false, message: 'answered 500' }],
    [
      { status: 429, headers: { 'retry-after': '7' } },
      { retry: true, retryAfterMs: 7_000 },
    ],
    [{ status: 408 }, { retry: true }],
    [
      { status: 404, body: 'private' },
      { retry: false, message: 'answered 404' },
    ],
    [{ cut: true }, { retry: true, maybeDelivered: true }],
  ] as [Reply, object][])('that answers %j is told of as %j', async ([reply, expected]) => {
    const target = await receiver(() => reply);
    const channel = make({ kind: 'webhook', url: target.url });
    await expect(channel.send(messageOf('firing'), attempt())).rejects.toMatchObject(expected);
    expect(target.received).toHaveLength(1);
  });

  test.for([301, 302, 307, 308])(
    'that answers %i leads nowhere: what it points at hears nothing',
    async (status) => {
      const inner = await receiver();
      const target = await receiver(() => ({ status, headers: { location: `${inner.url}/inner` } }));
      const sent = make({ kind: 'webhook', url: target.url }).send(messageOf('firing'), attempt());
      await expect(sent).rejects.toMatchObject({
        retry: false,
        message: `answered ${status}, a redirect, which is not followed`,
      });
      expect(target.received).toHaveLength(1);
      expect(inner.received).toEqual([]);
    },
  );

  test('that nobody listens at certainly did not get it', async () => {
    const target = await receiver();
    await target.close();
    open.pop();
    const channel = make({ kind: 'webhook', url: target.url });
    await expect(channel.send(messageOf('firing'), attempt())).rejects.toMatchObject({
      retry: true,
      maybeDelivered: false,
      message: 'the connection failed (ECONNREFUSED)',
    });
  });
});

describe('targets', () => {
  const guard = (allow: string[], addresses: string[] = []) =>
    new AddressGuard(allow, async () =>
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );

  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '[::1]',
    '[::]',
    '[fe80::1]',
    '[fc00::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:a9fe:a9fe]',
    '[64:ff9b::a00:1]',
    '[2002:a00:1::]',
    '[ff02::1]',
  ])('%s is refused, also behind a name', async (host) => {
    await expect(guard([]).check(host)).rejects.toThrow('not public');
    const bare = host.replace(/[[\]]/g, '');
    await expect(guard([], ['93.184.216.34', bare]).check('hook.example')).rejects.toThrow('not public');
  });

  test('are the address that was checked, never one resolved again', async () => {
    expect(await guard([], ['93.184.216.34']).check('hook.example')).toEqual({
      address: '93.184.216.34',
      family: 4,
    });
    expect(await guard(['10.0.0.0/8'], ['10.9.9.9']).check('hook.example')).toMatchObject({
      address: '10.9.9.9',
    });
    expect(await guard(['Hook.internal.'], ['10.9.9.9']).check('hook.internal')).toMatchObject({
      address: '10.9.9.9',
    });
    await expect(guard(['10.0.0.0/8'], ['192.168.0.1']).check('hook.example')).rejects.toThrow('not public');
  });

  test('are connected to at that address, whatever the name answers a moment later', async () => {
    const target = await receiver();
    const asked: string[] = [];
    const rebinding = new AddressGuard(['hook.example'], async (host) => {
      asked.push(host);
      return [{ address: asked.length === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
    });
    const { port } = new URL(target.url);
    const channel = makeChannel(
      channelSpec({ kind: 'webhook', url: `http://hook.example:${port}/in` }, 'it', 'table'),
      rebinding,
      { slack: '', pagerduty: undefined },
    );
    await channel.send(messageOf('firing'), attempt());
    expect(asked).toEqual(['hook.example']);
    expect(target.received).toMatchObject([{ path: '/in', headers: { host: `hook.example:${port}` } }]);
  });

  test('without TLS need to be allowed, and a refusal does not repeat the URL', async () => {
    const channel = makeChannel(
      channelSpec({ kind: 'webhook', url: 'http://hook.example/secret' }, 'it', 'table'),
      guard([]),
      {
        slack: '',
        pagerduty: undefined,
      },
    );
    const refused = channel.send(messageOf('firing'), attempt());
    await expect(refused).rejects.toMatchObject({ retry: false });
    await expect(refused).rejects.not.toThrow('secret');
  });
});

describe('a Slack bot', () => {
  const slack = (history: object[] = [], answers: Record<string, Reply> = {}) =>
    receiver(({ path }) => {
      const method = path.split(/[/?]/)[1]!;
      if (answers[method] !== undefined) return answers[method];
      return { body: { ok: true, ts: '111.1', channel: 'C1', messages: history } };
    });
  const bot = (target: Receiver) =>
    make({ kind: 'slack', token: 'xoxb-1', channel: 'C1' }, { slack: target.url });
  const called = (target: Receiver) => target.received.map(({ path }) => path.split('?')[0]);
  const reference = { ts: '111.1', channel: 'C1' };

  test('keeps one message up to date and tells the end in its thread', async () => {
    const target = await slack();
    const receipt = await bot(target).send(messageOf('firing'), attempt());
    expect(receipt).toEqual({ reference });
    await bot(target).send(messageOf('update'), attempt({ reference }));
    await bot(target).send(messageOf('resolved'), attempt({ reference }));
    expect(called(target)).toEqual([
      '/chat.postMessage',
      '/chat.update',
      '/chat.update',
      '/chat.postMessage',
    ]);
    expect(target.received[0]!.headers.authorization).toBe('Bearer xoxb-1');
    expect(target.received.at(-1)!.body).toMatchObject({ thread_ts: '111.1', reply_broadcast: false });
  });

  test('looks up what may have been sent, and sends what it does not find', async () => {
    const found = await slack([{ ts: '99.9', metadata: { event_payload: { key: 'key-1' } } }]);
    expect(await bot(found).send(messageOf('firing'), attempt({ maybeDelivered: true }))).toEqual({
      reference: { ts: '99.9', channel: 'C1' },
    });
    expect(called(found)).toEqual(['/conversations.history']);
    const missing = await slack([{ ts: '99.9', metadata: { event_payload: { key: 'another' } } }]);
    await bot(missing).send(messageOf('firing'), attempt({ maybeDelivered: true }));
    expect(called(missing)).toEqual(['/conversations.history', '/chat.postMessage']);
    const mayNot = await slack([], {
      'conversations.history': { body: { ok: false, error: 'missing_scope' } },
    });
    await bot(mayNot).send(messageOf('firing'), attempt({ maybeDelivered: true }));
    expect(called(mayNot)).toEqual(['/conversations.history', '/chat.postMessage']);
  });

  test.for([
    ['ratelimited', true],
    ['internal_error', true],
    ['channel_not_found', false],
    ['invalid_auth', false],
  ] as const)('that is answered %s tries again: %s', async ([error, retry]) => {
    const target = await slack([], { 'chat.postMessage': { body: { ok: false, error } } });
    await expect(bot(target).send(messageOf('firing'), attempt())).rejects.toMatchObject({
      retry,
      message: `refused: ${error}`,
    });
  });

  test('goes on in the channel when its message was deleted', async () => {
    const target = await slack([], { 'chat.update': { body: { ok: false, error: 'message_not_found' } } });
    await bot(target).send(messageOf('resolved'), attempt({ reference }));
    expect(target.received.at(-1)!.body).not.toHaveProperty('thread_ts');
  });
});

describe('every channel', () => {
  test('PagerDuty gets a trigger and a resolve under one key, and an acknowledgement once somebody has it', async () => {
    const target = await receiver(() => ({ status: 202, body: { status: 'success' } }));
    const channel = make({ kind: 'pagerduty', routing_key: 'r' }, { pagerduty: target.url });
    for (const message of [
      messageOf('firing'),
      messageOf('update', { acknowledged: true }),
      messageOf('resolved'),
    ])
      await channel.send(message, attempt());
    expect(target.received.map(({ body }) => body.event_action)).toEqual([
      'trigger',
      'acknowledge',
      'resolve',
    ]);
    expect(new Set(target.received.map(({ body }) => body.dedup_key)).size).toBe(1);
    expect(target.received[0]!.body.payload).toMatchObject({ severity: 'critical', source: 'v2' });
  });

  test('Discord gets one message that is changed, and a new one for the end; nobody is mentioned', async () => {
    const target = await receiver(() => ({ body: { id: '42' } }));
    const channel = make({ kind: 'discord', url: `${target.url}/api/webhooks/1/token` });
    expect(await channel.send(messageOf('firing', { title: '@everyone *x*' }), attempt())).toEqual({
      reference: { id: '42' },
    });
    await channel.send(messageOf('resolved'), attempt({ reference: { id: '42' } }));
    expect(target.received.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /api/webhooks/1/token?wait=true',
      'PATCH /api/webhooks/1/token/messages/42',
      'POST /api/webhooks/1/token?wait=true',
    ]);
    expect(target.received[0]!.body.allowed_mentions).toEqual({ parse: [] });
  });

  test('Teams gets an adaptive card', async () => {
    const target = await receiver(() => ({ status: 202 }));
    await make({ kind: 'teams', url: target.url }).send(messageOf('firing'), attempt());
    const [attachment] = target.received[0]!.body.attachments;
    expect(attachment).toMatchObject({
      contentType: 'application/vnd.microsoft.card.adaptive',
      content: { type: 'AdaptiveCard', body: expect.any(Array) },
    });
  });

  test('e-mail arrives as text and HTML, an incident one thread, repeats under one Message-ID', async () => {
    const mails: string[] = [];
    let refuse: number | undefined;
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData(stream, _session, done) {
        let text = '';
        stream.on('data', (chunk) => (text += chunk));
        stream.on('end', () => {
          if (refuse !== undefined) return done(Object.assign(new Error('no'), { responseCode: refuse }));
          mails.push(text);
          done();
        });
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    open.push({ close: () => new Promise<void>((resolve) => server.close(() => resolve())) });
    const { port } = server.server.address() as AddressInfo;
    const channel = make({
      kind: 'email',
      url: `smtp://127.0.0.1:${port}`,
      to: 'ops@example.org',
      from: 'nowcast@example.org',
    });
    await channel.send(messageOf('firing'), attempt());
    await channel.send(messageOf('firing'), attempt());
    await channel.send(messageOf('resolved'), attempt({ idempotencyKey: 'key-2' }));
    const header = (mail: string, name: string) =>
      new RegExp(`^${name}: (.*)$`, 'mi').exec(mail)?.[1]?.trim();
    expect(mails.map((mail) => header(mail, 'Message-ID'))).toEqual([
      '<key-1@example.org>',
      '<key-1@example.org>',
      '<key-2@example.org>',
    ]);
    expect(new Set(mails.map((mail) => header(mail, 'In-Reply-To'))).size).toBe(1);
    expect(mails[0]).toContain('multipart/alternative');
    for (const [code, retry] of [
      [451, true],
      [554, false],
    ] as const) {
      refuse = code;
      await expect(channel.send(messageOf('firing'), attempt())).rejects.toMatchObject({ retry });
    }
  });

  const hostile = fc.string({ unit: 'binary', maxLength: 6_000 });

  test('keeps within the limits of its service and escapes what events say, whatever that is', async () => {
    const target = await receiver(() => ({ body: { ok: true, ts: '1', channel: 'C1', id: '1' } }));
    const channels = [
      make({ kind: 'slack', url: target.url }),
      make({ kind: 'discord', url: target.url }),
      make({ kind: 'teams', url: target.url }),
      make({ kind: 'pagerduty', routing_key: 'r' }, { pagerduty: target.url }),
    ];
    await fc.assert(
      fc.asyncProperty(hostile, hostile, async (title, said) => {
        target.received.length = 0;
        const message = messageOf('firing', { title, said });
        for (const channel of channels) await channel.send(message, attempt());
        const [slack, discord, teams, pagerduty] = target.received;
        expect(slack!.body.blocks.length).toBeLessThanOrEqual(50);
        for (const { type, text, fields = [] } of slack!.body.blocks) {
          if (type === 'header') expect(text.text.length).toBeLessThanOrEqual(150);
          if (type === 'section' && text !== undefined) expect(text.text.length).toBeLessThanOrEqual(3_000);
          for (const field of fields) expect(field.text.length).toBeLessThanOrEqual(2_000);
        }
        // Of "<" only our own dates are left.
        expect(slack!.text.replaceAll(/<!date\^\d+\^[^<>|]*\|[^<>]*>/g, '').match(/<[!@#h]/)).toBeNull();
        const [embed] = discord!.body.embeds;
        const size = [
          embed.title,
          embed.description,
          ...embed.fields.flatMap(({ name, value }: Record<string, string>) => [name, value]),
        ];
        expect(size.join('').length + (embed.footer?.text.length ?? 0)).toBeLessThanOrEqual(6_000);
        expect(Buffer.byteLength(teams!.text)).toBeLessThanOrEqual(28 * 1024);
        expect(pagerduty!.body.payload.summary.length).toBeLessThanOrEqual(1_024);
      }),
      { numRuns: 60 },
    );
  });
});

describe('what somebody wrote down as a channel', () => {
  test.for([
    [{ kind: 'sms' }, 'it.kind must be one of slack'],
    [{ kind: 'slack' }, 'it of kind slack needs url, or token and channel'],
    [{ kind: 'slack', url: 'ftp://secret' }, 'it.url must be an http or https URL, not a string'],
    [{ kind: 'email', url: 'smtp://h', to: ['nobody'], from: 'a@b' }, 'it.to must be an e-mail address'],
    [{ kind: 'teams', url: 'https://a.example', severity: 'critical' }, 'it of kind teams has no "severity"'],
    [
      { kind: 'teams', url: 'https://a.example', min_severity: 'low' },
      'it.min_severity must be warning or critical',
    ],
    [
      { kind: 'teams', url: 'https://a.example', matchers: { rule: 1 } },
      'it.matchers must be an object of label',
    ],
    [{ kind: 'teams', url: 'https://a.example', name: 'A b' }, 'it.name must be lower case'],
  ] as const)('%j is refused: %s', ([given, problem]) => {
    expect(() => channelSpec(given, 'it', 'config')).toThrow(problem);
  });

  test.for([
    [[{ kind: 'sms' }], 'channels[0].kind must be one of slack'],
    [
      [{ kind: 'slack', url: 'https://a.example/secret' }],
      'channels[0].name "slack" is taken by a channel of the environment.',
    ],
    [
      [
        { kind: 'teams', url: 'https://a.example/secret' },
        { kind: 'teams', url: 'https://b.example' },
      ],
      'channels[1].name "teams" is taken by an earlier channel.',
    ],
  ] as const)(
    'in the configuration file is an error of the start that names its place: %j',
    ([channels, message]) => {
      const others = environmentChannels(readSettings({ SLACK_WEBHOOK_URL: 'https://hooks.example/secret' }));
      const configured = () => configuredChannels({ file: 'nowcast.config.ts', channels }, others);
      expect(configured).toThrow(`nowcast.config.ts: ${message}`);
      expect(configured).not.toThrow('secret');
    },
  );
});
