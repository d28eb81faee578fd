/**
 * Two servers, restarts in the middle of a message and channels that fail: each incident is one firing and one resolved
 * message. A hundred seeded runs; the same seed strikes at the same requests.
 */
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { channelSpec } from '../src/alert/channels/spec.ts';
import { AlertDelivery } from '../src/alert/delivery.ts';
import { workerTimings } from '../src/alert/outbox/worker.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';
import { type Received, type Reply, startReceiver } from './support/receivers.ts';
import { seededRandom } from './support/seededRandom.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 8 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const runsAtOnce = 10;

interface Told {
  readonly channel: string;
  /** By what the service tells messages apart. */
  readonly id: string;
  readonly step: string;
}

interface World {
  readonly random: () => number;
  readonly told: Told[];
  /** Called at each request that arrives. */
  onRequest: () => void;
  /** Whether a service may take a message and lose its answer, and servers end in the middle of one. */
  readonly losesAnswers: boolean;
}

/** What becomes of a request that the service could take: `take` does. */
function strike({ random, onRequest, losesAnswers }: World, take: () => Reply): Reply {
  onRequest();
  const dice = random();
  if (dice < 0.12) return { status: 500 };
  if (dice < 0.2) return { status: 429, headers: { 'retry-after': '0' } };
  // Cut without being taken looks the same to whoever sends.
  if (losesAnswers && dice < 0.26) return { cut: true };
  const reply = take();
  return losesAnswers && dice < 0.38 ? { cut: true } : reply;
}

/** Slack's web API as far as it matters here: it keeps messages with their metadata and shows them again. */
function slackService(world: World): (request: Received) => Reply {
  const messages: { ts: string; thread: string | undefined; metadata: unknown }[] = [];
  return ({ path, body }) => {
    const url = new URL(path, 'http://slack');
    const method = url.pathname.slice(1);
    return strike(world, () => {
      if (method === 'chat.postMessage') {
        const { thread_ts: thread, metadata, text } = body;
        const ts = `${messages.length + 1}.0`;
        messages.push({ ts, thread, metadata });
        world.told.push({
          channel: 'slack-bot',
          id: ts,
          step: text.includes('Resolved') ? 'resolved' : 'firing',
        });
        return { body: { ok: true, ts, channel: 'C1' } };
      }
      if (method === 'chat.update') return { body: { ok: true } };
      const thread = url.searchParams.get('ts') ?? undefined;
      return { body: { ok: true, messages: messages.filter((message) => message.thread === thread) } };
    });
  };
}

