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
const unfinishedSuffix = '.batch.part';
/** Nobody writes a batch for so long: a crash has left the file. */
const maxWritingMs = 60_000;

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
        const file = path.join(directory, name);
        const found = await stat(file).catch(undefinedIfMissing);
        // Sent, finished or removed by another process that shares the directory.
        if (found === undefined) continue;
        if (name.endsWith(unfinishedSuffix) && Date.now() - found.mtimeMs > maxWritingMs) await remove(file);
        const [, events, id] = filePattern.exec(name) ?? [];
        if (events === undefined || id === undefined) continue;
        files.push({ name, id, events: Number(events), bytes: found.size });
        bytes += found.size;
      }
      return files.reduce((sum, file) => sum + file.events, 0);
    },

    async put({ id, events, body }: Batch) {
      const order = `${String(Date.now()).padStart(14, '0')}-${String(sequence++).padStart(8, '0')}`;
      const name = `${order}-${events}-${id}.batch`;
      // Whole or not at all: a file that a crash cut short has another name.
      const unfinished = path.join(directory, `${order}-${events}-${id}${unfinishedSuffix}`);
      try {
        await writeFile(unfinished, body, { mode: 0o600 });
        await rename(unfinished, path.join(directory, name));
      } catch (error) {
        // Of a full disk: what was written is in the way of the next one.
        await remove(unfinished);
        throw error;
      }
      const file = { name, id, events, bytes: body.length };
      files.push(file);
      bytes += file.bytes;
      let evicted = 0;
      while (bytes > maxBytes && files.length > 0) evicted += await drop(files[0]!);
      return evicted;
    },

    async oldest() {
      for (let file = files[0]; file !== undefined; file = files[0]) {
        const read = await readFile(path.join(directory, file.name)).catch(undefinedIfMissing);
        if (read !== undefined) {
          const { id, events } = file;
          const body = new Uint8Array(read);
          return { id, events, body, dropped: undefined, formedAtMs: performance.now(), spooled: true };
        }
        await drop(file);
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
    await remove(path.join(directory, file.name));
    return file.events;
  }
}

async function remove(file: string): Promise<void> {
  await unlink(file).catch(undefinedIfMissing);
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
