import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Coalescer, type CoalescerLimits } from '../src/deliver/rest/coalesce.ts';
import { Limiter } from '../src/deliver/rest/limiter.ts';
import { type ReadIdentity, ReadQueue, readKey } from '../src/deliver/rest/readQueue.ts';
import { type RestServer, startRest } from './restFixture.ts';
import { ownLocks } from './support/postgres.ts';

const LIMITS: CoalescerLimits = { minIntervalMs: 100, maxRunning: 2, maxKeys: 3, maxWaiting: 6 };

describe('the coalescer', () => {
  it('starts the first read of a key at once and the next an interval later, with all who came meanwhile', () => {
    const coalescer = new Coalescer<string>(LIMITS);
    coalescer.arrive('k', 'first', 0);
    expect(coalescer.take(0)).toEqual([{ key: 'k', waiters: ['first'] }]);
    coalescer.arrive('k', 'second', 1);
    coalescer.arrive('k', 'third', 2);
    expect(coalescer.take(2)).toEqual([]);
    coalescer.finished('k');
    expect(coalescer.take(99)).toEqual([]);
    expect(coalescer.wakeAt()).toBe(100);
    expect(coalescer.take(100)).toEqual([{ key: 'k', waiters: ['second', 'third'] }]);
  });

  it('keeps its promises in any order of events', () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant('arrive'), key: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
      fc.record({ kind: fc.constant('advance'), ms: fc.integer({ min: 0, max: 120 }) }),
      fc.record({ kind: fc.constant('finish'), pick: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), (events) => {
        const coalescer = new Coalescer<number>(LIMITS);
        const running = new Map<string, true>();
        const lastStart = new Map<string, number>();
        const waiting = new Map<number, string>();
        let now = 0;
        let next = 0;
        const start = () => {
          for (const { key, waiters } of coalescer.take(now)) {
            expect(running.has(key)).toBe(false);
            running.set(key, true);
            expect(now - (lastStart.get(key) ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(100);
            lastStart.set(key, now);
            expect(waiters.length).toBeGreaterThan(0);
            // Everybody in it waited for this key until now, and is served once.
            for (const waiter of waiters) {
              expect(waiting.get(waiter)).toBe(key);
              waiting.delete(waiter);
            }
            expect([...waiting.values()]).not.toContain(key);
          }
          expect(running.size).toBeLessThanOrEqual(LIMITS.maxRunning);
          expect(coalescer.size).toMatchObject({ running: running.size, waiting: waiting.size });
          expect(coalescer.size.keys).toBeLessThanOrEqual(LIMITS.maxKeys);
          expect(waiting.size).toBeLessThanOrEqual(LIMITS.maxWaiting);
        };
        for (const each of events) {
          if (each.kind === 'arrive' && 'key' in each) {
            if (coalescer.arrive(each.key, next, now)) waiting.set(next++, each.key);
          } else if (each.kind === 'advance' && 'ms' in each) {
            now += each.ms;
          } else if ('pick' in each && running.size > 0) {
            const key = [...running.keys()][each.pick % running.size]!;
            running.delete(key);
            coalescer.finished(key);
          }
          start();
        }
        // Nobody is forgotten: when runs end and time passes, everybody is served and nothing is left behind.
        for (let round = 0; round < 20; round++) {
          for (const key of [...running.keys()]) {
            running.delete(key);
            coalescer.finished(key);
          }
          now = Math.max(now, coalescer.wakeAt() ?? now);
          start();
        }
        expect(waiting.size).toBe(0);
        expect(coalescer.size).toEqual({ keys: 0, running: 0, waiting: 0 });
      }),
      { numRuns: 500 },
    );
  });

  it('refuses what is beyond its bounds and takes it again when there is room', () => {
    const coalescer = new Coalescer<number>({ ...LIMITS, maxKeys: 1, maxWaiting: 2 });
    expect(coalescer.arrive('k', 1, 0)).toBe(true);
    expect(coalescer.arrive('other', 2, 0)).toBe(false);
    expect(coalescer.arrive('k', 3, 0)).toBe(true);
    expect(coalescer.arrive('k', 4, 0)).toBe(false);
    coalescer.take(0);
    coalescer.finished('k');
    expect(coalescer.arrive('other', 5, 99)).toBe(false);
    expect(coalescer.arrive('other', 6, 100)).toBe(true);
  });
});

describe('the read queue', () => {
  const deferred = <T>() => {
    let resolve!: (value: T) => void;
    const promise = new Promise<T>((yes) => {
      resolve = yes;
    });
    return { promise, resolve };
  };

  it('gives one run’s result to all who waited for it, and its failure likewise', async () => {
    const queue = new ReadQueue<string>({ ...LIMITS, minIntervalMs: 1 });
    const slow = deferred<string>();
    const lost = new Error('lost');
    const runs = [
      () => slow.promise,
      async () => {
        throw lost;
      },
    ];
    let started = 0;
    const work = () => runs[started++]!();
    const first = queue.run('k', work);
    const second = queue.run('k', work);
    const third = queue.run('k', work);
    expect(started).toBe(1);
    slow.resolve('old');
    expect(await first).toBe('old');
    expect(await Promise.allSettled([second, third])).toEqual([
      { status: 'rejected', reason: lost },
      { status: 'rejected', reason: lost },
    ]);
    expect(started).toBe(2);
  });
});

