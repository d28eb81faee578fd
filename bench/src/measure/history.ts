/**
 * What the past costs: closing a day of ten million events whose last hour nobody has compacted, reading a year, and
 * archiving a million rows.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { coldPlace } from 'nowcast/dist/history/cold/place.js';
import { closePeriods } from 'nowcast/dist/history/etl.js';
import { runRetention } from 'nowcast/dist/history/retention.js';
import pg from 'pg';
import type { Bench } from '../bench.ts';
import { BareQuery } from '../load/bare-query.ts';
import { alone, isMissing, type Row } from '../row.ts';
import { startNowcast } from '../side/nowcast.ts';
import type { Measurement } from './measurement.ts';

const DAY_EVENTS = 10_000_000;
const MODELS = 50;
const FEATURES = 5;
const ARCHIVED_EVENTS = 1_000_000;

export const history: Measurement = {
  name: 'history',
  title: `history: a day of ${DAY_EVENTS.toLocaleString('en')} events, a year, an archive`,
  slow: true,
  run,
};

async function run(bench: Bench): Promise<Row[]> {
  const databaseUrl = await bench.postgres.createDatabase('bench_history');
  // The first start makes the schema; from here on no server runs, so nothing is compacted beside.
  const first = await startNowcast({ databaseUrl }, { inspect: false });
  if (isMissing(first)) return [alone({ what: 'closing a day', unit: 's', ours: first })];
  await first.stop();
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  try {
    const closing: number[] = [];
    for (let round = 0; round < Math.min(bench.plan.rounds, 3); round += 1) {
      await seedDay(pool);
      const startedAt = performance.now();
      const { days } = await closePeriods(pool, { zone: 'UTC', to: yesterday(), everything: true });
      closing.push((performance.now() - startedAt) / 1_000);
      if (!days.includes(yesterday())) throw new Error('the day was not closed');
    }
    await pool.query(
      `insert into daily_metrics_summary select d.date - n, d.model_version, d.total_requests, d.avg_latency_ms,
         d.p50_latency_ms, d.p95_latency_ms, d.p99_latency_ms, d.avg_confidence, d.total_errors, d.error_rate_pct
       from daily_metrics_summary d, generate_series(1, 364) n`,
    );
    await pool.query('vacuum analyze daily_metrics_summary');
    const year = await yearOfDays(databaseUrl);
    const archived = await archive(pool);
    return [
      alone({
        what: `closing a day of ${MODELS} models x ${FEATURES} features, its last hour not compacted`,
        unit: 's',
        ours: closing,
        target: { atMost: 1 },
      }),
      alone({ what: `a year of ${MODELS} models, all rows`, unit: 'ms', ours: year, target: { atMost: 50 } }),
      alone({
        what: 'archiving, verified',
        unit: 'rows/s',
        ours: [archived.rowsPerSecond],
        target: { atLeast: 200_000 },
      }),
      alone({ what: 'Parquet', unit: 'bytes/event', ours: [archived.bytesPerEvent] }),
    ];
  } finally {
    await pool.end();
  }
}

function yesterday(): string {
  return new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
}

/** The last hour as its events bring it, and 23 hours before it as the compactor leaves them. */
async function seedDay(pool: pg.Pool): Promise<void> {
  const day = yesterday();
  await pool.query(
    `truncate nowcast.summary_partials, nowcast.summary_merges, nowcast.minute_summaries, nowcast.model_summaries,
       nowcast.periods, nowcast.period_summaries, daily_metrics_summary`,
  );
  await pool.query('delete from inference_logs');
  await pool.query('truncate nowcast.stale_minutes');
  const insert = `insert into inference_logs (timestamp, model_version, feature, inference_time_ms, confidence_score, is_error)
    select $1::timestamptz + interval '23 hours' + interval '1 hour' * (g / $2::float8), 'model-' || g % ${MODELS},
      'feature-' || g / ${MODELS} % ${FEATURES}, exp(4.5 + 0.45 * (random() + random() + random() + random() - 2) * 1.7),
      0.4 + 0.6 * sqrt(random()), g % 100 = 0
    from generate_series(0, $2::integer - 1) g`;
  await pool.query(insert, [`${day}T00:00:00Z`, Math.round(DAY_EVENTS / 24)]);
  const { rows } = await pool.query<{ partials: number }>(
    'select count(*)::integer as partials from nowcast.summary_partials',
  );
  if (rows[0]!.partials !== MODELS * FEATURES * 60)
    throw new Error(`there are ${rows[0]!.partials} partials`);
  // The hours before are what this hour is once compacted.
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query('create temp table partials on commit drop as select * from nowcast.summary_partials');
    await client.query('select nowcast.compact()');
    await client.query(
      `create temp table hours on commit drop as select * from nowcast.model_summaries where tier_seconds = 3600`,
    );
    await client.query('delete from nowcast.model_summaries');
    await client.query('delete from nowcast.minute_summaries');
    await client.query('insert into nowcast.summary_partials select * from partials');
    await client.query(`update hours set minute = minute - interval '1 hour'`);
    for (let hour = 0; hour < 23; hour += 1) {
      await client.query('insert into nowcast.model_summaries select * from hours');
      await client.query(`update hours set minute = minute - interval '1 hour'`);
    }
    await client.query('commit');
  } finally {
    client.release();
  }
  await pool.query('vacuum analyze');
}

