/**
 * Ten thousand alerts that open and end at once, while events arrive: do they hold the ingest up, and how many messages
 * does Slack get? Slow events arrive all the while, since each that opens an alert does so in the writer's own transaction.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Bench } from '../bench.ts';
import type { HttpLoad, HttpLoadResult } from '../load/http-load.ts';
import { alone, compare, isMissing, type Row } from '../row.ts';
import { type NowcastSide, startNowcast } from '../side/nowcast.ts';
import { type SlackSide, startSlack } from '../side/slack.ts';
import { alternate, type Measurement } from './measurement.ts';
import { singlePosts } from './single.ts';

const ALERTS = 10_000;
const EVENTS_PER_SECOND = 2_000;
const SLOW_INTERVAL_MS = 100;
const RESOLVE_INTERVAL_MS = 1_000;
/** Slack hears of a storm within this, or the run fails. */
const TOLD_LIMIT_MS = 30_000;

export const alerts: Measurement = {
  name: 'alerts',
  title: `${ALERTS.toLocaleString('en')} alerts at once`,
  slow: true,
  run,
};

interface Storm extends HttpLoadResult {
  messages: number;
  openedMs: number;
  toldMs: number;
}

async function run(bench: Bench): Promise<Row[]> {
  const databaseUrl = await bench.postgres.createDatabase('bench_alerts');
  const slack = await startSlack();
  const nowcast = await startNowcast(
    { databaseUrl },
    {
      inspect: false,
      environment: { SLACK_WEBHOOK_URL: slack.url, NOWCAST_WEBHOOK_ALLOW: '127.0.0.1' },
    },
  );
  if (isMissing(nowcast)) return [alone({ what: alerts.title, unit: '', ours: nowcast })];
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  try {
    const place = { bench, nowcast, pool, slack };
    return [
      ...(await beside(place, 'as fast as it goes', null)),
      ...(await beside(place, '2,000/s', EVENTS_PER_SECOND)),
    ];
  } finally {
    await pool.end();
    await nowcast.stop();
    await slack.stop();
  }
}

interface Place {
  bench: Bench;
  nowcast: NowcastSide;
  pool: pg.Pool;
  slack: SlackSide;
}

async function beside(place: Place, how: string, requestsPerSecond: number | null): Promise<Row[]> {
  const { bench, nowcast } = place;
  const load = { ...singlePosts(bench), measureMs: 2 * bench.plan.measureMs, requestsPerSecond };
  const { storm, calm } = await alternate<{ storm: Storm; calm: HttpLoadResult }>(
    Math.min(bench.plan.rounds, 3),
    {
      calm: () => withSlowEvents(place, () => bench.http(`alerts: none, ${how}`, nowcast, load)),
      storm: () => withSlowEvents(place, () => storming(place, how, load)),
    },
  );
  const sides = { ours: storm, against: 'no alerts', theirs: calm };
  const what = (text: string) => `${ALERTS.toLocaleString('en')} alerts open and end, ${how}: ${text}`;
  const figure = (pick: (sample: Storm) => number) => (isMissing(storm) ? storm : storm.map(pick));
  return [
    compare({
      ...sides,
      what: what('ingest'),
      unit: 'events/s',
      ourFigure: (sample) => sample.eventsPerSecond,
      theirFigure: (sample) => sample.eventsPerSecond,
      target: { atLeast: 0.95 },
    }),
    compare({
      ...sides,
      what: what('POST p50'),
      unit: 'ms',
      ourFigure: (sample) => sample.p50Ms,
      theirFigure: (sample) => sample.p50Ms,
    }),
    compare({
      ...sides,
      what: what('POST p99'),
      unit: 'ms',
      ourFigure: (sample) => sample.p99Ms,
      theirFigure: (sample) => sample.p99Ms,
    }),
    alone({
      what: what('messages'),
      unit: '',
      ours: figure(({ messages }) => messages),
      target: { atMost: 6 },
    }),
    alone({ what: what('opening them'), unit: 'ms', ours: figure(({ openedMs }) => openedMs) }),
    alone({ what: what('told after'), unit: 'ms', ours: figure(({ toldMs }) => toldMs) }),
  ];
}

async function storming(place: Place, how: string, load: Omit<HttpLoad, 'port'>): Promise<Storm> {
  const { bench, nowcast, pool, slack } = place;
  const before = slack.messages.length;
  const name = `storm ${Date.now()}`;
  const storm = async () => {
    await delay(load.warmUpMs + 500);
    const beganAtMs = Date.now();
    await pool.query(
      `insert into system_alerts (severity, alert_type, message, rule, labels, metadata)
       select 'critical', 'error_rate', $1, $1 || ' ' || i % 20, labels, labels || '{"error_rate_pct": 31.5, "usual_pct": 1.1}'
       from generate_series(1, ${ALERTS}) i, jsonb_build_object('model_version', 'm' || i / 20) labels`,
      [name],
    );
    const openedMs = Date.now() - beganAtMs;
    const told = await slack.message(
      ({ text }) => text.includes(name) && !text.includes('Resolved'),
      TOLD_LIMIT_MS,
    );
    // Those of slow events too: they belong to the same incident, and one may join it at the last moment.
    let isOver = false;
    const over = slack
      .message(({ text }) => text.includes(name) && text.includes('Resolved'), TOLD_LIMIT_MS)
      .finally(() => {
        isOver = true;
      });
    while (!isOver) {
      await pool.query(`update system_alerts set status = 'resolved' where status = 'firing'`);
      await Promise.race([over, delay(RESOLVE_INTERVAL_MS)]);
    }
    await over;
    return { openedMs, toldMs: told.atMs - beganAtMs };
  };
  const [posted, stormed] = await Promise.all([
    bench.http(`alerts: a storm, ${how}`, nowcast, load),
    storm(),
  ]);
  bench.log(`  opened in ${stormed.openedMs} ms, told after ${stormed.toldMs} ms`);
  return { ...posted, ...stormed, messages: slack.messages.length - before };
}

/** Of models that were quick until then: each is one alert. */
async function withSlowEvents<Result>(
  { bench, nowcast }: Place,
  work: () => Promise<Result>,
): Promise<Result> {
  const models = Array.from({ length: 900 }, (_, index) => `slow ${index} at ${Date.now()}`);
  const post = async (events: object[]) => {
    const response = await fetch(`http://127.0.0.1:${nowcast.port}/telemetry/inference/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events),
    });
    if (!response.ok) throw new Error(`a slow event was answered ${response.status}`);
    bench.expectStored(nowcast.databaseUrl, events.length);
  };
  await post(models.map((model_version) => ({ model_version, inference_time_ms: 100 })));
  let over = false;
  const posting = (async () => {
    while (!over) {
      const model = models.pop();
      if (model === undefined) throw new Error('there are too few slow models');
      await post([{ model_version: model, inference_time_ms: 9_000 }]);
      await delay(SLOW_INTERVAL_MS);
    }
  })();
  const [result] = await Promise.all([work().finally(() => (over = true)), posting]);
  return result;
}
