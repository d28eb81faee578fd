import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { StartupError } from '../startupError.ts';

const script = fileURLToPath(new URL('../../../../scripts/demo.mjs', import.meta.url));

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('a real AI system to watch, beside Nowcast: what npm run demo runs')
    .argument('[options...]', 'passed on: --minutes, --new-version, --once')
    .allowUnknownOption()
    .addHelpText('after', '\nnpm run demo -- --help explains them.')
    .action(run);
}

/** @throws StartupError where this is no clone: the demo's service is not part of the package */
async function run(options: string[]): Promise<void> {
  if (!existsSync(script)) {
    throw new StartupError('The demo is part of the repository: clone it, and run npm run demo there.');
  }
  const demo = spawn(process.execPath, [script, ...options], { stdio: 'inherit' });
  // The terminal sends these to both; the demo stops what it started, and this waits for it.
  const ignored = () => undefined;
  const forward = () => demo.kill('SIGTERM');
  process.on('SIGINT', ignored).on('SIGTERM', forward);
  const [code] = (await once(demo, 'exit')) as [number | null];
  process.off('SIGINT', ignored).off('SIGTERM', forward);
  process.exitCode = code ?? 1;
}
