import { spawn } from 'node:child_process';

/** A step that failed for a reason the person can see or change: shown without a stack. */
export class StepError extends Error {}

/**
 * Runs a Node program quietly; what it says is shown only when it fails.
 *
 * @param {string} sentence what a failure means and what to do
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string }} options
 */
export async function run(sentence, command, args, { cwd }) {
  let output = '';
  const code = await new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output = (output + text).slice(-8_000);
      });
    }
    child.on('error', (error) => {
      output += error.message;
      resolve(1);
    });
    child.on('close', resolve);
  });
  if (code !== 0) throw new StepError(`${output.trim()}\n\n${sentence}`);
}
