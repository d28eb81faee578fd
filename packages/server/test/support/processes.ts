import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, onTestFinished, vi } from 'vitest';
import { startEmbedded } from '../../src/store/embedded/embedded.ts';
import { isAlive, type ProcessIdentity } from '../../src/store/embedded/processIdentity.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const bin = path.join(root, 'packages/server/bin/nowcast.mjs');
const embeddedProcess = fileURLToPath(new URL('embeddedProcess.mjs', import.meta.url));

/** Tests that start real processes run the build: call this in `beforeAll`. */
export async function buildServer(): Promise<void> {
  await promisify(execFile)(process.execPath, [path.join(root, 'scripts/build.mjs'), 'server']);
}

/** A directory that is gone after the test; mode 0700 and ours, like a home. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
  // A PostgreSQL whose server was killed may be closing its files still.
  onTestFinished(() => rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return directory;
}

let clusterTemplate: Promise<string> | undefined;

// Registered by the test file that imports this.
afterAll(async () => {
  if (clusterTemplate) await rm(await clusterTemplate, { recursive: true, force: true });
});

/** A data directory with a cluster that ran and was stopped: copying one takes a tenth of making one. */
export async function clusterDirectory(): Promise<string> {
  clusterTemplate ??= makeCluster();
  const dataDir = path.join(await temporaryDirectory(), 'data');
  await promisify(execFile)('cp', ['-a', await clusterTemplate, dataDir]);
  return dataDir;
}

async function makeCluster(): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
  const embedded = await startEmbedded({ dataDir: directory, log: { info() {}, warn: console.warn } });
  await embedded.stop();
  return directory;
}

export type Spawned = {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves once stdout holds the text; rejects when the process ends without. */
  says(text: string): Promise<void>;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
};

/** `nowcast ...` as a person runs it, without any setting of our own environment; killed after the test. */
export function spawnNowcast(args: string[], env: Record<string, string> = {}, input?: string): Spawned {
  return spawnNode([bin, ...args], env, input);
}

/** A process that runs the embedded PostgreSQL on a directory, ready. */
export async function spawnEmbedded(
  dataDir: string,
): Promise<Spawned & { url: string; pid: number; watchdogPid: number }> {
  const spawned = spawnNode([embeddedProcess, dataDir], {}, undefined, true);
  await spawned.says('\n');
  return {
    ...spawned,
    ...(JSON.parse(spawned.stdout()) as { url: string; pid: number; watchdogPid: number }),
  };
}

function spawnNode(args: string[], env: Record<string, string>, input?: string, keepStdin = false): Spawned {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: 'pipe',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  if (!keepStdin) child.stdin.end(input);
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (stdout.includes(text)) resolve();
        };
        child.stdout.on('data', look);
        look();
        void ended.then(() =>
          reject(new Error(`ended without saying ${JSON.stringify(text)}: ${stdout}${stderr}`)),
        );
      }),
  };
}

/** Resolves when a process that is not our child has ended: the system tells only parents. */
export async function gone(process: ProcessIdentity, timeoutMs = 90_000): Promise<void> {
  await vi.waitFor(
    () => {
      if (isAlive(process)) throw new Error(`process ${process.pid} still runs`);
    },
    { timeout: timeoutMs, interval: 10 },
  );
}

/** The rows of one query, each as an array of texts. */
export async function query(url: string, sql: string): Promise<string[][]> {
  const client = new pg.Client({
    connectionString: url,
    types: { getTypeParser: () => (text: string) => text },
  });
  await client.connect();
  try {
    return (await client.query<string[]>({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}
