/** The synthetic event: it goes the whole way, nobody sees it, and where it stops is named. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import pg from 'pg';
import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { loadCatalog } from '../src/deliver/catalog.ts';
import { registerRealtime } from '../src/deliver/realtime/hub.ts';
import { Canary, type CanaryOptions } from '../src/health/canary.ts';
import { advance, judge, type Progress, type Run } from '../src/health/canaryRun.ts';
import { startServer } from '../src/server.ts';
import { readSettings } from '../src/settings.ts';
import { event } from './support/events.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';
import { supabaseClient } from './support/supabase.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 3 });
  return async () => {
    await pool.end();
    await database.drop();
  };
});

/** Quick enough for a test, long enough for the whole way on a busy machine. */
const intervalMs = 1_000;

async function whole(environment: Record<string, string> = {}) {
  const settings = readSettings({
    PORT: '0',
    DATABASE_URL: database.url,
    NOWCAST_LOG_LEVEL: 'silent',
    ...environment,
  });
  const server = await startServer(settings, { canaryIntervalMs: intervalMs });
  onTestFinished(() => server.close());
  const health = async () => {
    const response = await fetch(`${server.url.replace('0.0.0.0', '127.0.0.1')}/health`);
    return { code: response.status, ...((await response.json()) as Record<string, unknown>) };
  };
  return { server, health };
}

/**
 * Halts the backend of this name between two of its statements: one that is halted with a lock of PostgreSQL's own in hand
 * would halt everybody. @returns lets it go on
 */
async function halt(applicationName: string): Promise<() => void> {
  for (;;) {
    const { rows } = await pool.query<{ pid: number }>(
      `select pid from pg_stat_activity where application_name = $1 and datname = current_database() and state = 'idle'`,
      [applicationName],
    );
    const pid = rows[0]?.pid;
    if (pid === undefined) continue;
    process.kill(pid, 'SIGSTOP');
    const goOn = () => process.kill(pid, 'SIGCONT');
    // Read from its own word of itself, which needs no lock.
    const looked = await pool.query(`select from pg_stat_activity where pid = $1 and state = 'idle'`, [pid]);
    if (looked.rowCount === 1) return goOn;
    goOn();
  }
}

const arrives = { status: 'ok', broken_stage: null, latency_ms: expect.any(Number) };

