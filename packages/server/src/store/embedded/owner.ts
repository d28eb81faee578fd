import { readdirSync, readFileSync } from 'node:fs';
import { link, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { StartupError } from '../../startupError.ts';
import { identify, isAlive, type ProcessIdentity } from './processIdentity.ts';

/** The process that uses a data directory. */
export type Owner = ProcessIdentity & {
  /** The command it runs, for people: `start`, `sql`. */
  purpose: string;
  /** Where its page is, once it listens. */
  url?: string;
};

/** Held while a process runs the embedded PostgreSQL of a data directory. */
export type Ownership = { release(): Promise<void> };

/**
 * Makes this process the only one that runs PostgreSQL on `dataDir`; throws a StartupError naming the one that
 * does already.
 *
 * Node has no file lock, and a lock file with a pid has a race when two starts find the same dead owner. So each
 * ownership is a new file `owner.N`: only one process can link N + 1 into place, and N only grows (a release marks
 * the file instead of removing it), so nobody can act on an older state. Whoever wins removes the older files.
 */
export async function takeOwnership(dataDir: string, purpose: string): Promise<Ownership> {
  const me = identify(process.pid);
  if (me === undefined)
    throw new StartupError('The start time of this very process cannot be read: is /proc mounted?');
  for (;;) {
    const generations = listGenerations(dataDir);
    const last = generations.at(-1) ?? 0;
    const owner = readOwner(dataDir, last);
    if (owner) throw new StartupError(takenSentence(dataDir, owner));
    const mine = ownerFile(dataDir, last + 1);
    const unlinked = `${mine}.${process.pid}`;
    await writeFile(unlinked, JSON.stringify({ ...me, purpose } satisfies Owner), { mode: 0o600 });
    try {
      await link(unlinked, mine);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    } finally {
      await rm(unlinked, { force: true });
    }
    await Promise.all(generations.map((older) => rm(ownerFile(dataDir, older), { force: true })));
    return { release: () => replace(mine, 'released') };
  }
}

/** The living process that uses the data directory, if any. */
export function findOwner(dataDir: string): Owner | undefined {
  return readOwner(dataDir, listGenerations(dataDir).at(-1) ?? 0);
}

/** Writes down where this process serves its page, so that a second start can point there. */
export async function announceUrl(dataDir: string, url: string): Promise<void> {
  const last = listGenerations(dataDir).at(-1) ?? 0;
  const owner = readOwner(dataDir, last);
  if (owner?.pid === process.pid) {
    await replace(ownerFile(dataDir, last), JSON.stringify({ ...owner, url } satisfies Owner));
  }
}

/** Tells a second start on the directory who is there and what to do. */
export function takenSentence(dataDir: string, { pid, purpose, url }: Owner): string {
  if (url !== undefined) {
    return `Nowcast already runs on this data directory at ${url} (process ${pid}, ${dataDir}): use that one, stop it first, or set NOWCAST_DATA_DIR and PORT for a second.`;
  }
  return `${dataDir} is in use by "nowcast ${purpose}" (process ${pid}): end that one first, or set NOWCAST_DATA_DIR to another directory.`;
}

const ownerFile = (dataDir: string, generation: number): string => path.join(dataDir, `owner.${generation}`);

function listGenerations(dataDir: string): number[] {
  let names: string[];
  try {
    names = readdirSync(dataDir);
  } catch {
    return [];
  }
  return names
    .map((name) => Number(/^owner\.(\d+)$/.exec(name)?.[1]))
    .filter((generation) => !Number.isNaN(generation))
    .sort((a, b) => a - b);
}

function readOwner(dataDir: string, generation: number): Owner | undefined {
  try {
    const owner = JSON.parse(readFileSync(ownerFile(dataDir, generation), 'utf8')) as Owner;
    return isAlive(owner) ? owner : undefined;
  } catch {
    // Missing, or marked as released.
    return undefined;
  }
}

async function replace(file: string, content: string): Promise<void> {
  await writeFile(`${file}.new`, content, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
