import { spawn } from 'node:child_process';

/** Nowcast promises a clean stop within this. */
const STOP_WITHIN_MS = 6_000;
const KEPT_OUTPUT = 4_000;

/** Something that a person can see or change: shown without a stack. */
export class DemoError extends Error {}

/**
 * Starts a Node program and waits until it says that it is ready. It runs in a process group of its own: Ctrl-C in
 * the terminal reaches the demo only, which then stops what it started, each once and in order.
 *
 * @param {string} name
 * @param {string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, ready: RegExp, signal: AbortSignal }} options `ready` finds the
 *   program's address
 */
export async function startChild(name, args, { cwd, env, ready, signal }) {
  const child = spawn(process.execPath, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  /** @type {Promise<void>} */
  const ended = new Promise((resolve) => child.once('close', () => resolve()));

  async function stop() {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await ended;
    clearTimeout(late);
  }

  /** @type {Promise<string>} */
  const url = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        output = (output + text).slice(-KEPT_OUTPUT);
        const found = ready.exec(output)?.[1];
        if (found !== undefined) resolve(found);
      });
    }
    child.once('error', reject);
    ended.then(() => reject(new DemoError(`${output.trim()}\n\n${name} did not start: see above.`)));
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return {
      url: await url,
      stop,
      /** Resolves when it has ended, with what to tell where nobody told it to. */
      ended: ended.then(() => new DemoError(`${output.trim()}\n\n${name} ended: see above.`)),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @typedef {Awaited<ReturnType<typeof startChild>>} Child */
