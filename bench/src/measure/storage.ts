/**
 * Bytes that an event takes with its indexes and its share of the summaries, and in the archive, beside the article's table
 * with its four indexes: the same events in both.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { archiveDay } from 'nowcast/dist/history/cold/archive.js';
import { coldPlace } from 'nowcast/dist/history/cold/place.js';
import { diagnose } from 'nowcast/dist/history/doctor.js';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Bench } from '../bench.ts';
import { COPY_COLUMNS, copyLine, makeEvents } from '../events.ts';
import { compare, isMissing, type Missing, type Row } from '../row.ts';
import { withClient } from '../side/database.ts';
import { startNowcast } from '../side/nowcast.ts';
import type { Measurement } from './measurement.ts';

const DAY_EVENTS = 1_000_000;
/** More than a row group of Parquet holds, so that none of it repeats itself. */
const DISTINCT_EVENTS = 200_000;
/** An hour of a day of ten million events over 50 models by 5 features. */
const WIDE_HOUR_EVENTS = 416_000;
const WIDE_MODELS = 50;
const WIDE_FEATURES = 5;
const DAYS_BACK = 2;
const HOT_DAYS = 30;
const ARTICLE_SCHEMA = fileURLToPath(new URL('../../article/schema.sql', import.meta.url));

export const storage: Measurement = {
  name: 'storage',
  title: 'stored bytes an event, indexes and summaries included',
  slow: true,
  run,
};

async function run(bench: Bench): Promise<Row[]> {
  const article = await articleBytes(await bench.postgres.createDatabase('bench_storage_article'));
  const ours = await ourBytes(bench);
  const row = (what: string, pick: (sizes: Sizes) => number, atMost: number) =>
    compare({
      what,
      unit: 'bytes/event',
      ours: isMissing(ours) ? ours : [ours],
      ourFigure: pick,
      against: "the article's table and indexes",
      theirs: [article],
      theirFigure: (bytes) => bytes,
      target: { atMost },
    });
  return [
    row('rows, indexes and summaries, 5 models', ({ rows, summaries }) => rows + summaries, 0.75),
    row('the same, 50 models x 5 features', ({ rows, wideSummaries }) => rows + wideSummaries, 0.75),
    row('Parquet', ({ parquet }) => parquet, 0.1),
  ];
}

/** Bytes an event. */
interface Sizes {
  readonly rows: number;
  readonly summaries: number;
  readonly wideSummaries: number;
  readonly parquet: number;
}

async function articleBytes(databaseUrl: string): Promise<number> {
  return await withClient(databaseUrl, async (client) => {
    await client.query(readFileSync(ARTICLE_SCHEMA, 'utf8'));
    // It raises alerts and stores nothing of the event.
    await client.query('ALTER TABLE inference_logs DISABLE TRIGGER USER');
    await fill(client, 'inference_logs');
    await client.query('VACUUM ANALYZE inference_logs');
    const { rows } = await client.query<{ bytes: string }>(
      `SELECT pg_total_relation_size('inference_logs') AS bytes`,
    );
    return Number(rows[0]!.bytes) / DAY_EVENTS;
  });
}

async function ourBytes(bench: Bench): Promise<Sizes | Missing> {
  const narrow = await migrated(bench, 'bench_storage');
  if (isMissing(narrow)) return narrow;
  const wide = await migrated(bench, 'bench_storage_wide');
  if (isMissing(wide)) return wide;
  const { day, relation } = pastDay();
  const pool = new pg.Pool({ connectionString: narrow.databaseUrl, max: 1 });
  const directory = await mkdtemp(join(tmpdir(), 'nowcast-bench-storage-'));
  try {
    await withClient(narrow.databaseUrl, async (client) => {
      await client.query('SELECT nowcast.create_partition($1)', [day]);
      await fill(client, relation);
      await summarise(client, day);
    });
    const { events } = await diagnose(pool, HOT_DAYS);
    const client = await pool.connect();
    const archived = await archiveDay(
      client,
      coldPlace(pathToFileURL(directory).href),
      day,
      relation,
    ).finally(() => client.release());
    return {
      rows: events.row_bytes / DAY_EVENTS,
      summaries: events.summary_bytes / DAY_EVENTS,
      wideSummaries: await wideSummaries(wide.databaseUrl),
      parquet: archived.bytes / archived.rows,
    };
  } finally {
    await pool.end();
    await rm(directory, { recursive: true, force: true });
  }
}

