import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { StartupError } from '../../startupError.ts';
import type { ColdPlace } from './place.ts';
import { scratchDirectoryIn } from './scratchDirectory.ts';
import { sha256OfFile } from './sha256.ts';

/** The archive in a directory of this machine. */
export class DirectoryPlace implements ColdPlace {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws StartupError when the URL names no directory of this machine */
  static of(coldUrl: string): DirectoryPlace {
    try {
      return new DirectoryPlace(fileURLToPath(coldUrl));
    } catch (error) {
      throw new StartupError(
        `NOWCAST_COLD_URL must name a directory of this machine, like file:///var/lib/nowcast-archive, or a bucket, like s3://bucket/prefix, not ${coldUrl}.`,
        2,
        { cause: error },
      );
    }
  }

  /** Beside the files, so that a finished one only gets its name. */
  scratchDirectory(): Promise<string> {
    return scratchDirectoryIn(this.directory);
  }

  /** On disk before it has its name. */
  async publish(from: string, file: string): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    await syncToDisk(from);
    await rename(from, this.nameOf(file));
    await syncToDisk(this.directory);
  }

  async sha256Of(file: string): Promise<string | undefined> {
    return existsSync(this.nameOf(file)) ? await sha256OfFile(this.nameOf(file)) : undefined;
  }

  async exists(file: string): Promise<boolean> {
    return existsSync(this.nameOf(file));
  }

  async fetch(file: string): Promise<string> {
    return this.nameOf(file);
  }

  async remove(file: string): Promise<void> {
    await rm(this.nameOf(file), { force: true });
  }

  nameOf(file: string): string {
    return path.join(this.directory, file);
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
