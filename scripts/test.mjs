// `npm test`: installs and builds what is missing, then runs every test. Arguments go to vitest.
import './supported.mjs';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { installIfNeeded } from './install.mjs';
import { StepError } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

try {
  await installIfNeeded('everything');
  const { buildStale } = await import('./build.mjs');
  await buildStale();
  const vitest = path.join(
    path.dirname(createRequire(import.meta.url).resolve('vitest/package.json')),
    'vitest.mjs',
  );
  const child = spawn(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  });
  child.on('close', (code) => process.exit(code ?? 1));
} catch (error) {
  console.error(error instanceof StepError ? error.message : error);
  process.exit(1);
}