/** What summaries of many keys take: every key busy in every minute of the hour. */
async function wideSummaries(databaseUrl: string): Promise<number> {
  const { day, relation } = pastDay();
  await withClient(databaseUrl, async (client) => {
    await client.query('SELECT nowcast.create_partition($1)', [day]);
    await client.query(
      `INSERT INTO ${relation} (timestamp, model_version, feature, inference_time_ms, confidence_score, is_error)
       SELECT $1::timestamptz + interval '1 hour' * (g / $2::float8), 'model-' || g % ${WIDE_MODELS},
         'feature-' || g / ${WIDE_MODELS} % ${WIDE_FEATURES},
         exp(4.5 + 0.45 * (random() + random() + random() + random() - 2) * 1.7), 0.4 + 0.6 * sqrt(random()), g % 100 = 0
       FROM generate_series(0, $2::integer - 1) g`,
      [`${day}T00:00:00Z`, WIDE_HOUR_EVENTS],
    );
    await summarise(client, day);
  });
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  try {
    return (await diagnose(pool, HOT_DAYS)).events.summary_bytes / WIDE_HOUR_EVENTS;
  } finally {
    await pool.end();
  }
}

/** With the schema, and no server that would compact beside. */
async function migrated(bench: Bench, name: string): Promise<{ databaseUrl: string } | Missing> {
  const databaseUrl = await bench.postgres.createDatabase(name);
  const server = await startNowcast({ databaseUrl }, { inspect: false });
  if (isMissing(server)) return server;
  await server.stop();
  return { databaseUrl };
}

function pastDay(): { day: string; relation: string } {
  const day = new Date(Date.now() - DAYS_BACK * 86_400_000).toISOString().slice(0, 10);
  return { day, relation: `nowcast.inference_logs_${day.replaceAll('-', '')}` };
}

/** A day's events in order of time, each of the distinct ones as often as the others. */
async function fill(client: pg.Client, relation: string): Promise<void> {
  const [, ...columns] = COPY_COLUMNS;
  await client.query(
    `CREATE TEMP TABLE distinct_events AS
     SELECT 0 AS n, timestamp, ${columns.join(', ')} FROM inference_logs WHERE false`,
  );
  const events = makeEvents({ count: DISTINCT_EVENTS, seed: 9, firstAtMs: null });
  const copy = client.query(copyFrom(`COPY distinct_events (n, ${COPY_COLUMNS.join(', ')}) FROM STDIN`));
  for (const [n, event] of events.entries()) {
    if (!copy.write(`${n}\t${copyLine(event)}`)) await once(copy, 'drain');
  }
  copy.end();
  await once(copy, 'finish');
  await client.query(
    `INSERT INTO ${relation} (timestamp, ${columns.join(', ')})
     SELECT $1::timestamptz + interval '1 day' * ((g * $2::float8 + n) / $3::float8), ${columns.join(', ')}
     FROM generate_series(0, $3::integer / $2::integer - 1) g, distinct_events ORDER BY 1`,
    [`${pastDay().day}T00:00:00Z`, DISTINCT_EVENTS, DAY_EVENTS],
  );
}

/** As the compactor leaves a past day. */
async function summarise(client: pg.Client, day: string): Promise<void> {
  await client.query(
    `INSERT INTO nowcast.summary_partials
     SELECT * FROM nowcast.summaries_of_rows($1::timestamptz, $1::timestamptz + interval '1 day')`,
    [`${day}T00:00:00Z`],
  );
  for (let taken = 1; taken > 0; ) {
    const { rows } = await client.query<{ taken: number }>('SELECT nowcast.compact() AS taken');
    taken = rows[0]!.taken;
  }
  await client.query('VACUUM ANALYZE');
}
