import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Debian's own Python has Debian's packages; another one that comes first in PATH has not. `PYTHON` names any. */
const candidates = process.env.PYTHON === undefined ? ['/usr/bin/python3', 'python3'] : [process.env.PYTHON];

/** A Python that can import all of these; otherwise why not, which is printed, so that a skipped test is seen. */
export async function findPython(what: string, modules: readonly string[]): Promise<string | undefined> {
  let reason = '';
  for (const command of candidates) {
    try {
      await promisify(execFile)(command, ['-c', `import ${modules.join(', ')}`]);
      return command;
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      reason = (stderr || message).trim().split('\n').at(-1) ?? '';
    }
  }
  console.warn(`${what} is not run: no Python with ${modules.join(', ')} (${reason})`);
  return undefined;
}
