/** The rules in running servers: from the first bad event to the alert and to Slack's end of it, and what a look costs. */
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
const lookedSeconds = 60;
/** A message that takes longer has not come. */
const messageLimitMs = 60_000;

export async function printLive(): Promise<void> {
  const postgres = await startPostgres();
  const worlds: World[] = [];
  try {
    // Each of its own: alerts that begin together are one message.
    for (let index = 0; index < repeats; index++) worlds.push(await startWorld(postgres, `live_${index}`));
    console.log(
      `\nFrom the first bad event, ${perSecond} events a second by HTTP, ${repeats} servers each (median, worst):\n`,
    );
    console.log("| jump | the alert's row | the message at Slack | bound |\n|---|---:|---:|---:|");
    for (const { name, share, boundSeconds } of [
      { name: 'errors 1 % to 30 %', share: 0.3, boundSeconds: 10 },
      { name: 'total failure', share: 1, boundSeconds: 5 },
    ]) {
      const reactions = await Promise.all(worlds.map((world, index) => reaction(world, name, share, index)));
      console.log(
        `| ${name} | ${spread(reactions.map(({ rowSeconds }) => rowSeconds))} | ${spread(reactions.map(({ messageSeconds }) => messageSeconds))} | ${boundSeconds} s |`,
      );
    }
    await printLooks(worlds[0]!.url, worlds[0]!.pool);
  } finally {
    for (const world of worlds) await world.stop();
    await postgres.stop();
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
  // The next jump is an incident of its own.
  await pool.query(`update system_alerts set status = 'resolved' where status = 'firing'`);
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

/** Looks while a hundred models are busy, which is 500 series, over little and over much stored history. */
async function printLooks(url: string, pool: pg.Pool): Promise<void> {
  const models = 100;
  console.log(
    `\nOne look at all rules, ${models} busy models (${models * 5} series), reads and writes included:\n`,
  );
  console.log(
    '| stored summaries of models | looks | at most 10 ms | at most 25 ms | at most 50 ms |\n|---|---:|---:|---:|---:|',
  );
  for (const hours of [0, 14 * 24]) {
    if (hours > 0) {
      await pool.query(
        `insert into nowcast.model_summaries
         select (jsonb_populate_record(s, jsonb_build_object('minute', s.minute - make_interval(hours => h)))).*
         from nowcast.model_summaries s, generate_series(1, $1) h where s.tier_seconds = 3600
         on conflict do nothing`,
        [hours],
      );
    }
    const before = await looksSoFar(url);
    const endsAt = Date.now() + lookedSeconds * 1000;
    while (Date.now() < endsAt) {
      await post(
        url,
        Array.from({ length: 2 * models }, (_, index) => ({
          model_version: `model ${index % models}`,
          inference_time_ms: 100 + (index % 7) * 20,
          confidence_score: 0.9,
          input_tokens: 100,
          is_error: false,
        })),
      );
      await delay(500);
    }
    const after = await looksSoFar(url);
    const { rows } = await pool.query<{ count: string }>('select count(*) from nowcast.model_summaries');
    const count = after.count - before.count;
    const share = (bucket: keyof typeof after) =>
      `${((100 * (after[bucket] - before[bucket])) / count).toFixed(1)} %`;
    console.log(
      `| ${Number(rows[0]!.count).toLocaleString('en-US')} | ${count} | ${share('within10')} | ${share('within25')} | ${share('within50')} |`,
    );
  }
}

async function looksSoFar(
  url: string,
): Promise<{ count: number; within10: number; within25: number; within50: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string) => {
    const line = text.split('\n').find((each) => each.startsWith(`nowcast_rule_evaluation_seconds_${name} `));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  return {
    count: value('count'),
    within10: value('bucket{le="0.01"}'),
    within25: value('bucket{le="0.025"}'),
    within50: value('bucket{le="0.05"}'),
  };
}
