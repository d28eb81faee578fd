import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Pipeline } from './pipeline.ts';

const script = fileURLToPath(new URL('killedCold.mjs', import.meta.url));

interface KilledWork {
  readonly coldUrl: string;
  /** What runs: retention, or the restoring of a day, `YYYY-MM-DD`. */
  readonly work: string;
  /** Counted from 1. */
  readonly killAt: number;
  readonly steps: readonly ('statements' | 'requests')[];
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Runs work of the archive in a process that is killed at one of its steps, and waits until PostgreSQL has noticed.
 *
 * @returns false when it ended before that step
 */
export async function killedAt(
  pipeline: Pipeline,
  { coldUrl, work, killAt, steps, environment = {} }: KilledWork,
): Promise<boolean> {
  const killed = await new Promise<boolean>((resolve, reject) => {
    execFile(
      process.execPath,
      [script, pipeline.url, coldUrl, work, String(killAt), steps.join()],
      { env: { ...process.env, ...environment } },
      (error, _, stderr) => {
        if (error !== null && error.signal !== 'SIGKILL') reject(new Error(stderr));
        else resolve(error !== null);
      },
    );
  });
  // Until then its locks are held, and what it began is not rolled back.
  await expect
    .poll(() =>
      pipeline.query(
        `select from pg_stat_activity where application_name = 'killed' and datname = current_database()`,
      ),
    )
    .toEqual([]);
  return killed;
}