/** Until the last byte is here; what a reader makes of 182,500 values is its own affair. */
async function yearOfDays(databaseUrl: string): Promise<number[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const query = new BareQuery(client, 'select * from daily_metrics_summary order by date, model_version');
    const times: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      const startedAt = performance.now();
      const rows = await query.ask();
      times.push(performance.now() - startedAt);
      if (rows !== MODELS * 365) throw new Error(`the year has ${rows} rows`);
    }
    return times;
  } finally {
    await client.end();
  }
}

async function archive(pool: pg.Pool): Promise<{ rowsPerSecond: number; bytesPerEvent: number }> {
  const directory = await mkdtemp(join(tmpdir(), 'nowcast-bench-archive-'));
  try {
    const day = new Date(Date.now() - 40 * 86_400_000).toISOString().slice(0, 10);
    await pool.query('select nowcast.create_partition($1)', [day]);
    await pool.query(
      `insert into nowcast.inference_logs_${day.replaceAll('-', '')} (timestamp, model_version, inference_time_ms,
         confidence_score, input_size_bytes, prediction_class, is_error, error_message, metadata)
       select $1::timestamptz + interval '1 day' * (g / ${ARCHIVED_EVENTS}::float8), 'model-' || g % 5,
         exp(4.5 + 0.45 * (random() + random() + random() + random() - 2) * 1.7), 0.4 + 0.6 * sqrt(random()),
         (2000 + random() * 900000)::integer, 'class-' || g % 8, g % 100 = 0,
         case when g % 100 = 0 then 'upstream timed out after 4000 ms' end,
         case when g % 3 = 0 then jsonb_build_object('region', 'eu-west-1', 'pages', g % 12) end
       from generate_series(0, ${ARCHIVED_EVENTS - 1}) g`,
      [`${day}T00:00:00Z`],
    );
    let bytes = 0;
    const startedAt = performance.now();
    let seconds = 0;
    await runRetention(pool, {
      hotDays: 30,
      minuteDays: 3_650,
      coldDays: undefined,
      place: coldPlace(pathToFileURL(directory).href),
      onStep(step) {
        if (step.kind !== 'archived') return;
        bytes = step.bytes;
        seconds = (performance.now() - startedAt) / 1_000;
      },
    });
    return { rowsPerSecond: ARCHIVED_EVENTS / seconds, bytesPerEvent: bytes / ARCHIVED_EVENTS };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
