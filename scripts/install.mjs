// Decides whether node_modules holds what package-lock.json asks for, and lets npm install where it does not.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { step } from './progress.mjs';
import { run } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a running Nowcast consists of; test tools, benchmarks and examples are not among it. */
const RUN_WORKSPACES = ['packages/protocol', 'packages/server', 'packages/dashboard'];

/**
 * Installs from the lockfile if something is missing or of another version. A complete tree is left alone however it
 * came about, so `npm start` never prunes what `npm ci` installed for development.
 *
 * @param {'run' | 'everything'} scope what the caller needs: to run, or to test and develop as well
 */
export async function installIfNeeded(scope) {
  const lock = readLock('package-lock.json');
  const installed = readLock('node_modules/.package-lock.json');
  if (missingPackages(lock, installed, scope).length === 0) return;
  // A tree with development packages belongs to a developer: keep it one.
  const developed = Object.values(installed).some((entry) => entry.dev);
  const selection =
    scope === 'run' && !developed
      ? [
          '--omit=dev',
          '--include-workspace-root',
          ...RUN_WORKSPACES.map((workspace) => `--workspace=${workspace}`),
        ]
      : [];
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  await step('Installing packages (once, about 80 MB)', () =>
    run(
      'The packages could not be installed: see above, check the network, and run it again.',
      command,
      [...first, 'ci', '--no-audit', '--no-fund', ...selection],
      { cwd: root },
    ),
  );
}

/**
 * The packages that `scope` needs and `installed` lacks, by their place in node_modules.
 *
 * Optional packages are not insisted on: npm skips those of other platforms and those that fail, and a start must not
 * install again each time because of one.
 *
 * @param {Record<string, LockEntry>} lock the `packages` of package-lock.json
 * @param {Record<string, LockEntry>} installed the `packages` of node_modules/.package-lock.json
 * @param {'run' | 'everything'} scope
 * @param {(place: string) => boolean} exists
 * @returns {string[]}
 *
 * @typedef {{ version?: string, resolved?: string, link?: boolean, dev?: boolean, optional?: boolean,
 *   dependencies?: Record<string, string> }} LockEntry
 */
export function missingPackages(
  lock,
  installed,
  scope,
  exists = (place) => existsSync(path.join(root, place)),
) {
  const needed = scope === 'everything' ? Object.keys(lock) : [...closure(lock)];
  return needed.filter((place) => {
    const { link, optional, version } = lock[place];
    if (!place.includes('node_modules/') || optional) return false;
    return (!link && installed[place]?.version !== version) || !exists(place);
  });
}

/** Everything reachable by `dependencies` from the root and the workspaces that run. */
function closure(lock) {
  const reached = new Set();
  const queue = ['', ...RUN_WORKSPACES];
  for (let place = queue.pop(); place !== undefined; place = queue.pop()) {
    if (reached.has(place) || !lock[place]) continue;
    reached.add(place);
    for (const name of Object.keys(lock[place].dependencies ?? {})) {
      const found = resolve(lock, place, name);
      if (found !== undefined) queue.push(found);
    }
  }
  reached.delete('');
  return reached;
}

/** Where Node finds `name` from `place`: in the nearest node_modules upwards. */
function resolve(lock, place, name) {
  for (let from = place; ; from = from.slice(0, Math.max(from.lastIndexOf('/'), 0))) {
    const candidate = `${from === '' ? '' : `${from}/`}node_modules/${name}`;
    if (lock[candidate]) return candidate;
    if (from === '') return undefined;
  }
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(path.join(root, file), 'utf8')).packages;
  } catch {
    return {};
  }
}
