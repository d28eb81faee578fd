// Decides whether node_modules holds what package-lock.json asks for, and lets npm install where it does not.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { step } from './progress.mjs';
import { run } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a running Nowcast consists of; test tools, benchmarks and examples are not among it. */
const RUN_WORKSPACES = ['packages/protocol', 'packages/client', 'packages/server', 'packages/dashboard'];

/**
 * What a caller needs: to run, to run the demo beside it, or to test and develop as well.
 *
 * @typedef {'run' | 'demo' | 'everything'} Scope
 * @type {Record<Scope, { workspaces: string[] | undefined, title: string }>} no workspaces: all of them
 */
const SCOPES = {
  run: { workspaces: RUN_WORKSPACES, title: 'Installing packages (once, about 130 MB)' },
  demo: {
    workspaces: [...RUN_WORKSPACES, 'examples/ocr-service'],
    title: "Installing packages, the demo's among them (once, about 180 MB)",
  },
  everything: { workspaces: undefined, title: 'Installing packages (once, about 330 MB)' },
};

/**
 * Installs from the lockfile if something is missing or of another version. A complete tree is left alone however it
 * came about, so `npm start` never prunes what `npm ci` installed for development.
 *
 * @param {Scope} scope
 */
export async function installIfNeeded(scope) {
  const lock = readLock('package-lock.json');
  const installed = readLock('node_modules/.package-lock.json');
  if (missingPackages(lock, installed, scope).length === 0) return;
  // A tree with development packages belongs to a developer: keep it one.
  const developed = Object.values(installed).some((entry) => entry.dev);
  const { workspaces } = SCOPES[scope];
  const selection =
    workspaces !== undefined && !developed
      ? [
          '--omit=dev',
          '--include-workspace-root',
          // By name: a path would also select the workspaces inside it, such as the one with test-only packages.
          ...workspaces.map((workspace) => `--workspace=${lock[workspace].name}`),
        ]
      : [];
  // A demo is added to a Nowcast that may be running, whose packages `npm ci` would take away and bring back.
  const adds = scope === 'demo' && Object.keys(installed).length > 0;
  const how = adds ? ['install', '--no-save'] : ['ci'];
  const title = adds ? "Installing the demo's packages (once, about 50 MB)" : SCOPES[scope].title;
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  await step(title, () =>
    run(
      'The packages could not be installed: see above, check the network, and run it again.',
      command,
      [...first, ...how, '--no-audit', '--no-fund', ...selection],
      { cwd: root },
    ),
  );
}

/**
 * The packages that `scope` needs and `installed` lacks, by their place in node_modules.
 *
 * Of the optional packages only those made for this very platform are insisted on, such as PostgreSQL's programs; npm
 * leaves the others out as it sees fit, and a start must not install again each time because of one.
 *
 * @param {Record<string, LockEntry>} lock the `packages` of package-lock.json
 * @param {Record<string, LockEntry>} installed the `packages` of node_modules/.package-lock.json
 * @param {Scope} scope
 * @param {(place: string) => boolean} exists
 * @returns {string[]}
 *
 * @typedef {{ version?: string, resolved?: string, link?: boolean, dev?: boolean, name?: string,
 *   optional?: boolean, os?: string[], cpu?: string[], libc?: string[],
 *   dependencies?: Record<string, string>, optionalDependencies?: Record<string, string> }} LockEntry
 */
export function missingPackages(
  lock,
  installed,
  scope,
  exists = (place) => existsSync(path.join(root, place)),
) {
  const { workspaces } = SCOPES[scope];
  const needed = workspaces === undefined ? Object.keys(lock) : [...closure(lock, workspaces)];
  return needed.filter((place) => {
    const { link, version } = lock[place];
    if (!place.includes('node_modules/') || isDispensable(lock[place])) return false;
    return (!link && installed[place]?.version !== version) || !exists(place);
  });
}

function isDispensable({ optional, os, cpu, libc }) {
  const isForHere = os?.includes(process.platform) && cpu?.includes(process.arch) && libc === undefined;
  return Boolean(optional) && !isForHere;
}

/** Everything reachable by `dependencies` from the root and the given workspaces. */
function closure(lock, workspaces) {
  const reached = new Set();
  const queue = ['', ...workspaces];
  for (let place = queue.pop(); place !== undefined; place = queue.pop()) {
    if (reached.has(place) || !lock[place]) continue;
    reached.add(place);
    const { dependencies, optionalDependencies } = lock[place];
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
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
