import { existsSync, readFileSync } from 'node:fs';
import { chown, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { StartupError } from '../../startupError.ts';
import { meansDiskFull } from '../diskFull.ts';
import { type Account, giveTree, listedAccount } from './account.ts';
import { type Binaries, POSTGRES_MAJOR } from './binaries.ts';
import { openPlace, runDetached } from './childProcess.ts';
import { ROLE } from './urlFile.ts';

export const clusterPath = (dataDir: string): string => path.join(dataDir, 'postgres');

/** Whether the data directory holds a cluster; throws where it is one that this PostgreSQL cannot open. */
export function clusterExists(dataDir: string): boolean {
  const cluster = clusterPath(dataDir);
  if (!existsSync(cluster)) return false;
  let version: string;
  try {
    version = readFileSync(path.join(cluster, 'PG_VERSION'), 'utf8').trim();
  } catch (error) {
    throw new StartupError(
      `${cluster} exists but holds no PostgreSQL cluster (PG_VERSION cannot be read): move it away, or set NOWCAST_DATA_DIR to another directory.`,
      1,
      { cause: error },
    );
  }
  if (version !== String(POSTGRES_MAJOR)) {
    throw new StartupError(
      `${cluster} was made by PostgreSQL ${version} and this Nowcast brings PostgreSQL ${POSTGRES_MAJOR}: dump it with the Nowcast that made it and restore it here, or set NOWCAST_DATA_DIR to a new directory.`,
    );
  }
  return true;
}

/**
 * Makes the cluster with `password` for the owner role. Built beside its place and renamed at the end: a crash or
 * a full disk leaves no half cluster that the next start would take for a whole one.
 */
export async function createCluster(
  dataDir: string,
  binaries: Binaries,
  account: Account | undefined,
  password: string,
): Promise<void> {
  const unfinished = path.join(dataDir, 'postgres.new');
  const passwordFile = path.join(dataDir, 'postgres.password');
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  try {
    await rm(passwordFile, { force: true });
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' });
    const maker = listedAccount(unfinished);
    if (maker) await chown(passwordFile, maker.uid, maker.gid);
    const place = openPlace(unfinished, maker);
    const passwordHandle = await open(passwordFile, 'r');
    const { code, output } = await runDetached(
      binaries.initdb,
      [
        ...['-D', place.argument, '--username', ROLE],
        `--pwfile=${maker ? '/proc/self/fd/4' : passwordFile}`,
        '--auth=scram-sha-256',
        // PostgreSQL's own C.UTF-8 sorts alike on every platform and survives upgrades of the C library.
        ...['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'],
        '--no-instructions',
      ],
      { account: maker, place, extraFd: passwordHandle.fd },
    ).finally(async () => {
      place.close();
      await passwordHandle.close();
    });
    if (code !== 0) throw initdbError(dataDir, output);
    if (account) giveTree(unfinished, account);
    await rename(unfinished, clusterPath(dataDir));
    await syncDirectory(dataDir);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw asStartupError(dataDir, error);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/**
 * Sets the owner role's password in a cluster that is not running: the way back for somebody who deleted
 * postgres.url, without which the password is nowhere.
 */
export async function resetPassword(
  dataDir: string,
  binaries: Binaries,
  account: Account | undefined,
  password: string,
): Promise<void> {
  const cluster = clusterPath(dataDir);
  const maker = listedAccount(cluster);
  if (maker) giveTree(cluster, maker);
  const place = openPlace(cluster, maker);
  const { code, output } = await runDetached(
    binaries.postgres,
    ['--single', '-j', '-D', place.argument, 'postgres'],
    { account: maker, place, input: `alter role ${ROLE} password '${password}';\n\n` },
  ).finally(() => {
    place.close();
    if (account) giveTree(cluster, account);
  });
  if (code !== 0)
    throw new StartupError(`The password of ${cluster} could not be set anew: ${lastLine(output)}`);
}

/**
 * Makes the data directory, private; one that exists keeps its mode (it may be somebody's home): what is secret in
 * it is private by itself. Says in one sentence why a directory cannot be used.
 */
export async function openDataDirectory(dataDir: string): Promise<void> {
  try {
    await makeDirectory(dataDir);
    await readdir(dataDir);
  } catch (error) {
    throw asStartupError(dataDir, error);
  }
}

/**
 * Parents first. Not mkdir's own `recursive`: it never ends where a directory exists and nothing can be made in it,
 * as in /proc (Node 20 and 24).
 */
async function makeDirectory(directory: string): Promise<void> {
  const make = () =>
    mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  try {
    await make();
  } catch (error) {
    const parent = path.dirname(directory);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === directory) throw error;
    await makeDirectory(parent);
    await make();
  }
}

/** A failure of the file system below the data directory as a sentence that says what to do. */
export function asStartupError(dataDir: string, error: unknown): unknown {
  if (error instanceof StartupError) return error;
  const { syscall } = error as NodeJS.ErrnoException;
  const code = meansDiskFull(error) ? 'ENOSPC' : (error as NodeJS.ErrnoException).code;
  const sentence =
    code === 'ENOENT' && (syscall === 'mkdir' || syscall === 'open')
      ? `Nothing can be stored in ${dataDir}: set NOWCAST_DATA_DIR to a directory on a disk.`
      : fileSystemSentence(dataDir, code);
  return sentence === undefined ? error : new StartupError(sentence, 1, { cause: error });
}

export function fileSystemSentence(dataDir: string, code: string | undefined): string | undefined {
  const elsewhere = 'or set NOWCAST_DATA_DIR to another directory';
  if (code === 'ENOSPC') return `The disk that holds ${dataDir} is full: make room, ${elsewhere}.`;
  if (code === 'EROFS') return `${dataDir} lies on a read-only file system: ${elsewhere.slice(3)}.`;
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return `${dataDir} is not a directory: move it away, ${elsewhere}.`;
  if (code === 'EACCES' || code === 'EPERM') {
    return `${dataDir} may not be used by this user: start Nowcast as the user that made it, ${elsewhere}.`;
  }
  return undefined;
}

function initdbError(dataDir: string, output: string): StartupError {
  const code = meansDiskFull(output) ? 'ENOSPC' : /Permission denied/.test(output) ? 'EACCES' : undefined;
  const unknownUid = /could not look up effective user ID (\d+)/.exec(output)?.[1];
  if (unknownUid !== undefined) {
    return new StartupError(
      `PostgreSQL's initdb runs only as a user that this system knows, and uid ${unknownUid} has no entry in /etc/passwd: add one, start Nowcast as another user or as root, or set DATABASE_URL.`,
    );
  }
  const detail = /^initdb: error: .*|^.*FATAL: .*/m.exec(output)?.[0] ?? lastLine(output);
  return new StartupError(
    fileSystemSentence(dataDir, code) ?? `PostgreSQL could not make its cluster in ${dataDir}: ${detail}`,
  );
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}
