import type { InferenceEvent } from '@nowcast/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { daysOf, tellAll } from '../../../bench/src/detect/explained.ts';
import { errorPattern } from '../src/alert/explain/errorPattern.ts';
import { explain as explainInTime, type Question } from '../src/alert/explanation.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline.close());

/** As the server's, which gives up earlier what a busy machine is slow to read. */
const explain: typeof explainInTime = (db, question) =>
  explainInTime(db, question, { statementMs: 60_000, totalMs: 120_000 });

const minuteMs = 60_000;
/** A full minute, so that nothing depends on the second in which the test runs. */
const nowMs = Math.floor(Date.now() / minuteMs) * minuteMs;
const users = ['ada', 'bo', 'cy', 'di', 'eve'];
const features = ['chat', 'search', 'receipts'];

interface Seeded {
  readonly model: string;
  /** Changes the events of the incident, which lasts ten minutes. */
  readonly spoil: (event: InferenceEvent, index: number) => InferenceEvent;
  readonly usual?: (event: InferenceEvent, index: number) => InferenceEvent;
}

/** An hour of quiet traffic of one model, then the incident: five events a second of ten minutes. */
async function seed({ model, spoil, usual = (event) => event }: Seeded): Promise<void> {
  const events: InferenceEvent[] = [];
  const add = (sinceMs: number, untilMs: number, stepMs: number, change: Seeded['spoil']) => {
    for (let atMs = sinceMs; atMs < untilMs; atMs += stepMs) {
      const i = events.length;
      const plain: InferenceEvent = {
        timestamp: new Date(atMs).toISOString(),
        model_version: model,
        // Nothing moves in step with anything else.
        feature: features[(i * 7 + Math.floor(i / 11)) % 3]!,
        user_id: users[(i * 3 + Math.floor(i / 7)) % 5]!,
        inference_time_ms: 100 + ((i * 37) % 50),
        confidence_score: 0.8 + ((i * 13) % 20) / 100,
        ...(i % 100 === 0 ? { is_error: true, error_message: `timed out after ${i} ms` } : {}),
      };
      events.push(change(plain, i));
    }
  };
  add(nowMs - 70 * minuteMs, nowMs - 10 * minuteMs, 1000, usual);
  add(nowMs - 10 * minuteMs, nowMs, 500, spoil);
  for (let i = 0; i < events.length; i += 2000) await pipeline.take(events.slice(i, i + 2000));
  await pipeline.query('select nowcast.compact()');
}

function question(model: string, change: Partial<Question> = {}): Question {
  return {
    metric: 'error_rate',
    labels: { model_version: model },
    since: new Date(nowMs - 10 * minuteMs),
    until: new Date(nowMs),
    baselineSince: new Date(nowMs - 70 * minuteMs),
    baselineUntil: new Date(nowMs - 10 * minuteMs),
    ...change,
  };
}

const failing = (event: InferenceEvent, message: string): InferenceEvent => ({
  ...event,
  is_error: true,
  error_message: message,
});

/** Sixteen of the hundreds that `npm run bench:detect` asks about. */
const planted = Array.from({ length: 16 }, (_, i) => ({
  seed: 1 + Math.floor(i / 2),
  isPlanted: i % 2 === 0,
}));

