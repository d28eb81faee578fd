/**
 * What the past costs: closing a day of ten million events whose last hour nobody has compacted, reading a year, and
 * archiving a million rows, alone and beside ingest.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { archiveDay } from 'nowcast/dist/history/cold/archive.js';
import { coldPlace } from 'nowcast/dist/history/cold/place.js';
import { closePeriods } from 'nowcast/dist/history/etl.js';
import pg from 'pg';
import type { Bench } from '../bench.ts';
import type { ArchiveLoad, ArchiveLoadResult } from '../load/archive-load.ts';
import { BareQuery } from '../load/bare-query.ts';
import type { HttpLoadResult } from '../load/http-load.ts';
import { alone, compare, isMissing, type Row } from '../row.ts';
import { startNowcast } from '../side/nowcast.ts';
import { alternate, type Measurement } from './measurement.ts';
import { singlePosts } from './single.ts';

const DAY_EVENTS = 10_000_000;
const MODELS = 50;
const FEATURES = 5;
const ARCHIVED_EVENTS = 1_000_000;
/** Beside ingest a smaller day, again and again, so that turns hold all that archiving does. */
const ARCHIVED_BESIDE = 50_000;
const POSTS_PER_SECOND = 2_000;
const ARCHIVE_LIMIT_MS = 180_000;

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
    const archived = await archive(pool, Math.min(bench.plan.rounds, 3));
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
        ours: archived.rowsPerSecond,
        target: { atLeast: 200_000 },
      }),
      alone({ what: 'Parquet', unit: 'bytes/event', ours: [archived.bytesPerEvent] }),
      ...(await besideIngest(bench)),
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

async function archive(
  pool: pg.Pool,
  rounds: number,
): Promise<{ rowsPerSecond: number[]; bytesPerEvent: number }> {
  const directory = await mkdtemp(join(tmpdir(), 'nowcast-bench-archive-'));
  const client = await pool.connect();
  try {
    const { day, relation } = await seedDayBefore(pool, 40, ARCHIVED_EVENTS);
    const place = coldPlace(pathToFileURL(directory).href);
    const rowsPerSecond: number[] = [];
    let bytesPerEvent = 0;
    for (let round = 0; round < rounds; round += 1) {
      const startedAt = performance.now();
      const { rows, bytes } = await archiveDay(client, place, day, relation);
      rowsPerSecond.push((rows / (performance.now() - startedAt)) * 1_000);
      bytesPerEvent = bytes / rows;
    }
    return { rowsPerSecond, bytesPerEvent };
  } finally {
    client.release();
    await rm(directory, { recursive: true, force: true });
  }
}

/** @returns the day and its table */
async function seedDayBefore(
  pool: pg.Pool,
  daysBack: number,
  events: number,
): Promise<{ day: string; relation: string }> {
  const day = new Date(Date.now() - daysBack * 86_400_000).toISOString().slice(0, 10);
  const relation = `nowcast.inference_logs_${day.replaceAll('-', '')}`;
  await pool.query('select nowcast.create_partition($1)', [day]);
  await pool.query(
    `insert into ${relation} (timestamp, model_version, inference_time_ms,
       confidence_score, input_size_bytes, prediction_class, is_error, error_message, metadata)
     select $1::timestamptz + interval '1 day' * (g / $2::float8), 'model-' || g % 5,
       exp(4.5 + 0.45 * (random() + random() + random() + random() - 2) * 1.7), 0.4 + 0.6 * sqrt(random()),
       (2000 + random() * 900000)::integer, 'class-' || g % 8, g % 100 = 0,
       case when g % 100 = 0 then 'upstream timed out after 4000 ms' end,
       case when g % 3 = 0 then jsonb_build_object('region', 'eu-west-1', 'pages', g % 12) end
     from generate_series(0, $2::integer - 1) g`,
    [`${day}T00:00:00Z`, events],
  );
  // As autovacuum leaves a day that is over.
  await pool.query(`vacuum analyze ${relation}`);
  return { day, relation };
}

/** What archiving gently, as each night, does to single POSTs, and they to it. */
async function besideIngest(bench: Bench): Promise<Row[]> {
  const databaseUrl = await bench.postgres.createDatabase('bench_archive');
  const nowcast = await startNowcast({ databaseUrl }, { inspect: false });
  if (isMissing(nowcast)) return [alone({ what: 'archiving beside ingest', unit: '', ours: nowcast })];
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  const directory = await mkdtemp(join(tmpdir(), 'nowcast-bench-archive-'));
  try {
    // Inside the hot window: the server that runs beside leaves it alone.
    const { day, relation } = await seedDayBefore(pool, 10, ARCHIVED_BESIDE);
    bench.expectStored(databaseUrl, ARCHIVED_BESIDE);
    const archiving = async <Result>(use: (pid: number) => Promise<Result>) => {
      const spec: ArchiveLoad = { databaseUrl, coldUrl: pathToFileURL(directory).href, day, relation };
      const task = bench.companion<ArchiveLoad, ArchiveLoadResult>('archive-load', spec, ARCHIVE_LIMIT_MS, {
        givesWay: true,
      });
      await task.ready;
      const result = await use(task.pid);
      task.tell({ kind: 'stop' });
      return { result, rows: (await task.result).rows };
    };
    const idle = await archiving(() => delay(bench.plan.measureMs));
    // Many short turns: a stall of a shared machine spoils one of them, and leaves their median alone.
    const load = {
      ...singlePosts(bench),
      requestsPerSecond: POSTS_PER_SECOND,
      warmUpMs: bench.plan.warmUpMs / 3,
      measureMs: bench.plan.measureMs / 2,
    };
    let besideMs = 0;
    const turns = await archiving(async (pid) => {
      process.kill(pid, 'SIGSTOP');
      return await alternate<{ without: HttpLoadResult; beside: HttpLoadResult }>(2 * bench.plan.rounds, {
        without: () => bench.http('history: no archive', nowcast, load),
        beside: async () => {
          process.kill(pid, 'SIGCONT');
          const startedAt = performance.now();
          const result = await bench.http('history: beside an archive', nowcast, load);
          besideMs += performance.now() - startedAt;
          process.kill(pid, 'SIGSTOP');
          return result;
        },
      }).finally(() => process.kill(pid, 'SIGCONT'));
    });
    const { beside, without } = turns.result;
    const paced = `${POSTS_PER_SECOND.toLocaleString('en')} single POSTs/s`;
    const sides = { ours: beside, against: 'no archive', theirs: without };
    const p50 = ({ p50Ms }: HttpLoadResult) => p50Ms;
    const p99 = ({ p99Ms }: HttpLoadResult) => p99Ms;
    return [
      compare({
        ...sides,
        what: `${paced} beside an archive at each night's pace: p50`,
        unit: 'ms',
        ourFigure: p50,
        theirFigure: p50,
      }),
      compare({
        ...sides,
        what: `${paced} beside an archive at each night's pace: p99`,
        unit: 'ms',
        ourFigure: p99,
        theirFigure: p99,
        target: { atMost: 1.2 },
      }),
      alone({
        what: `archiving at each night's pace beside ${paced}`,
        unit: 'rows/s',
        ours: [(turns.rows / besideMs) * 1_000],
      }),
      alone({
        what: `archiving at each night's pace while no events come`,
        unit: 'rows/s',
        ours: [(idle.rows / bench.plan.measureMs) * 1_000],
      }),
    ];
  } finally {
    await pool.end();
    await nowcast.stop();
    await rm(directory, { recursive: true, force: true });
  }
}
