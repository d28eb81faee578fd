import { execFileSync } from 'node:child_process';
import { constants, readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StartupError } from '../../startupError.ts';
import type { Account } from './account.ts';
import { clusterPath } from './cluster.ts';
import { identify, isAlive, type ProcessIdentity } from './processIdentity.ts';

const FAST_MS = 4_000;
const GIVE_UP_MS = 12_000;
const POLL_MS = 10;

/**
 * Makes a cluster startable after whatever happened before. To be called by the owner of the data directory, so a
 * PostgreSQL that still runs on it was left behind by a server that was killed: it is stopped.
 *
 * A postmaster.pid whose pid now belongs to another program, or to a zombie that a careless init never reaps, would
 * make PostgreSQL refuse to start. Removing the file would also remove its check for backends that outlived their
 * postmaster (they would corrupt the data), so only the pid is replaced: by ours, because PostgreSQL knows that its
 * own parent is no postmaster.
 */
export async function clearTheWay(
  dataDir: string,
  account: Account | undefined,
  onOrphan: (pid: number) => void,
): Promise<void> {
  const pidFile = path.join(clusterPath(dataDir), 'postmaster.pid');
  const lines = (await readPidFile(pidFile))?.split('\n');
  if (lines === undefined) return;
  const found = identify(Number(lines[0]));
  if (found && isPostmaster(found.pid, lines[3] ?? '')) {
    onOrphan(found.pid);
    await stopOrphan(dataDir, found);
    return;
  }
  await rm(pidFile);
  const handle = await open(pidFile, 'wx', 0o600);
  try {
    await handle.writeFile([process.pid, ...lines.slice(1)].join('\n'));
    if (account) await handle.chown(account.uid, account.gid);
  } finally {
    await handle.close();
  }
}

/** Never through a symbolic link: as root we read in a directory that belongs to another uid. */
async function readPidFile(file: string): Promise<string | undefined> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
    return await handle.readFile('utf8').finally(() => handle.close());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Whether the process is a PostgreSQL server of ours on this port. Its command line is readable by everybody,
 * other than its working directory, which root in a container may not ask for.
 */
function isPostmaster(pid: number, port: string): boolean {
  try {
    const args =
      process.platform === 'linux'
        ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        : execFileSync('ps', ['-o', 'command=', '-ww', '-p', String(pid)], { encoding: 'utf8' })
            .trim()
            .split(' ');
    return path.basename(args[0] ?? '') === 'postgres' && args.includes(`port=${port.trim()}`);
  } catch {
    return false;
  }
}

async function stopOrphan(dataDir: string, orphan: ProcessIdentity): Promise<void> {
  const stuck = () =>
    new StartupError(
      `Another PostgreSQL (process ${orphan.pid}) still runs on ${clusterPath(dataDir)}: stop it with "kill -INT ${orphan.pid}", then start again.`,
    );
  const signal = (name: 'SIGINT' | 'SIGQUIT') => {
    try {
      process.kill(orphan.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EPERM') throw stuck();
    }
  };
  const started = performance.now();
  signal('SIGINT');
  let urgent = false;
  while (isAlive(orphan)) {
    const waitedMs = performance.now() - started;
    if (waitedMs > GIVE_UP_MS) throw stuck();
    if (waitedMs > FAST_MS && !urgent) {
      urgent = true;
      signal('SIGQUIT');
    }
    await delay(POLL_MS);
  }
}
