import type { ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { StartupError } from '../../startupError.ts';
import { meansDiskFull } from '../diskFull.ts';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';
import { openPlace, spawnDetached } from './childProcess.ts';
import { clusterPath, fileSystemSentence } from './cluster.ts';
import { serverOptions } from './configuration.ts';
import { type Address, connectionUrl, DATABASE, ROLE } from './urlFile.ts';
import { startWatchdog } from './watchdog.ts';

/** One running PostgreSQL server process. */
export type Postmaster = {
  readonly pid: number;
  readonly watchdogPid: number | undefined;
  /** Resolves when the process has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** Fast shutdown; what does not end within `fastMs` is stopped at once (the WAL makes that safe). */
  stop(fastMs?: number): Promise<void>;
};

/** The port was taken between our look and PostgreSQL's. */
export class PortTakenError extends Error {}

/** Crash recovery replays up to max_wal_size; past this the disk is broken or the machine is standing still. */
const START_TIMEOUT_MS = 120_000;
/**
 * How long to wait before asking again: finely at first, since a start takes 16 ms; then a twentieth of the time
 * that has passed, because each refusal during a long recovery is a line in postgres.log.
 */
const pollMs = (waitedMs: number): number => Math.min(Math.max(4, waitedMs / 20), 500);
const LOG_ROTATION_BYTES = 10 * 2 ** 20;

/** Starts PostgreSQL on a cluster that nobody else is running, and resolves when it accepts queries. */
export async function startPostmaster(options: {
  dataDir: string;
  binaries: Binaries;
  account: Account | undefined;
  address: Address;
  maxConnections: number | undefined;
  /** Abandons a start that is under way: recovery after a crash can take long. */
  signal: AbortSignal;
  warn(message: string): void;
}): Promise<Postmaster> {
  const { dataDir, binaries, account, address, maxConnections, signal } = options;
  const logFile = path.join(dataDir, 'postgres.log');
  const log = openLog(logFile);
  const logStart = fstatSync(log).size;
  const place = openPlace(clusterPath(dataDir), account);
  let child: ChildProcess;
  try {
    child = spawnDetached(
      binaries.postgres,
      ['-D', place.argument, ...serverOptions(address.port, maxConnections)],
      {
        account,
        place,
        output: log,
      },
    );
  } finally {
    place.close();
    closeSync(log);
  }
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const spawned = await new Promise<number | Error>((resolve) => {
    child.once('error', resolve);
    child.once('spawn', () => resolve(child.pid ?? new Error('no pid')));
  });
  if (spawned instanceof Error) throw programError(binaries.postgres, spawned);

  // Before it is ready: our process may be killed while PostgreSQL recovers, too.
  const watchdog = startWatchdog(spawned, account, options.warn);
  void ended.then(() => watchdog.close());
  const postmaster: Postmaster = {
    pid: spawned,
    get watchdogPid() {
      return watchdog.pid;
    },
    ended,
    stop: (fastMs) => stop(child, ended, fastMs),
  };
  const abandon = () => void postmaster.stop();
  signal.addEventListener('abort', abandon);
  try {
    await ready(address, ended);
  } catch (error) {
    if (!hasEnded(child)) await postmaster.stop(0);
    throw error === ENDED ? startError(dataDir, logFile, logStart) : error;
  } finally {
    signal.removeEventListener('abort', abandon);
  }
  return postmaster;
}

/** Below those that systems give to outgoing connections (Linux from 32768, others from 49152). */
const firstOwnPort = 20_000;
const ownPorts = 10_000;

/**
 * The preferred port where nobody listens on it, otherwise one that stays ours while PostgreSQL is down: its URL is to
 * outlast a restart, and a port that the system gives away by itself may be anybody's by then.
 */
export async function freePort(preferred?: number): Promise<number> {
  for (let tries = 0; tries < 20; tries++) {
    const wanted = tries === 0 ? preferred : undefined;
    const port = wanted ?? firstOwnPort + Math.floor(Math.random() * ownPorts);
    const found = await listenOnce(port).catch(() => undefined);
    if (found !== undefined) return found;
  }
  return await listenOnce(0);
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const { port: found } = server.address() as { port: number };
      server.close(() => resolve(found));
    });
  });
}

const ENDED = Symbol('ended before it was ready');

async function ready(address: Address, ended: Promise<void>): Promise<void> {
  const started = performance.now();
  let gone = false;
  void ended.then(() => (gone = true));
  while (!gone) {
    try {
      await query(connectionUrl(address), 'select 1');
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === '3D000') {
        await query(connectionUrl(address, 'postgres'), `create database ${DATABASE} owner ${ROLE}`);
        continue;
      }
      if (!isTemporary(code)) throw error;
      const waitedMs = performance.now() - started;
      if (waitedMs > START_TIMEOUT_MS) throw error;
      await Promise.race([delay(pollMs(waitedMs)), ended]);
    }
  }
  throw ENDED;
}

/**
 * Refused: not listening yet. 57P03: starting up or recovering. 57P01, 57P02: going down, which `ended` tells. 53300:
 * everybody who waited for PostgreSQL came before us.
 */
function isTemporary(code: string | undefined): boolean {
  return (
    code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === '53300' || (code ?? '').startsWith('57P')
  );
}

async function query(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: START_TIMEOUT_MS });
  // A server that goes away under us also emits this beside rejecting what is in flight.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(text);
  } finally {
    await client.end().catch(() => undefined);
  }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function stop(child: ChildProcess, ended: Promise<void>, fastMs = 4_000): Promise<void> {
  if (hasEnded(child)) return;
  const timers: NodeJS.Timeout[] = [];
  if (fastMs > 0) child.kill('SIGINT');
  timers.push(setTimeout(() => child.kill('SIGQUIT'), fastMs));
  // PostgreSQL itself kills children that ignore SIGQUIT after 5 s; this is for a postmaster that hangs.
  timers.push(setTimeout(() => child.kill('SIGKILL'), fastMs + 6_000));
  await ended;
  timers.forEach(clearTimeout);
}

/** Appends; starts a new file where the old one has grown large, and keeps one old file. */
function openLog(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_ROTATION_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}

function programError(program: string, error: Error): StartupError {
  const { code } = error as NodeJS.ErrnoException;
  // The kernel says ENOENT of a program whose loader is missing: musl instead of glibc.
  const reason =
    code === 'ENOENT'
      ? 'needs glibc, which this system (Alpine?) does not have'
      : `could not be run (${code ?? error.message})`;
  return new StartupError(
    `The embedded PostgreSQL (${program}) ${reason}: set DATABASE_URL to a PostgreSQL 15 or newer.`,
    1,
    { cause: error },
  );
}

/** PostgreSQL ended before it was ready: its own last words say why. */
function startError(dataDir: string, logFile: string, logStart: number): Error {
  const said = readFrom(logFile, logStart);
  if (/could not bind .*(Address already in use|in use)/.test(said)) return new PortTakenError('port taken');
  const code = meansDiskFull(said) ? 'ENOSPC' : /Permission denied/.test(said) ? 'EACCES' : undefined;
  const words = said.match(/(?:FATAL|PANIC): .*/g)?.at(-1) ?? said.trim().split('\n').at(-1) ?? '';
  return new StartupError(
    fileSystemSentence(dataDir, code) ??
      `PostgreSQL did not start (${words.replace(/^(FATAL|PANIC):\s*/, '')}): see ${logFile}.`,
  );
}

function readFrom(file: string, start: number): string {
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(Math.min(Math.max(fstatSync(fd).size - start, 0), 64 * 1024));
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, start));
  } finally {
    closeSync(fd);
  }
}
