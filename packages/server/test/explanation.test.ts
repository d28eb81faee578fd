import type { InferenceEvent } from '@nowcast/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { daysOf, tellAll } from '../../../bench/src/detect/explained.ts';
import { errorPattern } from '../src/alert/explain/errorPattern.ts';
import { explain, type Question } from '../src/alert/explanation.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline.close());

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

/** Twenty-four of the hundreds that `npm run bench:detect` asks about. */
const planted = Array.from({ length: 24 }, (_, i) => ({
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
  }, 60_000);

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
