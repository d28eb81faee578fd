import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let pool: pg.Pool;
/** A day's end, so that days are told apart, two days ago. */
const dayMs = 86_400_000;
const midnight = Math.floor(Date.now() / dayMs) * dayMs - dayMs;
const at = (minutesAfterMidnight: number) => new Date(midnight + minutesAfterMidnight * 60_000).toISOString();

beforeAll(async () => {
  server = await startTestServer();
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
  const events = [];
  // Over four hours around midnight, every ten seconds; odd ones have no price.
  for (let index = 0; index < 1_440; index += 1) {
    events.push({
      model_version: index % 3 === 0 ? 'large' : 'small',
      inference_time_ms: 10,
      timestamp: at(-120 + index / 6),
      feature: index % 4 === 0 ? 'search' : null,
      variant: index % 5 === 0 ? 'b' : 'a',
      user_id: `user ${index % 7}`,
      provider: index % 2 === 0 ? 'openai' : 'in-house',
      input_tokens: 100,
      output_tokens: 10,
      ...(index % 2 === 0 ? { cost_usd: 0.25 } : {}),
    });
  }
  const { body } = await server.post('/telemetry/inference/batch', events);
  expect(body.accepted).toBe(1_440);
});
afterAll(async () => {
  await pool.end();
  await server.close();
});

const groups = {
  model_version: 'model_version',
  feature: 'feature',
  variant: 'variant',
  user_id: 'user_id',
  provider: 'provider',
  day: `to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD')`,
};

test.each(Object.entries(groups))('cost_report by %s equals the rows', async (groupBy, expression) => {
  // Ranges that begin and end within an hour, within one hour, on hours, and around everything.
  for (const [from, to] of [
    [-97, 63],
    [7, 12],
    [-60, 60],
    [-500, 500],
    [600, 700],
  ] as const) {
    const { rows: reported } = await pool.query('select * from cost_report($1, $2, $3)', [
      at(from),
      at(to),
      groupBy,
    ]);
    const { rows: expected } = await pool.query(
      `select ${expression} as group_key, sum(cost_usd) as cost_usd, count(*) as requests,
         count(cost_usd) as priced_requests, count(*) - count(cost_usd) as unpriced_requests,
         sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens
       from inference_logs where timestamp >= $1 and timestamp < $2
       group by 1 order by 2 desc nulls last, 3 desc, 1`,
      [at(from), at(to)],
    );
    expect(reported).toEqual(expected);
  }
});

test('an event is in every group however far its summary has come: appended, gathered, compacted', async () => {
  const client = await pool.connect();
  try {
    // The server's own compactor waits meanwhile.
    await client.query('begin; select pg_advisory_xact_lock(nowcast.compaction_lock())');
    await client.query(
      `insert into inference_logs (timestamp, model_version, inference_time_ms, feature, variant, cost_usd)
       values ($1, 'on its way', 1, 'on its way', 'on its way', 3)`,
      [at(2_000)],
    );
    for (const step of ['select 1', 'select nowcast.gather()', 'select nowcast.compact()']) {
      await client.query(step);
      for (const groupBy of ['model_version', 'feature', 'variant']) {
        const { rows } = await client.query('select * from cost_report($1, $2, $3)', [
          at(2_000),
          at(2_001),
          groupBy,
        ]);
        expect(rows, `${groupBy} after ${step}`).toMatchObject([{ group_key: 'on its way', cost_usd: 3 }]);
      }
    }
  } finally {
    await client.query('rollback');
    client.release();
  }
});

test('cost_report refuses to group by anything else, naming what it knows', async () => {
  await expect(pool.query(`select * from cost_report(group_by => 'color')`)).rejects.toThrow(
    'group_by must be model_version, feature, variant, user_id, provider or day, got color',
  );
});

test('cost_report answers over REST, by its defaults too', async () => {
  const answer = await server.post('/rest/v1/rpc/cost_report', { group_by: 'provider', since: at(-500) });
  expect(answer.status).toBe(200);
  expect(answer.body[0]).toMatchObject({ group_key: 'openai', cost_usd: 180, unpriced_requests: 0 });
  expect((await server.post('/rest/v1/rpc/cost_report', {})).status).toBe(200);
});
