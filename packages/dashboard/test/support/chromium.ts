import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const unpack = `import chromium from '@sparticuz/chromium'; await chromium.executablePath();`;

/**
 * The program of headless Chromium from npm, unpacked once for all runs of this version.
 *
 * The package itself unpacks in place and takes whatever it finds there: of two test files that begin together on a new
 * machine the second would start half a browser, and after a run that was killed every one. Here the whole appears at
 * once or not at all.
 */
export async function chromiumPath(): Promise<string> {
  const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  const manifest = path.join(entry.slice(0, entry.lastIndexOf('build')), 'package.json');
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  const directory = path.join(os.tmpdir(), `nowcast-chromium-${version}-${os.userInfo().uid}`);
  const program = path.join(directory, 'chromium');
  if (existsSync(program)) return program;
  const unfinished = await mkdtemp(`${directory}-`);
  try {
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', unpack], {
      cwd: root,
      env: { ...process.env, TMPDIR: unfinished },
    });
    await rename(unfinished, directory);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Another test file was faster.
    if (!existsSync(program)) throw error;
  }
  return program;
}
