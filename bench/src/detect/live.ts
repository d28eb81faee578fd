/** The rules in a running server: from the first bad event to the row of the alert, and what a look costs. */
import { setTimeout as delay } from 'node:timers/promises';
import { startServer } from 'nowcast/dist/server.js';
import { readSettings } from 'nowcast/dist/settings.js';
import pg from 'pg';
import { startPostgres } from '../side/postgres.ts';
import { random } from './random.ts';

const perSecond = 20;
const repeats = 5;
const calmSeconds = 25;
const lookedSeconds = 60;

export async function printLive(): Promise<void> {
  const postgres = await startPostgres();
  const url = await postgres.createDatabase('live');
  const server = await startServer(
    readSettings({ PORT: '0', DATABASE_URL: url, NOWCAST_LOG_LEVEL: 'error' }),
  );
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => undefined);
  try {
    console.log(
      `\nFrom the first bad event to the alert's row, ${perSecond} events a second by HTTP, ${repeats} models each:\n`,
    );
    console.log('| jump | median | worst |\n|---|---:|---:|');
    for (const [name, share] of [
      ['errors 1 % to 30 %', 0.3],
      ['total failure', 1],
    ] as const) {
      const seconds = await Promise.all(
        Array.from({ length: repeats }, (_, index) =>
          reaction(server.url, pool, `${name} ${index}`, share, index),
        ),
      );
      seconds.sort((a, b) => a - b);
      console.log(
        `| ${name} | ${seconds[Math.floor(repeats / 2)]!.toFixed(1)} s | ${seconds.at(-1)!.toFixed(1)} s |`,
      );
    }
    await printLooks(server.url, pool);
  } finally {
    await server.close();
    await pool.end();
    await postgres.stop();
  }
}

async function reaction(
  url: string,
  pool: pg.Pool,
  model: string,
  share: number,
  index: number,
): Promise<number> {
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
  let opened: number | undefined;
  const sending = paced(30 * perSecond, async () => {
    const badAt = await send(share);
    firstBad ??= badAt;
    return opened !== undefined;
  });
  while (opened === undefined) {
    const { rows } = await pool.query<{ at: Date }>(
      `select timestamp as at from system_alerts where rule = 'error_failure' and labels ->> 'model_version' = $1`,
      [model],
    );
    opened = rows[0]?.at.getTime();
    await delay(20);
  }
  await sending;
  return (opened - firstBad!) / 1000;
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
