import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { identify } from '../src/store/embedded/processIdentity.ts';
import {
  buildServer,
  clusterDirectory,
  gone,
  query,
  spawnEmbedded,
  temporaryDirectory,
} from './support/processes.ts';

beforeAll(buildServer);

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Ends the server and its watchdog; the server is halted first, or it would replace the watchdog. */
async function killWithWatchdog(server: { child: ChildProcess; watchdogPid: number }): Promise<void> {
  const watchdog = identify(server.watchdogPid)!;
  server.child.kill('SIGSTOP');
  process.kill(server.watchdogPid, 'SIGKILL');
  await gone(watchdog);
  await kill(server.child);
}

test('the watchdog stops PostgreSQL after its server was killed', async () => {
  const server = await spawnEmbedded(await clusterDirectory());
  const postmaster = identify(server.pid)!;
  const watchdog = identify(server.watchdogPid)!;
  await kill(server.child);
  await gone(postmaster);
  await gone(watchdog);
});

test('a busy connection does not keep PostgreSQL alive after its server was killed', async () => {
  const server = await spawnEmbedded(await clusterDirectory());
  const postmaster = identify(server.pid)!;
  const busy = query(server.url, `select pg_sleep(60)`).catch((error: Error) => error.message);
  await expect
    .poll(() => query(server.url, `select count(*) from pg_stat_activity where wait_event = 'PgSleep'`), {
      interval: 20,
    })
    .toEqual([['1']]);
  await kill(server.child);
  await gone(postmaster);
  expect(await busy).toMatch(/terminat/);
});

test('a start stops an orphan that nobody watched and keeps what it had committed', async () => {
  const dataDir = await clusterDirectory();
  const first = await spawnEmbedded(dataDir);
  await query(first.url, 'create table kept as select 42 as answer');
  const orphan = identify(first.pid)!;
  await killWithWatchdog(first);
  expect(identify(orphan.pid)).toEqual(orphan);

  const second = await spawnEmbedded(dataDir);
  await gone(orphan);
  expect(second.stderr()).toContain(`process ${orphan.pid}`);
  expect(second.url).toBe(first.url);
  expect(await query(second.url, 'select answer from kept')).toEqual([['42']]);
});

test('a start recovers when server, watchdog and PostgreSQL were all killed', async () => {
  const dataDir = await clusterDirectory();
  const first = await spawnEmbedded(dataDir);
  await query(first.url, 'create table kept as select 42 as answer');
  const postmaster = identify(first.pid)!;
  await killWithWatchdog(first);
  process.kill(postmaster.pid, 'SIGKILL');
  await gone(postmaster);

  const second = await spawnEmbedded(dataDir);
  expect(await query(second.url, 'select answer from kept')).toEqual([['42']]);
});

test('a start is not stopped by a postmaster.pid whose pid belongs to another program now', async () => {
  const dataDir = await clusterDirectory();
  const pidFile = path.join(dataDir, 'postgres/postmaster.pid');
  const first = await spawnEmbedded(dataDir);
  const postmaster = identify(first.pid)!;
  await killWithWatchdog(first);
  process.kill(postmaster.pid, 'SIGKILL');
  await gone(postmaster);
  // PostgreSQL itself ignores only programs of other users: this one is of the same.
  const { uid, gid } = statSync(path.join(dataDir, 'postgres'));
  const unrelated = spawn('cat', { uid, gid, stdio: ['pipe', 'ignore', 'ignore'] });
  onTestFinished(() => void unrelated.kill());
  const lines = readFileSync(pidFile, 'utf8').split('\n');
  writeFileSync(pidFile, [unrelated.pid, ...lines.slice(1)].join('\n'));
  chownSync(pidFile, uid, gid);

  const second = await spawnEmbedded(dataDir);
  expect(await query(second.url, 'select 1')).toEqual([['1']]);
  expect(unrelated.exitCode).toBeNull();
});

test('PostgreSQL and its watchdog are outside the terminal’s process group', async () => {
  const server = await spawnEmbedded(await clusterDirectory());
  for (const pid of [server.pid, server.watchdogPid]) {
    const ps = spawn('ps', ['-o', 'pgid=', '-p', String(pid)]);
    const [said] = (await once(ps.stdout.setEncoding('utf8'), 'data')) as [string];
    expect(Number(said)).toBe(pid);
  }
});

test('a second process is told who uses the data directory', async () => {
  const dataDir = await clusterDirectory();
  const first = await spawnEmbedded(dataDir);
  await expect(spawnEmbedded(dataDir)).rejects.toThrow(
    `${dataDir} is in use by "nowcast start" (process ${first.child.pid})`,
  );
  expect(await query(first.url, 'select 1')).toEqual([['1']]);
});

test('of several starts at once exactly one wins', async () => {
  const dataDir = await temporaryDirectory();
  const starts = await Promise.allSettled([1, 2, 3, 4].map(() => spawnEmbedded(dataDir)));
  const won = starts.filter((start) => start.status === 'fulfilled');
  expect(won).toHaveLength(1);
  expect(await query(won[0]!.value.url, 'select 1')).toEqual([['1']]);
});
