import { readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isRoot } from '../src/store/embedded/account.ts';
import { type EmbeddedPostgres, startEmbedded } from '../src/store/embedded/embedded.ts';
import { identify } from '../src/store/embedded/processIdentity.ts';
import { clusterDirectory, gone, query, temporaryDirectory } from './support/processes.ts';

const quiet = { info: () => undefined, warn: () => undefined };

async function start(dataDir: string): Promise<EmbeddedPostgres> {
  const embedded = await startEmbedded({ dataDir, log: quiet });
  onTestFinished(() => embedded.stop());
  return embedded;
}

const exit = (embedded: EmbeddedPostgres) => new Promise<boolean>((resolve) => embedded.onExit(resolve));

describe('the embedded PostgreSQL', () => {
  test('is durable, private and set for UTC', async () => {
    const dataDir = path.join(await temporaryDirectory(), 'data');
    const { url } = await start(dataDir);

    const expected = {
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      password_encryption: 'scram-sha-256',
      server_encoding: 'UTF8',
      timezone: 'UTC',
      lc_messages: 'C',
      data_checksums: 'on',
    };
    for (const [name, value] of Object.entries(expected)) {
      expect(await query(url, `show ${name}`), name).toEqual([[value]]);
    }
    expect(await query(url, 'select current_user, current_database()')).toEqual([['nowcast', 'nowcast']]);
    expect(await query(url, `select auth_method from pg_hba_file_rules`)).not.toContainEqual(['trust']);

    const mode = (name: string) => statSync(path.join(dataDir, name)).mode & 0o777;
    expect(mode('.')).toBe(0o700);
    expect(mode('postgres')).toBe(0o700);
    expect(mode('postgres.url')).toBe(0o600);
    expect(mode('postgres.log')).toBe(0o600);
    expect(readFileSync(path.join(dataDir, 'postgres.url'), 'utf8')).toBe(`${url}\n`);
  });

  test('refuses a wrong password', async () => {
    const { url } = await start(await clusterDirectory());
    const wrong = new URL(url);
    wrong.password = 'wrong';
    await expect(query(wrong.href, 'select 1')).rejects.toThrow('password authentication failed');
  });

  test('keeps its data and its URL over a clean stop and a start', async () => {
    const dataDir = await clusterDirectory();
    const first = await start(dataDir);
    await query(first.url, 'create table kept as select 42 as answer');
    const exited = exit(first);
    const process = identify(first.pid!)!;
    await first.stop();
    expect(await exited).toBe(true);
    await gone(process);
    expect(first.pid).toBeUndefined();

    const second = await start(dataDir);
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'select answer from kept')).toEqual([['42']]);
    expect(readFileSync(path.join(dataDir, 'postgres.log'), 'utf8')).not.toContain('recovery in progress');
  });

  test('moves to a free port when another program took its own', async () => {
    const dataDir = await clusterDirectory();
    const first = await start(dataDir);
    await first.stop();
    const port = Number(new URL(first.url).port);
    const thief = createServer();
    await new Promise<void>((resolve) => thief.listen(port, '127.0.0.1', resolve));
    onTestFinished(() => void thief.close());

    const second = await start(dataDir);
    expect(new URL(second.url).port).not.toBe(String(port));
    expect(readFileSync(path.join(dataDir, 'postgres.url'), 'utf8')).toBe(`${second.url}\n`);
    expect(await query(second.url, 'select 1')).toEqual([['1']]);
  });

  test('comes back with the same URL after somebody killed it, and loses nothing committed', async () => {
    const embedded = await start(await clusterDirectory());
    await query(embedded.url, 'create table kept as select 42 as answer');
    const before = { url: embedded.url, pid: embedded.pid! };
    const exited = exit(embedded);
    process.kill(before.pid, 'SIGKILL');
    expect(await exited).toBe(false);
    await embedded.restart();
    expect(embedded.url).toBe(before.url);
    expect(embedded.pid).not.toBe(before.pid);
    expect(await query(embedded.url, 'select answer from kept')).toEqual([['42']]);
  });

  test('restarts on request', async () => {
    const embedded = await start(await clusterDirectory());
    const before = embedded.pid;
    const exited = exit(embedded);
    await embedded.restart();
    expect(await exited).toBe(true);
    expect(embedded.pid).not.toBe(before);
    expect(await query(embedded.url, 'select 1')).toEqual([['1']]);
  });

  test('gets a new watchdog when the old one is killed', async () => {
    const embedded = await start(await clusterDirectory());
    const before = identify(embedded.watchdogPid!)!;
    process.kill(before.pid, 'SIGKILL');
    await gone(before);
    await expect.poll(() => embedded.watchdogPid, { interval: 10 }).not.toBe(before.pid);
    expect(identify(embedded.watchdogPid!)).toBeDefined();
  });

  test('gets a new password when postgres.url was deleted', async () => {
    const dataDir = await clusterDirectory();
    const first = await start(dataDir);
    await query(first.url, 'create table kept as select 42 as answer');
    await first.stop();
    rmSync(path.join(dataDir, 'postgres.url'));

    const second = await start(dataDir);
    expect(new URL(second.url).password).not.toBe(new URL(first.url).password);
    expect(await query(second.url, 'select answer from kept')).toEqual([['42']]);
  });

  test.skipIf(!isRoot())('runs for root under another uid inside a home that stays 0700', async () => {
    const home = await temporaryDirectory();
    const embedded = await start(path.join(home, 'clone/.nowcast'));
    const status = readFileSync(`/proc/${embedded.pid}/status`, 'utf8');
    const ids = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/);
    expect(new Set(ids('Uid')).size).toBe(1);
    expect(Number(ids('Uid')?.[0])).toBeGreaterThan(0);
    expect(Number(ids('Uid')?.[0])).toBeLessThan(65534);
    expect(ids('Groups')).toEqual(['']);
    expect(statSync(home)).toMatchObject({ uid: 0, mode: 0o040700 });
    expect(await query(embedded.url, 'select 1')).toEqual([['1']]);
  });
});
