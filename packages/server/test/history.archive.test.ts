import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archiveDay } from '../src/history/cold/archive.ts';
import { type ColdPlace, coldPlace } from '../src/history/cold/place.ts';
import { queryCold } from '../src/history/cold/query.ts';
import { restoreDay } from '../src/history/cold/restore.ts';
import { closePeriods } from '../src/history/etl.ts';
import { type RetentionStep, runRetention } from '../src/history/retention.ts';
import { killedAt } from './support/killedCold.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { ownLocks } from './support/postgres.ts';
import { buildServer, spawnNowcast } from './support/processes.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
let pipeline: Pipeline;
let place: ColdPlace;
let archive: string;
let coldUrl: string;
beforeAll(async () => {
  await buildServer();
  pipeline = await startPipeline();
  archive = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
  coldUrl = pathToFileURL(archive).href;
  place = coldPlace(coldUrl);
});
afterAll(async () => {
  await pipeline.close();
  await rm(archive, { recursive: true, force: true });
});

async function retention(
  options: { cold?: boolean; hotDays?: number; lockTimeoutMs?: number } = {},
): Promise<string[]> {
  const steps: RetentionStep[] = [];
  await runRetention(pipeline.pool, {
    hotDays: options.hotDays ?? 30,
    minuteDays: 3_650,
    coldDays: undefined,
    place: options.cold === false ? undefined : place,
    // A process that was killed holds its locks until its backend has noticed.
    lockTimeoutMs: options.lockTimeoutMs ?? 30_000,
    onStep: (step) => steps.push(step),
  });
  return steps.map((step) => ('day' in step ? `${step.kind} ${step.day}` : step.kind));
}

async function withClient<Result>(use: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pipeline.pool.connect();
  await client.query(`set timezone = 'UTC'`);
  try {
    return await use(client);
  } finally {
    client.release(true);
  }
}

async function coldQuery(sql: string): Promise<unknown[][]> {
  const found: unknown[][] = [];
  await withClient((client) =>
    queryCold(client, place, { sql }, async ({ rows }) => {
      for await (const piece of rows) found.push(...piece);
    }),
  );
  return found;
}

async function insertDay(day: string, events: readonly Record<string, unknown>[]): Promise<void> {
  await pipeline.query('select nowcast.create_partition($1)', [day]);
  const columns = [...new Set(events.flatMap(Object.keys))];
  await pipeline.query(
    `insert into inference_logs (${columns.join(',')})
     select ${columns.join(',')} from json_populate_recordset(null::inference_logs, $1)`,
    [JSON.stringify(events)],
  );
}

function plainEvents(day: string, count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, index) => ({
    timestamp: `${day}T12:00:${String(index % 60).padStart(2, '0')}Z`,
    model_version: 'v1',
    inference_time_ms: index + 0.25,
    is_error: index % 7 === 0,
  }));
}