describe('in a running server the canary', () => {
  test.each([
    ['without keys', {}],
    [
      'with keys, listening to everybody',
      { HOST: '0.0.0.0', NOWCAST_INGEST_KEY: 'in', NOWCAST_ANON_KEY: 'read', NOWCAST_SERVICE_KEY: 'all' },
    ],
  ])('arrives %s', async (_what, environment) => {
    const { health } = await whole(environment);
    await expect.poll(health).toMatchObject({ code: 200, status: 'healthy', canary: arrives });
  });

  test('is seen by nobody: no event, no summary, no alert, no message to whoever subscribes to everything', async () => {
    const { server, health } = await whole();
    const client = supabaseClient(server.url);
    onTestFinished(async () => void (await client.realtime.disconnect()));
    const heard: unknown[] = [];
    await new Promise<void>((resolve, reject) =>
      client
        .channel('everything')
        .on('postgres_changes', { event: '*', schema: '*' }, (change) => heard.push(change))
        .on('broadcast', { event: '*' }, (message) => heard.push(message))
        .subscribe((status, error) => (status === 'SUBSCRIBED' ? resolve() : reject(error ?? status))),
    );
    const count = async (text: string) =>
      Number((await pool.query<{ count: string }>(`select count(*) from ${text}`)).rows[0]!.count);
    const before = await count(`nowcast.feed where relation = 'canary'`);
    await expect.poll(() => count(`nowcast.feed where relation = 'canary'`)).toBeGreaterThan(before + 2);
    expect(heard).toEqual([]);
    for (const table of [
      'public.inference_logs',
      'public.system_alerts',
      'nowcast.summary_partials',
      'nowcast.minute_summaries',
      'nowcast_recompute_check()',
      'loss_accounting()',
    ]) {
      expect(await count(table), table).toBe(0);
    }
    expect(await health()).toMatchObject({ last_event_age_seconds: null });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain('nowcast_realtime_sockets 1\n');
    expect(metrics).toMatch(/nowcast_end_to_end_seconds_count [1-9]/);
  });

  test('finds that the feed stands still although the database answers, and that it goes on', async () => {
    const { health } = await whole();
    await expect.poll(health).toMatchObject({ canary: arrives });
    const goOn = await halt('nowcast feed');
    try {
      await expect.poll(health).toMatchObject({
        code: 200,
        status: 'degraded',
        message: 'the canary did not arrive: the stage feed does not work',
        canary: { status: 'failed', broken_stage: 'feed' },
      });
    } finally {
      goOn();
    }
    await expect.poll(health).toMatchObject({ status: 'healthy', canary: arrives });
  });

  test('goes the way of the writer: where only that stands still, the stage store does not work', async () => {
    const { health } = await whole();
    await expect.poll(health).toMatchObject({ canary: arrives });
    const goOn = await halt('nowcast writer');
    try {
      await expect.poll(health).toMatchObject({
        code: 200,
        canary: { status: 'failed', broken_stage: 'store' },
      });
    } finally {
      goOn();
    }
    await expect.poll(health).toMatchObject({ status: 'healthy', canary: arrives });
  });

  test('rides with the events of others, which are all stored', async () => {
    const { server, health } = await whole();
    await expect.poll(health).toMatchObject({ canary: arrives });
    const count = async (text: string) =>
      Number((await pool.query<{ count: string }>(`select count(*) from ${text}`)).rows[0]!.count);
    const before = await count(`nowcast.feed where relation = 'canary'`);
    let sent = 0;
    while ((await count(`nowcast.feed where relation = 'canary'`)) < before + 2) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          fetch(`${server.url}/telemetry/inference`, { method: 'POST', body: JSON.stringify(event()) }),
        ),
      );
      sent += answers.filter(({ status }) => status === 200).length;
    }
    expect(await count('inference_logs')).toBe(sent);
    expect(await count('nowcast_recompute_check()')).toBe(0);
    await pool.query('delete from inference_logs');
  });
});

