/**
 * What a look at all rules costs: CPU time of the engine, which runs here alone, and of its connections in PostgreSQL,
 * while another process takes in events of many models. CPU time, for what others do on the machine makes a look wait.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Engine } from 'nowcast/dist/alert/engine.js';
import { makeLog } from 'nowcast/dist/log.js';
import { migrate } from 'nowcast/dist/store/migrate.js';
import pg from 'pg';
import { startPostgres } from '../side/postgres.ts';

const warmUpMs = 75_000;
const lookedMs = 65_000;
const applicationName = 'engine-alone';

export async function printLooks(): Promise<void> {
  console.log(
    `\nOne look at all rules, reads and writes included, CPU time a look over ${lookedMs / 1000} s:\n`,
  );
  console.log(
    '| models | series | stored summaries of models | Nowcast | PostgreSQL | median wall time |\n|---:|---:|---:|---:|---:|---:|',
  );
  for (const [models, hours] of [
    [100, 0],
    [100, 14 * 24],
    [500, 0],
  ] as const)
    await printLooksAt(models, hours);
}

async function printLooksAt(models: number, pastHours: number): Promise<void> {
  const postgres = await startPostgres();
  const url = await postgres.createDatabase('looks');
  await migrate(url);
  const admin = new pg.Pool({ connectionString: url, max: 1 });
  const pool = new pg.Pool({ connectionString: url, max: 10, application_name: applicationName });
  for (const each of [admin, pool]) each.on('error', () => undefined);
  const durationsMs: number[] = [];
  // Before the server, whose own engine then finds the lease taken.
  const engine = new Engine({
    pool,
    log: makeLog('warn'),
    ownState: async () => ({ problems: [], isBlind: false }),
    intervalMs: 1_000,
    onLook: (seconds) => durationsMs.push(seconds * 1000),
  });
  // As a busy feed does.
  const feed = setInterval(() => engine.eventsChanged(new Date()), 100);
  let server: ChildProcess | undefined;
  let load: ChildProcess | undefined;
  try {
    while (durationsMs.length === 0) await delay(100);
    const started = await startServer(url);
    server = started.process;
    // A process of its own: what sending costs is not the engine's.
    load = fork(join(import.meta.dirname, 'looksLoad.js'), [started.url, String(models)]);
    await delay(warmUpMs);
    if (pastHours > 0) {
      await admin.query(
        `insert into nowcast.model_summaries
         select (jsonb_populate_record(s, jsonb_build_object('minute', s.minute - make_interval(hours => h)))).*
         from nowcast.model_summaries s, generate_series(1, $1) h where s.tier_seconds = 60
         on conflict do nothing`,
        [pastHours],
      );
    }
    const before = await cpuMs(admin);
    durationsMs.length = 0;
    await delay(lookedMs);
    const after = await cpuMs(admin);
    const looks = durationsMs.length;
    const wallMs = durationsMs.sort((a, b) => a - b)[Math.floor(looks / 2)]!;
    const { rows } = await admin.query<{ count: string }>('select count(*) from nowcast.model_summaries');
    const perLook = (part: 'node' | 'postgres') => `${((after[part] - before[part]) / looks).toFixed(1)} ms`;
    console.log(
      `| ${models} | ${models * 5} | ${Number(rows[0]!.count).toLocaleString('en-US')} | ${perLook('node')} | ${perLook('postgres')} | ${wallMs.toFixed(0)} ms |`,
    );
  } finally {
    clearInterval(feed);
    load?.kill();
    server?.kill();
    await engine.stop();
    await pool.end();
    await admin.end();
    await postgres.stop();
  }
}

async function startServer(databaseUrl: string): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn(process.execPath, ['node_modules/.bin/nowcast', 'start'], {
    env: { ...process.env, PORT: '0', DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const url = await new Promise<string>((resolve, reject) => {
    let output = '';
    const read = (data: Buffer) => {
      output += data;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output);
      if (found !== null) resolve(found[0]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('exit', () => reject(new Error(`the server did not start: ${output}`)));
  });
  return { process: child, url };
}

async function cpuMs(admin: pg.Pool): Promise<{ node: number; postgres: number }> {
  const { rows } = await admin.query<{ pid: number }>(
    'select pid from pg_stat_activity where application_name = $1',
    [applicationName],
  );
  const nanoseconds = rows.reduce(
    (sum, { pid }) => sum + Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]),
    0,
  );
  const { user, system } = process.cpuUsage();
  return { node: (user + system) / 1000, postgres: nanoseconds / 1e6 };
}
