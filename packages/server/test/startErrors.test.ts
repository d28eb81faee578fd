import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { meansDiskFull } from '../src/store/diskFull.ts';
import { buildServer, clusterDirectory, spawnNowcast, temporaryDirectory } from './support/processes.ts';

beforeAll(buildServer);

const root = fileURLToPath(new URL('../../../', import.meta.url));
const kibibyte = 1024;

/** A file system of its own, gone after the test. */
async function smallDisk(bytes: number): Promise<string> {
  const at = path.join(await temporaryDirectory(), 'disk');
  mkdirSync(at);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=755`, 'tmpfs', at], { stdio: 'pipe' });
  onTestFinished(() => void execFileSync('umount', ['--lazy', at]));
  return at;
}

/** Only root may, and not in every container. */
function mayMount(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    execFileSync('mount', ['--fake', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function expectDiskFull(dataDir: string): Promise<void> {
  const env = { NOWCAST_DATA_DIR: dataDir, NOWCAST_LOG_LEVEL: 'warn', PORT: '0' };
  const { ended, stderr } = spawnNowcast(['start'], env);
  expect((await ended).code).toBe(1);
  expect(stderr()).toBe(
    `The disk that holds ${dataDir} is full: make room, or set NOWCAST_DATA_DIR to another directory.\n`,
  );
}

describe.runIf(mayMount())('a full disk is one sentence', () => {
  test('where it has no room for a cluster', async () => {
    await expectDiskFull(path.join(await smallDisk(20_000 * kibibyte), 'data'));
  });

  test.each([0, 1_000])('where %i KiB are left for the tables', async (left) => {
    const disk = await smallDisk(100_000 * kibibyte);
    const dataDir = path.join(disk, 'data');
    await promisify(execFile)('cp', ['-a', await clusterDirectory(), dataDir]);
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(path.join(disk, 'other'), Buffer.alloc(bavail * bsize - left * kibibyte));
    await expectDiskFull(dataDir);
  });
});

test('a full disk is recognised by code, by words and by causes', () => {
  const coded = (code: string) => Object.assign(new Error('x'), { code });
  for (const error of [
    coded('ENOSPC'),
    coded('53100'),
    new Error('schema/0001_tables.sql: x', { cause: coded('53100') }),
    new Error('could not extend file "base/16384/16788": No space left on device'),
    'PANIC:  could not write to file "pg_wal/xlogtemp.71": No space left on device',
    'could not extend file "base/16384/16470": wrote only 4096 of 8192 bytes at block 0',
  ]) {
    expect(meansDiskFull(error)).toBe(true);
  }
  for (const other of [coded('EACCES'), coded('53200'), 'out of memory', undefined, { code: 'ENOSPC' }]) {
    expect(meansDiskFull(other)).toBe(false);
  }
});

/** Runs a program of the repository in a Node that takes itself for another one. */
async function refusalOf(
  program: string,
  property: 'versions' | 'platform',
  value: unknown,
): Promise<unknown> {
  const pretence = `Object.defineProperty(process, '${property}', { value: ${JSON.stringify(value)} })`;
  const preload = `data:text/javascript,${encodeURIComponent(pretence)}`;
  const { DATABASE_URL: _, ...env } = process.env;
  return await promisify(execFile)(
    process.execPath,
    ['--import', preload, path.join(root, program), 'start'],
    {
      env,
    },
  ).catch((error: unknown) => error);
}

test.each(['scripts/start.mjs', 'scripts/demo.mjs', 'scripts/test.mjs', 'packages/server/bin/nowcast.mjs'])(
  '%s says which Node it needs to one that is too old',
  async (program) => {
    expect(await refusalOf(program, 'versions', { ...process.versions, node: '20.18.3' })).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'Nowcast needs Node 20.19 or newer and this is 20.18.3: see https://nodejs.org.\n',
    });
  },
);

test.each(['scripts/start.mjs', 'packages/server/bin/nowcast.mjs'])(
  '%s names DATABASE_URL and WSL on Windows',
  async (program) => {
    expect(await refusalOf(program, 'platform', 'win32')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `The embedded PostgreSQL does not exist for win32-${process.arch}: set DATABASE_URL to a PostgreSQL 15 or newer, or run Nowcast inside WSL.\n`,
    });
  },
);

test('what npm runs leaves no shell between npm and Node, and is a command on Windows too', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of ['start', 'demo', 'test']) expect(scripts[name]).toBe(`exec node scripts/${name}.mjs`);
  // cmd.exe looks into the directory that npm runs it in before it says that there is no `exec`.
  expect(readFileSync(path.join(root, 'exec.cmd'), 'latin1')).toMatch(/^@rem .*\r\n@%\*\r\n$/);
});
