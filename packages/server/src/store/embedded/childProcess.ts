import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Account } from './account.ts';

/** The cluster's directory as PostgreSQL is told about it: `-D argument`, with `fd` handed over as number 3. */
export type Place = { argument: string; fd: number | undefined; close(): void };

/**
 * Another uid cannot walk to a directory below a home with mode 0700, but it may use one that root has opened
 * for it: Linux resolves /proc/self/fd/3 without asking the directories above.
 */
export function openPlace(directory: string, account: Account | undefined): Place {
  if (account === undefined) return { argument: directory, fd: undefined, close() {} };
  const fd = openSync(directory, 'r');
  return { argument: '/proc/self/fd/3', fd, close: () => closeSync(fd) };
}

/**
 * Starts one of PostgreSQL's programs under `account`, in its own session: Ctrl-C in the terminal reaches only
 * our server, which drains first and stops PostgreSQL last.
 *
 * Node drops the supplementary groups whenever `uid` is given. The environment is our own choice so that a
 * PGOPTIONS or LC_ALL of the user's shell changes nothing.
 */
export function spawnDetached(
  command: string,
  args: string[],
  options: {
    account: Account | undefined;
    place?: Place;
    stdin?: 'ignore' | 'pipe' | number;
    /** File descriptor that stdout and stderr go to; without it they are discarded, 'pipe' lets us read. */
    output?: number | 'pipe';
    /** Becomes descriptor 4. */
    extraFd?: number;
  },
): ChildProcess {
  const output = options.output ?? 'ignore';
  return spawn(command, args, {
    stdio: [
      options.stdin ?? 'ignore',
      output,
      output,
      options.place?.fd ?? 'ignore',
      options.extraFd ?? 'ignore',
    ],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    cwd: '/',
    detached: true,
    ...options.account,
  });
}

/** Runs a program to its end; resolves with its exit code and all it said. */
export async function runDetached(
  command: string,
  args: string[],
  options: { account: Account | undefined; place?: Place; input?: string; extraFd?: number },
): Promise<{ code: number | null; output: string }> {
  const child = spawnDetached(command, args, {
    ...options,
    output: 'pipe',
    stdin: options.input === undefined ? 'ignore' : 'pipe',
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text));
  // A program that ends without reading its input gives EPIPE here; its exit code says more.
  child.stdin?.on('error', () => undefined).end(options.input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}
