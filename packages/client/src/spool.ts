import { mkdir, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Batch } from './batch.ts';
import type { Spool } from './spoolContract.ts';
import { type BatchStore, SpooledBatches } from './spooledBatches.ts';

export interface SpoolOptions {
  /** Made when missing. Processes may share it: a batch that two of them send is stored once. */
  readonly directory: string;
  /** The oldest batches go beyond this. */
  readonly maxBytes?: number;
}

interface SpooledFile {
  readonly name: string;
  readonly id: string;
  readonly events: number;
  readonly bytes: number;
}

/** `time-sequence-events-id.batch`: what has to be known of a file stands in its name. */
const filePattern = /^\d+-\d+-(\d+)-([\w-]+)\.batch$/;

/** Keeps batches on disk while Nowcast is down, through restarts of the process. */
export function fileSpool(options: SpoolOptions): Spool {
  return (tally, warn) => new SpooledBatches(filesOf(options), tally, warn);
}

function filesOf({ directory, maxBytes = 64 * 1024 * 1024 }: SpoolOptions): BatchStore {
  const files: SpooledFile[] = [];
  let bytes = 0;
  let sequence = 0;

  return {
    async open() {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      for (const name of (await readdir(directory)).sort()) {
        const [, events, id] = filePattern.exec(name) ?? [];
        if (events === undefined || id === undefined) continue;
        const { size } = await stat(path.join(directory, name));
        files.push({ name, id, events: Number(events), bytes: size });
        bytes += size;
      }
      return files.reduce((sum, file) => sum + file.events, 0);
    },

    async put({ id, events, body }: Batch) {
      const order = `${String(Date.now()).padStart(14, '0')}-${String(sequence++).padStart(8, '0')}`;
      const name = `${order}-${events}-${id}.batch`;
      // Whole or not at all: a file that a crash cut short has another name.
      const unfinished = path.join(directory, `${name}.part`);
      await writeFile(unfinished, body, { mode: 0o600 });
      await rename(unfinished, path.join(directory, name));
      const file = { name, id, events, bytes: body.length };
      files.push(file);
      bytes += file.bytes;
      let evicted = 0;
      while (bytes > maxBytes && files.length > 0) evicted += await drop(files[0]!);
      return evicted;
    },

    async oldest() {
      for (let file = files[0]; file !== undefined; file = files[0]) {
        try {
          const body = new Uint8Array(await readFile(path.join(directory, file.name)));
          const { id, events } = file;
          return { id, events, body, dropped: undefined, formedAtMs: performance.now(), spooled: true };
        } catch (error) {
          if (!isMissing(error)) throw error;
          await drop(file);
        }
      }
      return undefined;
    },

    async remove(id) {
      const file = files.find((one) => one.id === id);
      if (file !== undefined) await drop(file);
    },
  };

  async function drop(file: SpooledFile): Promise<number> {
    files.splice(files.indexOf(file), 1);
    bytes -= file.bytes;
    try {
      await unlink(path.join(directory, file.name));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return file.events;
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
