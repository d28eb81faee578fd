import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';

const pieceBytes = 1024 * 1024;

/** Holds the mount as long as we hold its standard input, however we end. */
const keep = 'mount -t tmpfs -o size="$1",mode=0755 tmpfs "$2" && echo mounted && exec cat > /dev/null';

/**
 * A file system of a few hundred megabytes that is there for our processes alone: a tmpfs in a mount namespace of its
 * own, which goes with the processes in it.
 */
export class SmallDisk {
  /** Where it lies for the processes that see it. */
  readonly folder: string;
  readonly #keeper: ChildProcess;

  private constructor(folder: string, keeper: ChildProcess) {
    this.folder = folder;
    this.#keeper = keeper;
  }

  /** @returns why there can be none on this machine; undefined where there can */
  static missing(): string | undefined {
    if (process.platform !== 'linux') return 'only Linux has mount namespaces';
    if (process.getuid?.() !== 0) return 'mounting a small file system takes root';
    const tried = spawnSync('unshare', [
      '--mount',
      'sh',
      '-c',
      'mount -t tmpfs tmpfs /mnt && command -v nsenter',
    ]);
    if (tried.error !== undefined) return `unshare cannot be run (${tried.error.message})`;
    return tried.status === 0 ? undefined : `a mount namespace is refused (${String(tried.stderr).trim()})`;
  }

  static async mount(folder: string, bytes: number): Promise<SmallDisk> {
    mkdirSync(folder);
    const keeper = spawn(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-c', keep, 'small-disk', String(bytes), folder],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const [said] = await Promise.race([once(keeper.stdout!, 'data'), once(keeper, 'exit')]);
    if (String(said).trim() !== 'mounted') throw new Error(`the small disk could not be mounted: ${said}`);
    return new SmallDisk(folder, keeper);
  }

  /** To stand before a command that is to see the disk. */
  get prefix(): readonly string[] {
    return ['nsenter', `--mount=/proc/${this.#keeper.pid}/ns/mnt`];
  }

  /** Where we find it ourselves. */
  get outside(): string {
    return path.join(`/proc/${this.#keeper.pid}/root`, this.folder);
  }

  /** Until nothing more can be written. */
  fill(): void {
    const file = openSync(this.#filler, 'w');
    const piece = Buffer.alloc(pieceBytes);
    try {
      for (let size = piece.length; size > 0; ) {
        try {
          writeSync(file, piece, 0, size);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          size >>>= 1;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  empty(): void {
    rmSync(this.#filler, { force: true });
  }

  async close(): Promise<void> {
    const ended = once(this.#keeper, 'exit');
    this.#keeper.stdin!.end();
    await ended;
  }

  get #filler(): string {
    return path.join(this.outside, 'filler');
  }
}
