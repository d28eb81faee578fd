/**
 * History for the query measurement: five million events, a million of them in the last hour, over 30 models and
 * 5 features. Rows are made by PostgreSQL itself, straight into the partitions, and summarised by Nowcast's own
 * functions afterwards: through the front door it would take ten times as long.
 */
import type pg from 'pg';
import { WIDE_FEATURES, WIDE_MODELS } from './events.ts';
import { withClient } from './side/database.ts';

const LAST_HOUR_EVENTS = 1_000_000;
const EARLIER_EVENTS = 4_000_000;
const EARLIER_HOURS = 4;
const CONNECTIONS = 2;
const HOUR_MS = 3_600_000;

const INSERT = `
  INSERT INTO %TABLE% (timestamp, model_version, inference_time_ms, confidence_score, input_size_bytes,
    prediction_class, is_error, error_message, metadata, feature)
  SELECT $1::timestamptz + ($2::timestamptz - $1::timestamptz) * (g / $3::float8),
    ($4::text[])[1 + g % 30],
    exp(4.5 + 0.45 * (random() + random() + random() + random() - 2) * 1.7),
    0.4 + 0.6 * sqrt(random()), (2000 + random() * 900000)::integer,
    'class-' || g % 8, g % 100 = 0, CASE WHEN g % 100 = 0 THEN 'upstream timed out after 4000 ms' END,
    CASE WHEN g % 3 = 0 THEN jsonb_build_object('region', 'eu-west-1', 'pages', g % 12) END,
    ($5::text[])[1 + g / 30 % 5]
  FROM generate_series(0, $3::integer - 1) g`;

/** Expects a database that Nowcast has migrated and that no server uses yet. Returns the number of events. */
export async function seedHistory(databaseUrl: string): Promise<number> {
  const nowMs = Date.now();
  const hours = Array.from({ length: EARLIER_HOURS + 1 }, (_, back) => back);
  const work = () =>
    withClient(databaseUrl, async (client) => {
      // Tables this new have no statistics yet, and a planner that takes them for empty joins row by row.
      await client.query("SET enable_nestloop = off; SET work_mem = '256MB'");
      for (let back = hours.shift(); back !== undefined; back = hours.shift()) {
        const events = back === 0 ? LAST_HOUR_EVENTS : EARLIER_EVENTS / EARLIER_HOURS;
        await seedRange(client, nowMs - (back + 1) * HOUR_MS, nowMs - back * HOUR_MS, events);
      }
    });
  // The last hour, which is the longest work, comes first, so that both end at about the same time.
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  await withClient(databaseUrl, async (client) => {
    for (let taken = 1; taken > 0; ) {
      const { rows } = await client.query<{ taken: number }>('SELECT nowcast.compact() AS taken');
      taken = rows[0]!.taken;
    }
    await client.query('VACUUM ANALYZE');
  });
  return LAST_HOUR_EVENTS + EARLIER_EVENTS;
}

/** Splits at midnight, because each day has a partition of its own. */
async function seedRange(client: pg.Client, fromMs: number, toMs: number, events: number): Promise<void> {
  const midnight = Math.floor(toMs / 86_400_000) * 86_400_000;
  if (midnight > fromMs && midnight < toMs) {
    const before = Math.round((events * (midnight - fromMs)) / (toMs - fromMs));
    await seedRange(client, fromMs, midnight, before);
    await seedRange(client, midnight, toMs, events - before);
    return;
  }
  if (events <= 0) return;
  const day = new Date(fromMs).toISOString().slice(0, 10);
  const [from, to] = [new Date(fromMs).toISOString(), new Date(toMs).toISOString()];
  await client.query('SELECT nowcast.create_partition($1)', [day]);
  const table = `nowcast.inference_logs_${day.replaceAll('-', '')}`;
  await client.query(INSERT.replace('%TABLE%', table), [from, to, events, WIDE_MODELS, WIDE_FEATURES]);
  await client.query('INSERT INTO nowcast.summary_partials SELECT * FROM nowcast.summaries_of_rows($1, $2)', [
    from,
    to,
  ]);
}
