import { CopyEncoder, type InferenceEvent, validateEvent } from '@nowcast/protocol';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { OverloadedError, RefusedRowsError, type Write } from '../src/store/request.ts';
import { event } from './support/events.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { ownLocks } from './support/postgres.ts';
import { CuttableProxy } from './support/proxy.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline.close());

const dayMs = 86_400_000;
const at = (ms: number) => new Date(ms).toISOString();

async function countOf(model: string): Promise<number> {
  const [row] = await pipeline.query<{ n: number }>(
    'select count(*)::int as n from inference_logs where model_version = $1',
    [model],
  );
  return row!.n;
}

async function mismatches(): Promise<unknown[]> {
  return pipeline.query(`select * from nowcast_recompute_check(now() - interval '5 days')`);
}

async function prepared(
  target: Pipeline,
  events: InferenceEvent[],
): Promise<Omit<Write, 'batch' | 'answer'>> {
  await target.ids.reserve(events.length);
  const nowMicros = Date.now() * 1000;
  const rows = events.map((input) => {
    const validation = validateEvent(input, {
      nowMicros,
      oldestMicros: 0,
      newestMicros: nowMicros + dayMs * 1000,
      maxMetadataBytes: 65_536,
      maxMetadataDepth: 16,
      maxMetadataKeys: 1_000,
    });
    if (validation.error !== undefined) throw new Error(validation.error.message);
    return { id: target.ids.take(), event: validation.event, weight: null };
  });
  const encoder = new CopyEncoder();
  for (const { id, event: valid } of rows) encoder.add(id, valid);
  return { rows, copyData: encoder.take(), weighed: false, unkept: [], sender: 'test', losses: [] };
}

describe('a stored text', () => {
  test('comes back byte for byte, whatever stands in it', async () => {
    const text = fc
      .oneof(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
        fc.string({
          unit: fc.constantFrom('\t', '\n', '\r', '\\', '\\N', '\\.', '"', "'", '\u0001', 'é', '😀'),
          minLength: 1,
        }),
      )
      .filter((value) => !value.includes('\0') && Buffer.from(value).toString() === value);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 20 }), async (pairs) => {
        const before = pipeline.committed.length;
        await pipeline.take(
          pairs.map(([message, inner]) =>
            event({
              error_message: message,
              prediction_class: inner,
              metadata: { [inner]: [message, { inner }] },
            }),
          ),
        );
        const ids = pipeline.committed[before]!.rows.map((row) => row.id);
        const rows = await pipeline.query(
          'select error_message, prediction_class, metadata from inference_logs where id = any ($1) order by id',
          [ids],
        );
        expect(rows).toEqual(
          pairs.map(([message, inner]) => ({
            error_message: message,
            prediction_class: inner,
            metadata: { [inner]: [message, { inner }] },
          })),
        );
      }),
      { numRuns: 40 },
    );
  });

  test('keeps microseconds and truncates what is finer, so that no event slips into the next day', async () => {
    const day = at(Date.now() - dayMs).slice(0, 10);
    await pipeline.take([event({ model_version: 'micros', timestamp: `${day}T23:59:59.9999999Z` })]);
    const [row] = await pipeline.query<{ text: string }>(
      `select timestamp::text as text from inference_logs where model_version = 'micros'`,
    );
    expect(row!.text).toBe(`${day} 23:59:59.999999+00`);
    expect(await mismatches()).toEqual([]);
  });
});