/** Whatever a row may hold, at the edges of what CSV, text and doubles can say. */
const hostileText = fc.oneof(
  fc.constantFrom('', '"', '""', '\\N', '\\', '\n', '\r\n', ',', "it's", '\u001f', 'NULL', ' x ', '模型 🙂'),
  fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const hostileEvent = fc.record({
  timestamp: fc.integer({ min: 0, max: 86_399_999_999 }).map((micros) => {
    const seconds = new Date(Math.floor(micros / 1e6) * 1000).toISOString().slice(11, 19);
    return `2025-02-03T${seconds}.${String(micros % 1e6).padStart(6, '0')}Z`;
  }),
  model_version: fc.constantFrom('v1', 'a "quoted" one', 'two\nlines', "it's"),
  inference_time_ms: fc.double({ min: 0, max: 1e9, noNaN: true }),
  confidence_score: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
  value_usd: maybe(fc.double({ min: -1e9, max: 1e9, noNaN: true })),
  is_error: maybe(fc.boolean()),
  error_message: maybe(hostileText),
  user_id: maybe(hostileText),
  prediction_class: maybe(hostileText),
  metadata: maybe(
    fc.dictionary(fc.constantFrom('a', 'b"', '\n'), fc.oneof(hostileText, fc.integer(), fc.constant(null))),
  ),
  input_tokens: maybe(fc.integer({ min: 0, max: 2_147_483_647 })),
  feedback: maybe(fc.constantFrom(-1, 0, 1)),
});

describe('retention', () => {
  test('archives, verifies and drops what is older than the hot window, and nothing else', async () => {
    await insertDay('2025-01-10', plainEvents('2025-01-10', 100));
    await insertDay('2025-01-11', plainEvents('2025-01-11', 50));
    const today = new Date().toISOString().slice(0, 10);
    await insertDay(today, plainEvents(today, 10));
    await closePeriods(pipeline.pool, { zone: 'UTC', to: '2025-01-31' });
    expect(await retention()).toEqual([
      'archived 2025-01-10',
      'dropped 2025-01-10',
      'archived 2025-01-11',
      'dropped 2025-01-11',
    ]);
    expect(await pipeline.query('select count(*)::int as n from inference_logs')).toEqual([{ n: 10 }]);
    expect(
      await coldQuery(
        'select count(*)::int, count(distinct id)::int, sum(is_error::int)::int from inference_logs',
      ),
    ).toEqual([[160, 160, 25]]);
    expect(
      await coldQuery(`select count(*)::int from inference_logs where timestamp < '2025-01-11'`),
    ).toEqual([[100]]);
    // Summaries keep what the rows said, though the rows are gone.
    expect(
      await closePeriods(pipeline.pool, {
        zone: 'UTC',
        to: '2025-01-31',
        from: '2025-01-01',
        everything: true,
      }),
    ).toEqual({
      days: [],
      periods: 0,
    });
    expect(await pipeline.query(`select * from nowcast_recompute_check('2025-01-01')`)).toEqual([]);
    expect(await retention()).toEqual([]);
  });

  test('drops without an archive where none is set', async () => {
    await insertDay('2025-01-12', plainEvents('2025-01-12', 5));
    expect(await retention({ cold: false })).toEqual(['dropped 2025-01-12']);
  });

  test('archives again what changed after it was archived', async () => {
    const day = '2025-01-13';
    await insertDay(day, plainEvents(day, 5));
    await withClient((client) => archiveDay(client, place, day, 'nowcast.inference_logs_20250113'));
    await pipeline.query(
      `update inference_logs set user_id = 'corrected' where timestamp < '2025-01-14' and timestamp >= $1`,
      [day],
    );
    expect(await retention()).toEqual([`archived ${day}`, `dropped ${day}`]);
    expect(await coldQuery(`select count(*)::int from inference_logs where user_id = 'corrected'`)).toEqual([
      [5],
    ]);
    expect(await pipeline.query(`select * from nowcast_recompute_check('2025-01-01')`)).toEqual([]);
  });

  test('drops no row that changed between the archive and the moment when nothing can change any more', async () => {
    const day = '2025-01-16';
    await insertDay(day, plainEvents(day, 5));
    const blocker = await pipeline.pool.connect();
    await blocker.query('select pg_advisory_lock(nowcast.compaction_lock())');
    const running = retention();
    await expect
      .poll(() => pipeline.query(`select from ${ownLocks} where locktype = 'advisory' and not granted`))
      .toHaveLength(1);
    await pipeline.query(`update inference_logs set user_id = 'late' where timestamp::date = $1`, [day]);
    await blocker.query('select pg_advisory_unlock(nowcast.compaction_lock())');
    blocker.release();
    expect(await running).toEqual([`archived ${day}`, `archived ${day}`, `dropped ${day}`]);
    expect(await coldQuery(`select count(*)::int from inference_logs where user_id = 'late'`)).toEqual([[5]]);
    expect(await pipeline.query(`select * from nowcast_recompute_check('2025-01-01')`)).toEqual([]);
  });

  test('holds up no alert, however long it takes', async () => {
    const day = '2025-01-17';
    await insertDay(day, plainEvents(day, 5));
    const blocker = await pipeline.pool.connect();
    await blocker.query('select pg_advisory_lock(nowcast.compaction_lock())');
    const running = retention();
    await expect
      .poll(() => pipeline.query(`select from ${ownLocks} where locktype = 'advisory' and not granted`))
      .toHaveLength(1);
    expect(await pipeline.query('select pg_try_advisory_xact_lock(nowcast.incident_lock()) as free')).toEqual(
      [{ free: true }],
    );
    await blocker.query('select pg_advisory_unlock(nowcast.compaction_lock())');
    blocker.release();
    expect(await running).toEqual([`archived ${day}`, `dropped ${day}`]);
  });

  test('archives again when the file is not what was written', async () => {
    const day = '2025-01-14';
    await insertDay(day, plainEvents(day, 5));
    await withClient((client) => archiveDay(client, place, day, 'nowcast.inference_logs_20250114'));
    await appendFile(place.nameOf(`inference_logs-${day}.parquet`), 'x');
    expect(await retention()).toEqual([`archived ${day}`, `dropped ${day}`]);
  });

  test('gives way to a reader that holds the table, and finishes at the next run', async () => {
    const day = '2025-01-15';
    await insertDay(day, plainEvents(day, 5));
    const reader = await pipeline.pool.connect();
    await reader.query('begin');
    await reader.query('select count(*) from inference_logs');
    expect(await retention({ lockTimeoutMs: 50 })).toEqual([`archived ${day}`, `held ${day}`]);
    // Meanwhile writers and readers are not stopped, and no row is seen twice or not at all.
    await insertDay(
      new Date().toISOString().slice(0, 10),
      plainEvents(new Date().toISOString().slice(0, 10), 1),
    );
    expect(
      await coldQuery(`select count(*)::int from inference_logs where timestamp::date = '${day}'`),
    ).toEqual([[5]]);
    await reader.query('rollback');
    reader.release();
    expect(await retention()).toEqual([`dropped ${day}`]);
  });
});

describe('the archive', () => {
  test('gives back every value as it was, whatever it held', async () => {
    const day = '2025-02-03';
    await fc.assert(
      fc.asyncProperty(fc.array(hostileEvent, { minLength: 1, maxLength: 40 }), async (events) => {
        await insertDay(day, events);
        await pipeline.query('create table kept as select * from inference_logs where timestamp::date = $1', [
          day,
        ]);
        expect(await retention()).toEqual([`archived ${day}`, `dropped ${day}`]);
        await withClient((client) => restoreDay(client, place, day, 1));
        expect(
          await pipeline.query(
            `(select * from kept except all select * from inference_logs where timestamp::date = $1)
             union all (select * from inference_logs where timestamp::date = $1 except all select * from kept)`,
            [day],
          ),
        ).toEqual([]);
        await pipeline.query(
          `update nowcast.cold_days set restored_until = now() - interval '1 second' where day = $1`,
          [day],
        );
        await pipeline.query('drop table kept');
        await retention();
      }),
      { numRuns: 8 },
    );
  });

  test('brings a day back without counting it twice, and takes it away again after its time', async () => {
    const day = '2025-01-10';
    await withClient((client) => restoreDay(client, place, day, 7));
    expect(
      await pipeline.query(`select count(*)::int as n from inference_logs where timestamp::date = $1`, [day]),
    ).toEqual([{ n: 100 }]);
    expect(
      await coldQuery(`select count(*)::int from inference_logs where timestamp::date = '${day}'`),
    ).toEqual([[100]]);
    expect(await pipeline.query(`select * from nowcast_recompute_check('2025-01-01')`)).toEqual([]);
    await expect(withClient((client) => restoreDay(client, place, day, 7))).rejects.toThrow(
      'in PostgreSQL already',
    );
    expect(await retention()).toEqual([]);
    // A privacy request for a day of the archive: bring it back, delete, let it go.
    await pipeline.query(`delete from inference_logs where timestamp::date = $1 and is_error`, [day]);
    await pipeline.query(
      `update nowcast.cold_days set restored_until = now() - interval '1 second' where day = $1`,
      [day],
    );
    expect(await retention()).toEqual([`archived ${day}`, `dropped ${day}`]);
    expect(
      await coldQuery(`select count(*)::int from inference_logs where timestamp::date = '${day}'`),
    ).toEqual([[85]]);
  });

  test('refuses to restore a file that was tampered with', async () => {
    const file = place.nameOf('inference_logs-2025-01-11.parquet');
    const written = await readFile(file);
    await appendFile(file, 'x');
    await expect(withClient((client) => restoreDay(client, place, '2025-01-11', 7))).rejects.toThrow(
      'checksum differs',
    );
    await writeFile(file, written);
    await expect(withClient((client) => restoreDay(client, place, '2024-01-11', 7))).rejects.toThrow(
      'holds no 2024-01-11',
    );
  });

  test('loses and doubles nothing when retention is killed before any of its statements', async () => {
    const day = '2025-03-01';
    const expected = [[20, 20]];
    const count = () =>
      coldQuery(
        `select count(*)::int, count(distinct id)::int from inference_logs where timestamp::date = '${day}'`,
      );
    let killed = true;
    for (let statement = 2; killed; statement += 1) {
      await insertDay(day, plainEvents(day, 20));
      killed = await killedAt(pipeline, {
        coldUrl,
        work: 'retention',
        killAt: statement,
        steps: ['statements'],
      });
      expect(await count(), `killed before statement ${statement}`).toEqual(expected);
      await retention();
      expect(await count(), `after the run that followed statement ${statement}`).toEqual(expected);
      expect(await pipeline.query(`select from inference_logs where timestamp::date = $1`, [day])).toEqual(
        [],
      );
      expect((await readdir(archive)).filter((name) => name.startsWith('.'))).toEqual([]);
      await pipeline.query('delete from nowcast.cold_days where day = $1', [day]);
    }
  }, 600_000);
});

describe('the example for GitHub Actions', () => {
  test('closes days, of a range where one is asked for, and archives old rows', async () => {
    const day = '2025-01-19';
    await insertDay(day, plainEvents(day, 5));
    const workflow = await readFile(path.join(root, 'examples/github-actions/nowcast-etl.yml'), 'utf8');
    const commands = [...workflow.matchAll(/^ +run: (npx nowcast .*)$/gm)].map(([, command]) => command!);
    const run = async (command: string, env: Record<string, string>) => {
      const { stdout } = await promisify(execFile)('bash', ['-e', '-c', command], {
        cwd: root,
        env: { ...process.env, DATABASE_URL: pipeline.url, NOWCAST_COLD_URL: '', ...env },
      });
      return stdout;
    };
    expect(commands).toHaveLength(2);
    expect(await run(commands[0]!, { FROM: day, TO: day })).toContain(`1 day closed (${day} to ${day})`);
    expect(await run(commands[0]!, { FROM: '', TO: '' })).toMatch(/closed/);
    expect(await run(commands[1]!, { NOWCAST_COLD_URL: coldUrl })).toContain(`${day}: dropped`);
  });
});

describe('nowcast', () => {
  async function nowcast(args: string[], env: Record<string, string> = {}) {
    const { ended, stdout, stderr } = spawnNowcast(args, { DATABASE_URL: pipeline.url, ...env });
    const { code } = await ended;
    return { code, stdout: stdout(), stderr: stderr() };
  }

  test('says what retention would do before it does it', async () => {
    await insertDay('2025-01-20', plainEvents('2025-01-20', 5));
    const dry = await nowcast(['retention', 'run', '--dry-run'], { NOWCAST_COLD_URL: coldUrl });
    expect(dry).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Rows stay 30 days[\s\S]*2025-01-20 /),
    });
    const run = await nowcast(['retention', 'run'], { NOWCAST_COLD_URL: coldUrl });
    expect(run.stdout).toMatch(/2025-01-20: 5 rows archived and verified[\s\S]*2025-01-20: dropped/);
    expect(run.code).toBe(0);
    expect((await nowcast(['cold', 'list'], { NOWCAST_COLD_URL: coldUrl })).stdout).toMatch(
      /2025-01-20 +\| +5 .* archived\n/,
    );
    const query = await nowcast(
      [
        'cold',
        'query',
        '--json',
        '--since',
        '2025-01-20',
        '--until',
        '2025-01-20',
        'select count(*) as n, max(metadata) as m from inference_logs',
      ],
      { NOWCAST_COLD_URL: coldUrl },
    );
    expect(query.stdout).toBe('{"n":"5","m":null}\n');
  });

  test.each([
    [['retention', 'run'], { NOWCAST_COLD_URL: 's3://bucket/x' }, 2, 'AWS_ACCESS_KEY_ID'],
    [['cold', 'restore', '2025-01-20'], {}, 2, 'NOWCAST_COLD_URL is not set'],
    [['cold', 'restore', '2025-13-01'], {}, 2, 'YYYY-MM-DD'],
    [['cold', 'query', 'select nonsense from inference_logs'], {}, 1, 'NOWCAST_COLD_URL'],
    [['etl', 'run', '--from', 'yesterday'], {}, 2, 'YYYY-MM-DD'],
    [
      ['etl', 'run', '--from', '2025-01-02', '--to', '2025-01-01'],
      {},
      2,
      '--from 2025-01-02 lies after --to 2025-01-01',
    ],
    [
      ['cold', 'query', '--since', '2025-01-02', '--until', '2025-01-01', 'select 1'],
      {},
      2,
      '--since 2025-01-02 lies after --until 2025-01-01',
    ],
  ] as const)('answers %j with one sentence', async (args, env, code, sentence) => {
    const answer = await nowcast([...args], env);
    expect(answer.code).toBe(code);
    expect(answer.stderr).toContain(sentence);
    expect(answer.stderr).not.toContain('    at ');
  });
});