describe('the canary names the stage that is broken:', () => {
  const stops: (() => unknown)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  interface Parts {
    readonly canary: Canary;
    readonly lines: string[];
    /** Runs whose event was posted, and those whose row the feed has met, in order. */
    readonly posted: string[];
    readonly followed: string[];
    /** The time of the run is up: no clock decides that here, so that a slow machine is no broken stage. */
    timeIsUp(): void;
  }

  /** A hub on a server of its own, and a canary; what stands for the feed reads the table. */
  async function parts(
    options: { post?: CanaryOptions['post']; follows?: boolean; serves?: boolean } = {},
  ): Promise<Parts> {
    const http: Server = createServer();
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    stops.push(() => http.close());
    const hub = registerRealtime(http, {
      catalog: await loadCatalog(pool),
      scopeOf: (key) => (canary.isOwnKey(key) ? 'anon' : undefined),
      readableColumns: () => [],
      originAllowed: () => options.serves !== false,
    });
    stops.push(() => hub.close());
    const lines: string[] = [];
    const written = new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(String(chunk)).msg);
        done();
      },
    });
    const posted: string[] = [];
    const followed: string[] = [];
    let timeIsUp = () => {};
    const canary: Canary = new Canary({
      hub,
      log: pino(written),
      post: async (url, key, id, timeoutMs) => {
        try {
          await (options.post ?? store)(url, key, id, timeoutMs);
        } finally {
          posted.push(id);
        }
      },
      onArrival: () => undefined,
      intervalMs: 1,
      after(_milliseconds, call) {
        timeIsUp = call;
        return () => undefined;
      },
    });
    /** What stands for the door and the writer. */
    async function store(_url: string, _key: string, id: string) {
      canary.taken(id);
      await insertRow(id);
    }
    if (options.follows !== false) {
      const listener = new pg.Client({ connectionString: database.url });
      await listener.connect();
      await listener.query('listen nowcast_feed');
      let reading = Promise.resolve();
      const read = async () => {
        const { rows } = await listener.query(
          `select changes->>'id' as id from nowcast.feed where relation = 'canary' order by position desc limit 1`,
        );
        canary.followed(rows[0]?.id);
        followed.push(rows[0]?.id);
      };
      listener.on('notification', () => {
        reading = reading.then(read);
      });
      stops.push(async () => {
        listener.removeAllListeners('notification');
        await reading;
        await listener.end();
      });
    }
    canary.start(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    stops.push(() => canary.stop());
    return { canary, lines, posted, followed, timeIsUp: () => timeIsUp() };
  }

  async function insertRow(id: string): Promise<void> {
    await pool.query(
      `insert into nowcast.feed (relation, row_count, changes) values ('canary', 1, jsonb_build_object('id', $1::text))`,
      [id],
    );
    await pool.query('notify nowcast_feed');
  }

  /** The first run begins at once, the second when the socket has joined. */
  const secondRunIsPosted = ({ posted }: Parts) => expect.poll(() => posted.length).toBe(2);

  test('none', async () => {
    const { canary, lines } = await parts();
    await expect.poll(() => canary.report()).toMatchObject(arrives);
    expect(lines).toEqual([]);
  });

  test('the feed, and the log says it once', async () => {
    const watched = await parts({ follows: false });
    const { canary, lines, timeIsUp, posted } = watched;
    await secondRunIsPosted(watched);
    timeIsUp();
    expect(canary.report()).toMatchObject({ status: 'failed', broken_stage: 'feed', age_seconds: null });
    await expect.poll(() => posted.length).toBe(3);
    timeIsUp();
    expect(canary.report()).toMatchObject({ status: 'failed', broken_stage: 'feed' });
    expect(lines).toEqual(['the canary did not arrive: the stage feed does not work']);
  });

  test('realtime', async () => {
    const { canary, followed, timeIsUp } = await parts({ serves: false });
    await expect.poll(() => followed.length).toBe(1);
    timeIsUp();
    expect(canary.report()).toMatchObject({ status: 'failed', broken_stage: 'realtime' });
  });

  test('ingest, where nobody takes the event', async () => {
    const watched = await parts({ post: () => Promise.reject(new Error('refused')) });
    await secondRunIsPosted(watched);
    watched.timeIsUp();
    expect(watched.canary.report()).toMatchObject({ status: 'failed', broken_stage: 'ingest' });
  });

  test('store, where it is taken and not committed, and the log says when it works again', async () => {
    let stands = true;
    const watched = await parts({
      post: async (_url, _key, id) => {
        watched.canary.taken(id);
        if (stands) throw new Error('503');
        await insertRow(id);
      },
    });
    const { canary, lines, timeIsUp } = watched;
    await secondRunIsPosted(watched);
    timeIsUp();
    expect(canary.report()).toMatchObject({ status: 'failed', broken_stage: 'store' });
    await expect.poll(() => watched.posted.length).toBe(3);
    stands = false;
    timeIsUp();
    await expect.poll(() => canary.report()).toMatchObject(arrives);
    expect(lines).toEqual([
      'the canary did not arrive: the stage store does not work',
      'the canary arrives again',
    ]);
  });
});

test('stages may be heard of in any order, and the furthest counts', () => {
  const reached = fc.constantFrom<Progress>('sent', 'taken', 'stored', 'followed', 'received');
  fc.assert(
    fc.property(fc.array(reached), (heard) => {
      const start: Run = { id: 'a', startedAtMs: 0, progress: 'sent' };
      const { status, brokenStage } = judge(heard.reduce(advance, start));
      expect(status === 'ok').toBe(heard.includes('received'));
      expect(brokenStage === null).toBe(status === 'ok');
      if (status === 'ok') return;
      expect(brokenStage).toBe(
        heard.includes('followed')
          ? 'realtime'
          : heard.includes('stored')
            ? 'feed'
            : heard.includes('taken')
              ? 'store'
              : 'ingest',
      );
    }),
  );
});
