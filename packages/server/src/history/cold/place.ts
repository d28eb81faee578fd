import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { StartupError } from '../../startupError.ts';

/** The directory that NOWCAST_COLD_URL names: one Parquet file a day. */
export class ColdPlace {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws StartupError when the URL names no directory of this machine */
  static of(coldUrl: string): ColdPlace {
    if (coldUrl.startsWith('s3:')) {
      throw new StartupError(
        'NOWCAST_COLD_URL names a bucket, and Nowcast writes the archive to directories only as yet: use file:///path, and copy that directory to the bucket or mount it there.',
        2,
      );
    }
    try {
      return new ColdPlace(fileURLToPath(coldUrl));
    } catch (error) {
      throw new StartupError(
        `NOWCAST_COLD_URL must name a directory of this machine, like file:///var/lib/nowcast-archive, not ${coldUrl}.`,
        2,
        { cause: error },
      );
    }
  }

  pathOf(file: string): string {
    return path.join(this.directory, file);
  }

  /** Where this process keeps what is not finished. Whatever an earlier one left behind is removed. */
  async scratchDirectory(): Promise<string> {
    await mkdir(this.directory, { recursive: true });
    for (const name of await readdir(this.directory)) {
      const [, pid] = /^\.scratch-(\d+)$/.exec(name) ?? [];
      if (pid !== undefined && !isAlive(Number(pid)))
        await rm(this.pathOf(name), { recursive: true, force: true });
    }
    return this.pathOf(`.scratch-${process.pid}`);
  }

  /** Puts a finished file into its place, on disk before it has its name. */
  async publish(from: string, file: string): Promise<void> {
    await syncToDisk(from);
    await rename(from, this.pathOf(file));
    await syncToDisk(this.directory);
  }
}

async function syncToDisk(target: string): Promise<void> {
  const handle = await open(target, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
