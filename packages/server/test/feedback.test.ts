import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let pool: pg.Pool;
beforeAll(async () => {
  server = await startTestServer();
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
});
afterAll(async () => {
  await pool.end();
  await server.close();
});

const call = (traceId: string, more = {}) =>
  server.post('/telemetry/inference', {
    model_version: 'm',
    inference_time_ms: 5,
    trace_id: traceId,
    ...more,
  });

async function verdicts(traceId: string) {
  const { rows } = await pool.query(
    'select quality_score, feedback from inference_logs where trace_id = $1 order by id',
    [traceId],
  );
  return rows;
}

describe('POST /telemetry/feedback', () => {
  test('attaches a verdict to every event of its trace and leaves the others alone', async () => {
    await call('t1');
    await call('t1', { quality_score: 0.5 });
    await call('other');
    const answer = await server.post('/telemetry/feedback', { trace_id: 't1', feedback: -1 });
    expect(answer).toEqual({ status: 200, body: { status: 'logged', matched: 2 } });
    expect(await verdicts('t1')).toEqual([
      { quality_score: null, feedback: -1 },
      { quality_score: 0.5, feedback: -1 },
    ]);
    expect(await verdicts('other')).toEqual([{ quality_score: null, feedback: null }]);
  });

  test('reaches the metrics, which then equal the rows', async () => {
    await call('t2', { model_version: 'judged' });
    await server.post('/telemetry/feedback', { trace_id: 't2', quality_score: 0.25 });
    const rowsOf = async (text: string) => (await pool.query(text)).rows;
    await expect
      .poll(() =>
        rowsOf(`select avg_quality from metrics(model_version => 'judged') where avg_quality is not null`),
      )
      .toEqual([{ avg_quality: 0.25 }]);
    await expect.poll(() => rowsOf('select * from nowcast_recompute_check()')).toEqual([]);
  });

  test('waits for an event that comes later, again and again', async () => {
    for (const traceId of ['early', 'early too']) {
      const verdict = { quality_score: 1, feedback: 1 };
      const answer = await server.post('/telemetry/feedback', { trace_id: traceId, ...verdict });
      expect(answer.body).toEqual({ status: 'logged', matched: 0 });
      await call(traceId);
      await expect.poll(() => verdicts(traceId)).toEqual([verdict]);
    }
    const { rows } = await pool.query('select trace_id from nowcast.pending_feedback');
    expect(rows).toEqual([]);
  });

  test('forgets what waited for ten minutes, and takes no more when ten thousand wait', async () => {
    await pool.query(
      `insert into nowcast.pending_feedback (trace_id, received_at)
       select 'old', now() - interval '11 minutes' from generate_series(1, 10000)`,
    );
    const refused = await fetch(`${server.url}/telemetry/feedback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"trace_id":"nobody","feedback":1}',
    });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('60');
    await pool.query('select nowcast.apply_pending_feedback()');
    const answer = await server.post('/telemetry/feedback', { trace_id: 'nobody', feedback: 1 });
    expect(answer.body.matched).toBe(0);
  });

  test('rewrites at most the newest thousand events of a trace', async () => {
    await server.post(
      '/telemetry/inference/batch',
      Array.from({ length: 1_005 }, () => ({
        model_version: 'm',
        inference_time_ms: 1,
        trace_id: 'everywhere',
      })),
    );
    const answer = await server.post('/telemetry/feedback', { trace_id: 'everywhere', feedback: 1 });
    expect(answer.body.matched).toBe(1_000);
  });

  test('finds a trace by its index', async () => {
    const { rows } = await pool
      .query(`set enable_seqscan = off; explain select from inference_logs where trace_id = 't1'`)
      .then((results) => (results as unknown as { rows: Record<string, string>[] }[])[1]!);
    expect(JSON.stringify(rows)).toContain('trace_id_idx');
  });

  test.each([
    ['no trace', { feedback: 1 }, 'trace_id', 'got null'],
    ['a trace that is no text', { trace_id: 7, feedback: 1 }, 'trace_id', 'got a number'],
    ['neither verdict', { trace_id: 't' }, 'quality_score', 'got neither'],
    [
      'a quality above 1',
      { trace_id: 't', quality_score: 5 },
      'quality_score',
      'from 0 to 1, got the number 5',
    ],
    ['half a thumb', { trace_id: 't', feedback: 0.5 }, 'feedback', '-1, 0 or 1'],
    ['a list', [], '', 'an array'],
  ])('answers 400 to %s, naming field and rule', async (_what, body, field, rule) => {
    const answer = await server.post('/telemetry/feedback', body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'invalid_feedback', field });
    expect(answer.body.message).toContain(rule);
  });
});
