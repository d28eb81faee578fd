import pg from 'pg';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { jobSchema, Scheduler } from '../src/schedule/scheduler.ts';
import type { ScheduledTask } from '../src/schedule/tasks.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';
import { CuttableProxy } from './support/proxy.ts';

const timings = { startDelayMs: 0, pollSeconds: 0.5, cronSeconds: 1 };
const eachMinute = '* * * * *';
/** Hours away from now, in any zone. */
const daily = `0 ${(new Date().getUTCHours() + 12) % 24} * * *`;

let database: TestDatabase;
/** Straight to PostgreSQL. */
let pool: pg.Pool;
const opened: { stop(): Promise<unknown> }[] = [];
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => undefined);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
afterEach(async () => {
  await stopAll();
  await pool.query(`drop schema if exists ${jobSchema} cascade`);
});

async function stopAll(): Promise<void> {
  for (const one of opened.splice(0).reverse()) await one.stop();
}

function openPool(connectionString: string): pg.Pool {
  const made = new pg.Pool({ connectionString, max: 3, pipeline: true, connectionTimeoutMillis: 5_000 });
  made.on('error', () => undefined);
  made.on('connect', (client) => client.on('error', () => undefined));
  opened.push({ stop: () => made.end() });
  return made;
}

function start(tasks: readonly ScheduledTask[], through = openPool(database.url), zone = 'Asia/Kathmandu') {
  const scheduler = new Scheduler({ pool: through, log: pino({ level: 'silent' }), zone, tasks, timings });
  opened.push(scheduler);
  return scheduler;
}

function task(name: string, cron: string, run: ScheduledTask['run']): ScheduledTask {
  return { name, cron, retrySeconds: 0, run };
}

async function jobs(name: string, state: string): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `select count(*)::int as n from ${jobSchema}.job where name = $1 and state::text = $2`,
    [name, state],
  );
  return rows[0]!.n;
}

/** Lets a minute pass for the library: what it sends once a minute, and has taken up, it may send again. */
async function nextMinute(): Promise<void> {
  await pool.query(
    `delete from ${jobSchema}.job
     where name = '__pgboss__send-it' and state::text in ('active', 'completed')`,
  );
}

describe('what runs by the clock', () => {
  test('runs once at a start, and at each tick again, in one of several servers', async () => {
    let starts = 0;
    let ticks = 0;
    const tasks = [
      task('at-start', daily, async () => {
        starts += 1;
      }),
      task('tick', eachMinute, async () => {
        ticks += 1;
      }),
    ];
    start(tasks);
    start(tasks);
    await expect.poll(() => starts).toBeGreaterThan(0);
    const before = ticks;
    await expect
      .poll(async () => {
        await nextMinute();
        return ticks;
      })
      .toBeGreaterThan(before);
    await stopAll();
    expect(await jobs('tick', 'completed')).toBe(ticks);
    // Two servers that start at once may share it.
    expect(starts).toBe(await jobs('at-start', 'completed'));
    expect(starts).toBeLessThanOrEqual(2);
  });

  test('is read in the time zone of the settings and by no key, and forgotten when it is not in the table any more', async () => {
    const nothing = async () => undefined;
    const first = start([task('kept', daily, nothing), task('gone', eachMinute, nothing)]);
    const schedules = async () =>
      (await pool.query(`select name, cron, timezone from ${jobSchema}.schedule order by name`)).rows;
    await expect
      .poll(async () => (await pool.query(`select to_regclass('${jobSchema}.schedule') as made`)).rows)
      .not.toEqual([{ made: null }]);
    await expect.poll(schedules).toEqual([
      { name: 'gone', cron: eachMinute, timezone: 'Asia/Kathmandu' },
      { name: 'kept', cron: daily, timezone: 'Asia/Kathmandu' },
    ]);
    const { rows } = await pool.query(
      `select scope from unnest(array['anon', 'service']) scope
       where has_schema_privilege(nowcast.rest_role(scope), '${jobSchema}', 'usage')`,
    );
    expect(rows).toEqual([]);
    await first.stop();
    start([task('kept', '30 5 * * 1', nothing)], openPool(database.url), 'Europe/Berlin');
    await expect.poll(schedules).toEqual([{ name: 'kept', cron: '30 5 * * 1', timezone: 'Europe/Berlin' }]);
  });

  test('is tried again after it failed', async () => {
    let tries = 0;
    start([
      task('difficult', daily, async () => {
        tries += 1;
        if (tries < 3) throw new Error('the disk is full');
      }),
    ]);
    await expect.poll(() => tries).toBe(3);
    await expect.poll(() => jobs('difficult', 'completed')).toBe(1);
  });

  test('is told when the server stops, and runs again in the next one', async () => {
    let runs = 0;
    const long = task('long', daily, (signal) => {
      runs += 1;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    const first = start([long]);
    await expect.poll(() => runs).toBe(1);
    await first.stop();
    expect(await jobs('long', 'active')).toBe(0);
    start([
      task('long', daily, async () => {
        runs += 1;
      }),
    ]);
    await expect.poll(() => runs).toBeGreaterThan(1);
  });

  test('goes on after PostgreSQL was away while a task ran', async () => {
    const proxy = await CuttableProxy.to(database.url);
    const through = openPool(proxy.url);
    let finish = () => undefined as unknown;
    let runs = 0;
    start(
      [
        task('interrupted', eachMinute, async () => {
          runs += 1;
          if (runs === 1) await new Promise((resolve) => (finish = () => resolve(undefined)));
        }),
      ],
      through,
    );
    await expect.poll(() => runs).toBe(1);
    proxy.refusing = true;
    const cut = once(through);
    await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()
         and client_port is not null`,
    );
    finish();
    await cut;
    proxy.refusing = false;
    await expect
      .poll(async () => {
        await nextMinute();
        return runs;
      })
      .toBeGreaterThan(1);
    await stopAll();
    await proxy.close();
  });
});

/** Resolves when a connection of the pool failed to open. */
function once(through: pg.Pool): Promise<void> {
  return new Promise((resolve) => {
    const look = async () => {
      await through.connect().then(
        (client) => {
          client.release();
          setImmediate(look);
        },
        () => resolve(),
      );
    };
    void look();
  });
}