it('reads share a key only if they are alike in everything', () => {
  const identity: ReadIdentity = {
    scope: 'anon',
    method: 'GET',
    url: '/rest/v1/x?a=eq.1',
    accept: '*/*',
    prefer: undefined,
    range: undefined,
    body: '',
  };
  const others: Partial<ReadIdentity>[] = [
    { scope: 'service' },
    { method: 'HEAD' },
    { url: '/rest/v1/x?a=eq.2' },
    { accept: 'text/csv' },
    { prefer: 'count=exact' },
    { range: '0-1' },
    { body: '{}' },
  ];
  expect(readKey({ ...identity })).toBe(readKey(identity));
  const keys = [identity, ...others.map((other) => ({ ...identity, ...other }))].map(readKey);
  expect(new Set(keys).size).toBe(keys.length);
});

it('the limiter runs so many at once, the next in order, and refuses the rest', async () => {
  const limiter = new Limiter('writes', 1, 1);
  const order: string[] = [];
  let release!: () => void;
  const first = limiter.run(
    () =>
      new Promise<void>((resolve) => {
        release = resolve;
      }),
  );
  const second = limiter.run(async () => {
    order.push('second');
  });
  await expect(limiter.run(async () => undefined)).rejects.toMatchObject({ status: 503, code: 'PGRST003' });
  expect(order).toEqual([]);
  release();
  await Promise.all([first, second]);
  expect(order).toEqual(['second']);
  await limiter.run(async () => {
    order.push('third');
  });
  expect(order).toEqual(['second', 'third']);
});

describe('a slow read', () => {
  const SETUP = `create table public.probe_rows (n int);
       create table public.probe_pair as select n from generate_series(1, 2) n;
       create function public.probe_twice(n int) returns int language sql immutable as $$ select 2 * n $$;
       create function public.probe_slow(which int default 0) returns bigint language sql stable as
         $$ select pg_advisory_xact_lock_shared(4711); select count(*) from public.probe_rows $$;`;
  let server: RestServer;
  beforeAll(async () => {
    server = await startRest(SETUP, { readLimits: { minIntervalMs: 0 } });
  });
  afterAll(() => server.close());

  /** Holds the lock that probe_slow needs until released. */
  async function hold(of = server) {
    const holder = await of.pool.connect();
    await holder.query('select pg_advisory_lock(4711)');
    return {
      async untilBlocked() {
        const blocked = `select from ${ownLocks} where locktype = 'advisory' and not granted`;
        while ((await holder.query(blocked)).rowCount === 0);
      },
      async release() {
        await holder.query('select pg_advisory_unlock(4711)');
        holder.release();
      },
    };
  }

  it('is not joined by a request that came after it started: a client reads what it wrote', async () => {
    const lock = await hold();
    const early = server.fetch('/rest/v1/rpc/probe_slow');
    await lock.untilBlocked();
    const written = await server.service.from('probe_rows').insert({ n: 1 });
    expect(written.error).toBeNull();
    const late = [server.fetch('/rest/v1/rpc/probe_slow'), server.fetch('/rest/v1/rpc/probe_slow')];
    await lock.release();
    expect(await (await early).json()).toBe(0);
    for (const response of await Promise.all(late)) expect(await response.json()).toBe(1);
  });

  it('is shared only by requests that are alike in everything', async () => {
    const read = (path: string, init?: RequestInit) => server.fetch(`/rest/v1/${path}`, init);
    const accept = (type: string) => ({ headers: { accept: type } });
    const call = (body: string) => ({ method: 'POST', body });
    const asked = [
      read('probe_pair?select=n&order=n'),
      read('probe_pair?select=n&order=n.desc'),
      read('probe_pair?select=n&order=n', accept('text/csv')),
      read('probe_pair?select=n&order=n', { headers: { range: '1-1' } }),
      read('probe_pair?select=n&order=n', { headers: { apikey: 'anon-key' } }),
      read('rpc/probe_twice', call('{"n": 2}')),
      read('rpc/probe_twice', call('{"n": 3}')),
      read('probe_pair?select=n&order=n', { headers: { prefer: 'count=exact' } }).then(async (response) => {
        await response.text();
        return new Response(response.headers.get('content-range'));
      }),
    ];
    const answers = await Promise.all(asked.map(async (response) => (await response).text()));
    const both = '[{"n":1}, \n {"n":2}]';
    const reversed = '[{"n":2}, \n {"n":1}]';
    expect(answers).toEqual([both, reversed, 'n\n1\n2', '[{"n":2}]', both, '4', '6', '0-1/2']);
  });

  it('makes the door answer 503 with Retry-After when its bounds are reached', async () => {
    const tight = await startRest(SETUP, { readLimits: { maxKeys: 1 } });
    const lock = await hold(tight);
    const slow = tight.fetch('/rest/v1/rpc/probe_slow?which=1');
    await lock.untilBlocked();
    const refused = await tight.fetch('/rest/v1/rpc/probe_slow?which=2');
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ code: 'PGRST003' });
    await lock.release();
    expect((await slow).status).toBe(200);
    await tight.close();
  });

  it('is told apart when the database goes away under it', async () => {
    const lock = await hold();
    const slow = server.fetch('/rest/v1/rpc/probe_slow?which=3');
    await lock.untilBlocked();
    await server.pool.query(
      `select pg_terminate_backend(pid) from ${ownLocks} where locktype = 'advisory' and not granted`,
    );
    const response = await slow;
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    await lock.release();
    expect((await server.fetch('/rest/v1/probe_rows')).status).toBe(200);
  });
});