describe('the writer', () => {
  test('commits requests that wait together in one transaction, and tells the feed once', async () => {
    const before = pipeline.committed.length;
    await Promise.all(Array.from({ length: 50 }, () => pipeline.take([event({ model_version: 'grouped' })])));
    const groups = pipeline.committed.slice(before);
    expect(groups.length).toBeLessThan(10);
    expect(await countOf('grouped')).toBe(50);
    const [feed] = await pipeline.query<{ rows: number; transactions: number }>(
      'select sum(row_count)::int as rows, count(*)::int as transactions from nowcast.feed where token = any ($1)',
      [groups.map(({ token }) => token)],
    );
    expect(feed).toEqual({ rows: 50, transactions: groups.length });
  });

  test('stores events of several days from one request together, each in its own day', async () => {
    const now = Date.now();
    await pipeline.take(
      [0, 1, 2, 1, 0].map((ago) => event({ model_version: 'spanning', timestamp: at(now - ago * dayMs) })),
    );
    const rows = await pipeline.query<{ n: number }>(
      `select count(*)::int as n from inference_logs where model_version = 'spanning'
       group by tableoid order by min(timestamp)`,
    );
    expect(rows.map(({ n }) => n)).toEqual([1, 2, 2]);
    expect(await mismatches()).toEqual([]);
  });

  test('stores what stands around a request that PostgreSQL refuses', async () => {
    await pipeline.query(`create function refuse_poison() returns trigger language plpgsql as
      $$ begin if new.model_version = 'poison' then raise exception 'no poison here'; end if; return new; end $$`);
    await pipeline.query(
      'create trigger refuse_poison before insert on inference_logs for each row execute function refuse_poison()',
    );
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, index) =>
        pipeline.take([event({ model_version: index === 17 || index === 30 ? 'poison' : 'wholesome' })]),
      ),
    );
    await pipeline.query('drop function refuse_poison() cascade');
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as Error).constructor)).toEqual([
      RefusedRowsError,
      RefusedRowsError,
    ]);
    expect(refused[0]!.reason.message).toContain('no poison here');
    expect(await countOf('wholesome')).toBe(38);
    expect(await countOf('poison')).toBe(0);
    expect(await mismatches()).toEqual([]);
  });

  test('stores a batch with an id once and gives a repeat the first answer', async () => {
    const write = async (id: string, n: number) =>
      pipeline.writer.write({
        ...(await prepared(pipeline, [event({ model_version: 'idempotent' })])),
        batch: { sender: 's', id },
        answer: { n },
      });
    expect(await write('b1', 1)).toEqual({ kind: 'committed' });
    expect(await write('b1', 2)).toEqual({ kind: 'duplicate', answer: { n: 1 } });
    const together = await Promise.all([write('b2', 1), write('b2', 1), write('b3', 1)]);
    expect(together.map(({ kind }) => kind).sort()).toEqual(['committed', 'committed', 'duplicate']);
    expect(await countOf('idempotent')).toBe(3);
  });

  test('lets a batch id that another transaction holds open delay only its own request', async () => {
    const other = new pg.Client({ connectionString: pipeline.url });
    await other.connect();
    await other.query(
      `begin; insert into nowcast.batches (sender, batch_id, answer) values ('s', 'held', '{}')`,
    );
    const order: string[] = [];
    const write = async (id: string | undefined) => {
      await pipeline.writer.write({
        ...(await prepared(pipeline, [event({ model_version: 'beside' })])),
        batch: id === undefined ? undefined : { sender: 's', id },
        answer: { n: 1 },
      });
      order.push(id ?? 'without');
    };
    const held = write('held');
    await Promise.all([write(undefined), write('free'), write(undefined)]);
    await write(undefined);
    expect(order).toHaveLength(4);
    expect(order).not.toContain('held');
    await other.query('rollback');
    await other.end();
    await held;
    expect(await countOf('beside')).toBe(5);
    expect(await mismatches()).toEqual([]);
  });

  test('answers repeats of many stored batches together, whatever stands between them', async () => {
    const write = async (id: string) =>
      pipeline.writer.write({
        ...(await prepared(pipeline, [event({ model_version: 'many repeats' })])),
        batch: { sender: 's', id },
        answer: { id },
      });
    const ids = Array.from({ length: 60 }, (_, index) => `many-${index}`);
    await Promise.all(ids.filter((_, index) => index % 2 === 0).map(write));
    const before = pipeline.committed.length;
    const outcomes = await Promise.all(ids.map(write));
    expect(outcomes.map(({ kind }) => kind)).toEqual(
      ids.map((_, index) => (index % 2 === 0 ? 'duplicate' : 'committed')),
    );
    expect(pipeline.committed.length - before).toBeLessThan(10);
    expect(await countOf('many repeats')).toBe(60);
  });

  test('makes the partition of a late day, also when it was dropped behind its back', async () => {
    const late = Date.now() - 20 * dayMs;
    await pipeline.take([event({ model_version: 'late', timestamp: at(late) })]);
    const day = at(late).slice(0, 10).replaceAll('-', '');
    await pipeline.query(`drop table nowcast.inference_logs_${day}`);
    await pipeline.take([event({ model_version: 'late', timestamp: at(late) })]);
    expect(await countOf('late')).toBe(1);
  });

  test('refuses more than its bound at once and takes again when there is room', async () => {
    const small = await startPipeline({ url: pipeline.url, maxPendingBytes: 20_000 });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, () => small.take([event({ model_version: 'bounded' })])),
    );
    const stored = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(stored).toBeGreaterThan(5);
    expect(stored).toBeLessThan(100);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(OverloadedError);
    }
    expect(await countOf('bounded')).toBe(stored);
    expect(small.writer.pendingBytes).toBe(0);
    await small.take([event({ model_version: 'bounded' })]);
    await small.close();
  });

  test('counts it as no waiting for the database that its own process stood still', async () => {
    let stoodStillMs = 0;
    let looks = 0;
    const nowMs = () => {
      looks += 1;
      return performance.now() + stoodStillMs;
    };
    const still = await startPipeline({ url: pipeline.url, nowMs });
    const blocker = new pg.Client({ connectionString: pipeline.url });
    await blocker.connect();
    await blocker.query('begin; lock table nowcast.summary_partials in access exclusive mode');
    const taken = still.take([event({ model_version: 'suspended' })]);
    await expect
      .poll(() =>
        pipeline.query(
          `select pid from ${ownLocks} where relation = 'nowcast.summary_partials'::regclass and not granted`,
        ),
      )
      .toHaveLength(1);
    stoodStillMs = 60_000;
    const before = looks;
    await expect.poll(() => looks).toBeGreaterThan(before + 2);
    await blocker.query('rollback');
    await blocker.end();
    await taken;
    await still.close();
    expect(await countOf('suspended')).toBe(1);
  });

  test('answers everything it took before it closes', async () => {
    const closing = await startPipeline({ url: pipeline.url });
    await closing.ids.reserve(30);
    const taken = Array.from({ length: 30 }, () => closing.take([event({ model_version: 'closing' })]));
    await new Promise(setImmediate);
    const closed = closing.close();
    await Promise.all(taken);
    await closed;
    expect(await countOf('closing')).toBe(30);
  });
});