describe('explain', () => {
  test('finds the cause of seeded incidents of every kind, and none where there is none', async () => {
    const other = await startPipeline();
    try {
      await other.partitions.ensureAround(Date.now() * 1000, daysOf(planted.length));
      const wrong: unknown[] = [];
      for await (const { seed, incident, explanation, isRight } of tellAll(
        other.pool,
        explain,
        planted,
        nowMs,
      )) {
        if (!isRight) wrong.push({ seed, about: incident.about, told: explanation.cause_sentence });
      }
      expect(wrong).toEqual([]);
    } finally {
      await other.close();
    }
  }, 300_000);

  test('names the feature that the errors come from, its text, and three of its events', async () => {
    await seed({
      model: 'by-feature',
      spoil: (event, i) =>
        event.feature === 'search' && i % 2 === 0 ? failing(event, `upstream ${i} refused with 503`) : event,
    });
    const explanation = await explain(pipeline.pool, question('by-feature'));
    expect(explanation.causes.map(({ dimension, value }) => [dimension, value])).toEqual([
      ['feature', 'search'],
      ['error_message', 'upstream … refused with 503'],
    ]);
    expect(explanation.causes[0]!.share).toBeGreaterThan(0.95);
    expect(explanation.value).toBeGreaterThan(10);
    expect(explanation.baseline).toBeCloseTo(1, 0);
    expect(explanation.sentence).toMatch(
      /^Error rate of by-feature is 1\d % instead of 1 % \(1\d.* times\) since/,
    );
    expect(explanation.cause_sentence).toMatch(
      /of the additional errors come from feature search, which has 3\d % of the traffic: 5\d % of its calls fail, 0.\d+ % before/,
    );
    expect(explanation.examples).toHaveLength(3);
    for (const example of explanation.examples) {
      expect(example).toMatchObject({ feature: 'search', is_error: true, model_version: 'by-feature' });
    }
  });

  test('says that nothing explains it when all fail alike', async () => {
    await seed({
      model: 'alike',
      spoil: (event, i) => (i % 5 < 2 ? failing(event, `timed out after ${i} ms`) : event),
    });
    const explanation = await explain(pipeline.pool, question('alike'));
    expect(explanation.causes).toEqual([]);
    expect(explanation.cause_sentence).toBe(
      'No single feature or user explains most of it: it is much the same everywhere.',
    );
    expect(explanation.examples).toHaveLength(3);
  });

  test('names the user whose calls became slow, in an incident of seconds', async () => {
    await seed({
      model: 'by-user',
      spoil: (event) => (event.user_id === 'eve' ? { ...event, inference_time_ms: 900 } : event),
    });
    const explanation = await explain(
      pipeline.pool,
      question('by-user', { metric: 'latency', until: new Date(nowMs - 9 * minuteMs) }),
    );
    expect(explanation).toMatchObject({ metric: 'latency', unit: 'ms', value: 900 });
    expect(explanation.baseline).toBeGreaterThan(140);
    expect(explanation.baseline).toBeLessThan(152);
    expect(explanation.causes).toMatchObject([{ dimension: 'user_id', value: 'eve' }]);
    expect(explanation.cause_sentence).toMatch(
      /^100 % of the additional slow calls come from user eve, which has (19|20) % of the traffic: 100 % of its calls are slow, \d(\.\d+)? % before\.$/,
    );
    expect(explanation.examples.map(({ user_id }) => user_id)).toEqual(['eve', 'eve', 'eve']);
  });

  test('counts sampled rows by what they stand for', async () => {
    await seed({
      model: 'sampled',
      spoil: (event) => (event.feature === 'chat' ? { ...event, confidence_score: 0.3 } : event),
    });
    // As a server that keeps every tenth would have left them.
    const client = await pipeline.pool.connect();
    try {
      await client.query('begin');
      await client.query(
        `update inference_logs set sample_weight = 50 where model_version = 'sampled' and user_id = 'bo' and id % 2 = 0`,
      );
      const { causes } = await explain(
        client,
        question('sampled', { metric: 'confidence', labels: { model_version: 'sampled', feature: 'chat' } }),
      );
      // Bo weighs as much as all others together by now, and changed no more than they did.
      expect(causes).toEqual([]);
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  test('tells of a version that was first seen just before', async () => {
    await seed({
      model: 'old-model',
      usual: (event) => ({ ...event, feature: 'agent' }),
      spoil: (event, i) => ({
        ...(i % 3 === 0 ? { ...failing(event, 'no such tool'), model_version: 'new-model' } : event),
        feature: 'agent',
      }),
    });
    const explanation = await explain(pipeline.pool, question('', { labels: { feature: 'agent' } }));
    expect(explanation.causes[0]).toMatchObject({ dimension: 'model_version', value: 'new-model' });
    expect(explanation.deployed).toContainEqual({
      what: 'model_version',
      value: 'new-model',
      first_seen_at: new Date(nowMs - 10 * minuteMs).toISOString(),
    });
    expect(explanation.cause_sentence).toContain('new-model, first seen at');
    expect(explanation.cause_sentence).toContain('it was not there before');
    expect(explanation.deployed).not.toContainEqual(expect.objectContaining({ value: 'old-model' }));
  });

  test('where all traffic is new, tells of the model that came after the first one', async () => {
    const young = await startPipeline();
    try {
      const eventAt = (minutesAgo: number, model: string): InferenceEvent => ({
        timestamp: new Date(nowMs - minutesAgo * minuteMs).toISOString(),
        model_version: model,
        feature: minutesAgo < 4 ? 'rare' : 'chat',
        inference_time_ms: 100,
      });
      await young.take([
        eventAt(6, 'v1'),
        eventAt(5, 'v1'),
        eventAt(3, 'v1'),
        eventAt(3, 'v2'),
        eventAt(2, 'v2'),
      ]);
      const explanation = await explain(
        young.pool,
        question('', { labels: {}, since: new Date(nowMs - 2 * minuteMs) }),
      );
      expect(explanation.deployed).toEqual([
        { what: 'model_version', value: 'v2', first_seen_at: new Date(nowMs - 3 * minuteMs).toISOString() },
      ]);
    } finally {
      await young.close();
    }
  });

  test('names the client that sends no more', async () => {
    await pipeline.query(
      `insert into nowcast.loss_minutes (minute, sender, fate, reason, events)
       select $1::timestamptz - make_interval(mins => m), c, 'stored', '', 100
       from generate_series(1, 70) m, unnest(array['web', 'batch', 'phone']) c
       where not (c = 'batch' and m <= 10)
       on conflict do nothing`,
      [new Date(nowMs)],
    );
    const explanation = await explain(pipeline.pool, question('', { metric: 'traffic', labels: {} }));
    const cause = explanation.causes.find(({ dimension }) => dimension === 'client');
    expect(cause).toMatchObject({ value: 'batch', share: 1 });
    expect(cause!.sentence).toMatch(
      /is due to client batch: 0 requests a minute instead of 100 requests a minute\.$/,
    );
  });

  test('leaves out what takes too long, and says so', async () => {
    const other = await pipeline.pool.connect();
    try {
      await other.query('begin; lock table nowcast.minute_summaries in access exclusive mode');
      const explanation = await explainInTime(pipeline.pool, question('by-feature'));
      expect(explanation).toMatchObject({ value: null, causes: [] });
      expect(explanation.sentence).toContain('the figures took too long to read');
      expect(explanation.cause_sentence).toMatch(/Not looked at, since it took too long: summaries/);
    } finally {
      await other.query('rollback');
      other.release();
    }
  });

  test('refuses windows that end before they begin', async () => {
    const backwards = question('alike', { until: new Date(nowMs - 20 * minuteMs) });
    await expect(explain(pipeline.pool, backwards)).rejects.toThrow('until must be later than since');
  });

  test.each([
    ['timed out after 500 ms', 'timed out after … ms'],
    ['429 rate limit reached', '429 rate limit reached'],
    ['request 7f3a8c2e-1111-2222-3333-444455556666: HTTP 503', 'request …: HTTP 503'],
    ['req_ab12cd34ef: 4,096.5 of 400 tokens', '…: … of … tokens'],
    ['connect ECONNREFUSED 10.0.0.1:5432', 'connect ECONNREFUSED …'],
    ['error 12 in gpt-4o', 'error … in gpt-…o'],
  ])('takes from the text of an error what differs from call to call: %s', (text, pattern) => {
    expect(errorPattern(text)).toBe(pattern);
  });

  test('leaves an open transaction of the caller as it was', async () => {
    const client = await pipeline.pool.connect();
    try {
      await client.query(
        `begin; create temporary table kept (n int) on commit drop; insert into kept values (1)`,
      );
      await explain(client, question('alike'));
      expect((await client.query('select n from kept')).rows).toEqual([{ n: 1 }]);
      expect((await client.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '0' }]);
    } finally {
      await client.query('rollback');
      client.release();
    }
  });
});