async function run(seed: number, losesAnswers: boolean): Promise<readonly Told[]> {
  const random = seededRandom(seed);
  const world: World = { random, told: [], onRequest: () => undefined, losesAnswers };
  const { told } = world;
  const services = {
    bot: await startReceiver(slackService(world)),
    slack: await startReceiver(({ body }) =>
      strike(world, () => {
        told.push({
          channel: 'slack',
          id: String(told.length),
          step: body.text.includes('Resolved') ? 'resolved' : 'firing',
        });
        return {};
      }),
    ),
    hook: await startReceiver(({ body, headers }) =>
      strike(world, () => {
        told.push({ channel: 'hook', id: String(headers['webhook-id']), step: body.type });
        return {};
      }),
    ),
    pager: await startReceiver(({ body }) =>
      strike(world, () => {
        const step = body.event_action === 'trigger' ? 'firing' : 'resolved';
        told.push({ channel: 'pager', id: `${body.dedup_key}-${step}`, step });
        return { status: 202, body: { status: 'success' } };
      }),
    ),
  };
  const label = `run-${losesAnswers}-${seed}`;
  const specs = [
    ...(losesAnswers ? [] : [{ name: 'slack', kind: 'slack', url: services.slack.url }]),
    { name: 'slack-bot', kind: 'slack', token: 'x', channel: 'C1' },
    { name: 'hook', kind: 'webhook', url: services.hook.url },
    { name: 'pager', kind: 'pagerduty', routing_key: 'x' },
  ].map((given) =>
    channelSpec(
      { ...given, name: `${given.name}-${label.toLowerCase()}`, matchers: { run: label } },
      'it',
      'config',
    ),
  );

  // A server ends: at once, and then nothing of it reaches the database any more; or when its messages have arrived.
  const startServer = () => {
    const own = new pg.Pool({ connectionString: database.url, max: 2 });
    own.on('error', () => undefined);
    let dead = false;
    const claims: { delivery: unknown; revision: number }[] = [];
    const query = own.query.bind(own) as (...values: unknown[]) => Promise<pg.QueryResult>;
    Object.assign(own, {
      async query(...values: unknown[]) {
        if (dead) throw new Error('killed');
        const result = await query(...values);
        const [{ name, values: given }] = values as [{ name?: string; values: unknown[] }];
        if (name === 'claim_delivery' && result.rowCount === 1)
          claims.push({ delivery: given[0], revision: result.rows[0].revision });
        return result;
      },
    });
    const delivery = new AlertDelivery({
      pool: own,
      log: pino({ level: 'silent' }),
      channels: specs,
      allow: ['127.0.0.1'],
      publicUrl: () => 'http://127.0.0.1',
      services: { slack: services.bot.url, pagerduty: services.pager.url },
      timings: {
        ...workerTimings,
        pace: { ...workerTimings.pace, explanationMs: 0, editMs: 3_600_000 },
        backoff: () => Math.round(seededRandom(seed)() * 5),
        lookIntervalMs: 10,
        gatherMs: 1,
        gapMs: 0,
        // Longer than any run: whoever lives keeps what it has in hand, however slow the machine.
        leaseMs: 600_000,
      },
    });
    delivery.start();
    return {
      async end(suddenly: boolean) {
        dead = suddenly;
        await delivery.stop();
        await own.end();
        if (!suddenly) return;
        // The lease of what a killed server had in hand ends.
        for (const { delivery: id, revision } of claims)
          await pool.query(
            'update nowcast.alert_deliveries set claimed_until = now() where id = $1 and revision = $2 and claimed_until > now()',
            [id, revision],
          );
      },
    };
  };
  const servers = [startServer(), startServer()];
  const endings: Promise<void>[] = [];
  let toRestart = 1 + Math.floor(random() * 3);
  world.onRequest = () => {
    if (toRestart === 0 || random() > 0.3) return;
    toRestart -= 1;
    const which = random() < 0.5 ? 0 : 1;
    endings.push(servers[which]!.end(losesAnswers && random() < 0.5));
    servers[which] = startServer();
  };

  // What ended before a channel was known is no news to it.
  await pool.query('select nowcast.spread_news($1)', [
    JSON.stringify(specs.map(({ name, matchers }) => ({ name, matchers, min_severity: 'warning' }))),
  ]);
  const { rows } = await pool.query<{ id: string }>(
    `insert into nowcast.incidents (severity, title) values ('critical', 'failing') returning id`,
  );
  const incident = rows[0]!.id;
  await pool.query(
    `insert into system_alerts (severity, alert_type, message, rule, labels, incident_id, explanation)
     values ('critical', 'error_rate', 'failing', 'error_failure', $1, $2, '{"sentence": "Errors rose."}')`,
    [{ run: label }, incident],
  );
  const until = async (condition: string) => {
    for (;;) {
      const { rows: open } = await pool.query<{ count: number }>(
        `select count(*)::integer as count from nowcast.alert_deliveries where incident_id = $1 and ${condition}`,
        [incident],
      );
      if (open[0]!.count === specs.length) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  // Sometimes it is over before anybody could be told.
  if (random() < 0.7) await until(`told = 'firing'`);
  await pool.query(`update system_alerts set status = 'resolved' where incident_id = $1`, [incident]);
  await until('done');
  await Promise.all(endings);
  await Promise.all(servers.map((server) => server.end(false)));
  await Promise.all(Object.values(services).map((service) => service.close()));
  return told;
}

/** The steps that each channel's people saw: what has the same id is one message to them. */
function seenBy(told: readonly Told[]): Record<string, string> {
  const seen: Record<string, Map<string, string>> = {};
  for (const { channel, id, step } of told) {
    seen[channel] ??= new Map();
    seen[channel].set(id, step);
  }
  return Object.fromEntries(
    Object.entries(seen).map(([channel, steps]) => [channel, [...steps.values()].join(' ')]),
  );
}

test.for([
  [false, 50],
  [true, 50],
] as const)(
  'one firing and one resolved message; answers get lost and servers are killed: %s; %i runs',
  async ([losesAnswers, runs]) => {
    const wrong: string[] = [];
    for (let first = 0; first < runs; first += runsAtOnce) {
      const seeds = Array.from({ length: runsAtOnce }, (_, index) => first + index + 1);
      const seen = await Promise.all(seeds.map((seed) => run(seed, losesAnswers)));
      for (const [index, told] of seen.entries()) {
        for (const [channel, steps] of Object.entries(seenBy(told))) {
          // Over before it could be told: both in one.
          if (!['firing resolved', 'resolved', 'late'].includes(steps))
            wrong.push(`seed ${seeds[index]}, ${channel}: ${steps}`);
        }
        expect(Object.keys(seenBy(told)).length).toBe(losesAnswers ? 3 : 4);
      }
    }
    expect(wrong).toEqual([]);
  },
);