describe('after an answer lost at commit', () => {
  let proxy: CuttableProxy;
  let behind: Pipeline;
  beforeAll(async () => {
    proxy = await CuttableProxy.to(pipeline.url);
    behind = await startPipeline({ url: proxy.url });
    await behind.take([event({ model_version: 'warm' })]);
  });
  afterEach(() => {
    proxy.cutBefore = undefined;
  });
  afterAll(async () => {
    await behind.close();
    await proxy.close();
  });

  test('a transaction that did commit is not written again', async () => {
    let cuts = 0;
    proxy.cutBefore = (data) => data.includes('COMMIT\0') && cuts++ === 0;
    await behind.take([event({ model_version: 'lost answer' })]);
    expect(cuts).toBeGreaterThan(0);
    expect(await countOf('lost answer')).toBe(1);
  });

  test('a transaction that did not commit is written once', async () => {
    // A lock on the feed stops the transaction before its COPY; the line is cut while it waits.
    const blocker = new pg.Client({ connectionString: pipeline.url });
    await blocker.connect();
    await blocker.query('begin; lock table nowcast.summary_partials in access exclusive mode');
    const taken = behind.take([event({ model_version: 'unfinished' })]);
    await expect
      .poll(() =>
        pipeline.query(
          `select pid from ${ownLocks} where relation = 'nowcast.summary_partials'::regclass and not granted`,
        ),
      )
      .toHaveLength(1);
    behind.connection.drop();
    await blocker.query('rollback');
    await blocker.end();
    await taken;
    expect(await countOf('unfinished')).toBe(1);
    expect(await mismatches()).toEqual([]);
  });

  test('requests are answered 503 after seconds while the database is away', async () => {
    proxy.refusing = true;
    behind.connection.drop();
    const taken = Array.from({ length: 20 }, () => behind.take([event({ model_version: 'impatient' })]));
    const outcomes = await Promise.allSettled(taken);
    proxy.refusing = false;
    for (const outcome of outcomes) {
      expect(outcome.status === 'rejected' && outcome.reason).toBeInstanceOf(OverloadedError);
    }
    expect(behind.writer.pendingBytes).toBe(0);
    await behind.take([event({ model_version: 'impatient' })]);
    expect(await countOf('impatient')).toBe(1);
  });

  test('requests wait for a database that comes back within seconds', async () => {
    proxy.refusing = true;
    behind.connection.drop();
    const taken = behind.take([event({ model_version: 'patient' })]);
    await new Promise(setImmediate);
    proxy.refusing = false;
    await taken;
    expect(await countOf('patient')).toBe(1);
  });
});
