import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

/** The name of this process' scratch directory in another one, from which those of dead processes are removed. */
export async function scratchDirectoryIn(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  for (const name of await readdir(directory)) {
    const [, pid] = /^\.scratch-(\d+)$/.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid)))
      await rm(path.join(directory, name), { recursive: true, force: true });
  }
  return path.join(directory, `.scratch-${process.pid}`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
