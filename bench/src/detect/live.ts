/** The rules in running servers: from the first bad event to the alert and to Slack's end of it. */
import { setTimeout as delay } from 'node:timers/promises';
import { startServer } from 'nowcast/dist/server.js';
import { readSettings } from 'nowcast/dist/settings.js';
import pg from 'pg';
import { type PostgresSide, startPostgres } from '../side/postgres.ts';
import { type SlackSide, startSlack } from '../side/slack.ts';
import { random } from './random.ts';

const perSecond = 20;
const repeats = 5;
const calmSeconds = 25;
/** A message that takes longer has not come. */
const messageLimitMs = 60_000;

export async function printLive(): Promise<void> {
  const postgres = await startPostgres();
  try {
    console.log(
      `\nFrom the first bad event, ${perSecond} events a second by HTTP, ${repeats} servers each (median, worst):\n`,
    );
    console.log("| jump | the alert's row | the message at Slack | bound |\n|---|---:|---:|---:|");
    await printReactions(postgres, { name: 'errors 1 % to 30 %', share: 0.3, boundSeconds: 10 });
    await printReactions(postgres, { name: 'total failure', share: 1, boundSeconds: 5 });
  } finally {
    await postgres.stop();
  }
}

interface Jump {
  readonly name: string;
  /** Of events that are bad from then on. */
  readonly share: number;
  readonly boundSeconds: number;
}

/** Each server sees one jump: alerts that begin together are one message. */
async function printReactions(postgres: PostgresSide, { name, share, boundSeconds }: Jump): Promise<void> {
  const worlds: World[] = [];
  try {
    for (let index = 0; index < repeats; index++)
      worlds.push(await startWorld(postgres, `jump_${share * 100}_${index}`));
    const reactions = await Promise.all(worlds.map((world, index) => reaction(world, name, share, index)));
    const rows = spread(reactions.map(({ rowSeconds }) => rowSeconds));
    const messages = spread(reactions.map(({ messageSeconds }) => messageSeconds));
    console.log(`| ${name} | ${rows} | ${messages} | ${boundSeconds} s |`);
  } finally {
    for (const world of worlds) await world.stop();
  }
}

interface World {
  readonly url: string;
  readonly pool: pg.Pool;
  readonly slack: SlackSide;
  readonly stop: () => Promise<void>;
}

async function startWorld(postgres: PostgresSide, name: string): Promise<World> {
  const url = await postgres.createDatabase(name);
  const slack = await startSlack();
  const server = await startServer(
    readSettings({
      PORT: '0',
      DATABASE_URL: url,
      NOWCAST_LOG_LEVEL: 'error',
      SLACK_WEBHOOK_URL: slack.url,
      NOWCAST_WEBHOOK_ALLOW: '127.0.0.1',
    }),
  );
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => undefined);
  return {
    url: server.url,
    pool,
    slack,
    stop: async () => {
      await server.close();
      await pool.end();
      await slack.stop();
    },
  };
}

function spread(seconds: readonly number[]): string {
  const sorted = [...seconds].sort((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length / 2)]!.toFixed(1)} s, ${sorted.at(-1)!.toFixed(1)} s`;
}

async function reaction(
  { url, pool, slack }: World,
  jump: string,
  share: number,
  index: number,
): Promise<{ rowSeconds: number; messageSeconds: number }> {
  const model = `${jump} ${index}`;
  const { uniform } = random(index + 1);
  // Each model's jump falls on another moment between two looks.
  await delay(index * 370);
  const send = async (errorShare: number) => {
    const event = {
      model_version: model,
      inference_time_ms: 200 + 100 * uniform(),
      is_error: uniform() < errorShare,
    };
    const sentAt = Date.now();
    await post(url, [event]);
    return event.is_error ? sentAt : undefined;
  };
  await paced(calmSeconds * perSecond, () => send(0.01));
  let firstBad: number | undefined;
  let isTold = false;
  const [message] = await Promise.all([
    slack
      .message(
        ({ text }) => text.includes(model) && !text.includes('Resolved'),
        calmSeconds * 1000 + messageLimitMs,
      )
      .finally(() => {
        isTold = true;
      }),
    paced((messageLimitMs / 1000) * perSecond, async () => {
      const badAt = await send(share);
      firstBad ??= badAt;
      return isTold;
    }),
  ]);
  const { rows } = await pool.query<{ at: Date }>(
    `select timestamp as at from system_alerts where rule = 'error_failure' and labels ->> 'model_version' = $1`,
    [model],
  );
  return {
    rowSeconds: (rows[0]!.at.getTime() - firstBad!) / 1000,
    messageSeconds: (message.atMs - firstBad!) / 1000,
  };
}

/** So many calls, `perSecond` of them a second, until one answers true. */
async function paced(count: number, call: () => Promise<unknown>): Promise<void> {
  const startedAt = performance.now();
  for (let index = 0; index < count; index++) {
    const restMs = startedAt + (index * 1000) / perSecond - performance.now();
    if (restMs > 0) await delay(restMs);
    if ((await call()) === true) return;
  }
}

async function post(url: string, events: readonly unknown[]): Promise<void> {
  const response = await fetch(`${url}/telemetry/inference/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
}
