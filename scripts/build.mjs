// Builds what is stale: `node scripts/build.mjs` all of it, `node scripts/build.mjs server` one part. `npm start` and
// `npm test` call the same function.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { step } from './progress.mjs';
import { run, StepError } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { resolve } = createRequire(import.meta.url);

/** Each part is rebuilt when the content of an input has changed since the last build that succeeded. */
const PARTS = [
  {
    name: 'server',
    title: 'Building the server',
    inputs: ['tsconfig.base.json', 'packages/protocol', 'packages/client', 'packages/server'],
    inputPattern: /^(?:tsconfig\.base\.json|packages\/\w+\/(?:src\/.*|tsconfig\.json|package\.json))$/,
    output: 'packages/server/dist/cli.js',
    stamp: 'packages/server/dist/.built',
    wanted: () => true,
    command: () => [
      path.join(path.dirname(resolve('typescript/package.json')), 'bin/tsc'),
      '-b',
      'packages/server',
    ],
  },
  {
    name: 'client',
    title: 'Building the client',
    inputs: ['tsconfig.base.json', 'packages/client'],
    inputPattern:
      /^(?:tsconfig\.base\.json|packages\/client\/(?:src\/.*|tsconfig[.\w]*\.json|package\.json))$/,
    output: 'packages/client/dist/cjs/package.json',
    stamp: 'packages/client/dist/.built',
    wanted: () => true,
    command: () => [
      path.join(path.dirname(resolve('typescript/package.json')), 'bin/tsc'),
      '-b',
      'packages/client',
      'packages/client/tsconfig.cjs.json',
    ],
    finish: () =>
      writeFileSync(path.join(root, 'packages/client/dist/cjs/package.json'), '{ "type": "commonjs" }\n'),
  },
  {
    name: 'page',
    title: 'Building the page',
    inputs: ['package-lock.json', 'packages/dashboard'],
    inputPattern: /^(?:package-lock\.json|packages\/dashboard\/(?!test\/).*)$/,
    output: 'packages/dashboard/dist/index.html',
    stamp: 'packages/dashboard/dist/.built',
    wanted: () => existsSync(path.join(root, 'packages/dashboard/index.html')),
    command: () => [
      path.join(path.dirname(resolve('vite/package.json')), 'bin/vite.js'),
      ...['build', 'packages/dashboard', '--logLevel', 'warn'],
    ],
  },
];

/**
 * Builds the named parts, or all, where they are stale. Several processes may ask at once.
 *
 * @param {string[]} names
 */
export async function buildStale(names = PARTS.map(({ name }) => name)) {
  const parts = PARTS.filter(({ name }) => names.includes(name));
  if (!parts.some(isStale)) return;
  const unlock = await lock();
  try {
    // Another process may just have built them.
    for (const part of parts.filter(isStale)) await build(part);
  } finally {
    unlock();
  }
}

function isStale(part) {
  if (!part.wanted()) return false;
  return !existsSync(path.join(root, part.output)) || readStamp(part) !== fingerprintOf(part);
}

async function build(part) {
  // Taken before: what changes while it builds is built next time.
  const fingerprint = fingerprintOf(part);
  await step(part.title, () =>
    run(`${part.title} failed: see above.`, process.execPath, part.command(), { cwd: root }),
  );
  part.finish?.();
  writeFileSync(path.join(root, part.stamp), fingerprint);
}

/** Waits for other builds of this clone; resolves with what lets the next one in. */
async function lock() {
  const file = path.join(root, 'node_modules/.nowcast-build.lock');
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (isGone(file)) rmSync(file, { force: true });
      else await setTimeout(50);
    }
  }
}

/** Whether the process that holds the lock has ended without removing it. */
function isGone(lockFile) {
  try {
    process.kill(Number(readFileSync(lockFile, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Of contents, not of times: a checkout, a copy and a container layer all change the times. */
function fingerprintOf({ inputs, inputPattern }) {
  const hash = createHash('sha256').update(process.version.split('.')[0]);
  for (const file of inputs.flatMap(listFiles).filter((name) => inputPattern.test(name))) {
    hash.update(`\0${file}\0`).update(readFileSync(path.join(root, file)));
  }
  return hash.digest('hex');
}

/** Files below a path, relative to the root, in a stable order; never what was installed or built. */
function listFiles(at) {
  if (!statSync(path.join(root, at)).isDirectory()) return [at];
  return readdirSync(path.join(root, at))
    .filter((name) => name !== 'node_modules' && name !== 'dist')
    .sort()
    .flatMap((name) => listFiles(`${at}/${name}`));
}

function readStamp({ stamp }) {
  try {
    return readFileSync(path.join(root, stamp), 'utf8');
  } catch {
    return undefined;
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await buildStale(process.argv.length > 2 ? process.argv.slice(2) : undefined);
  } catch (error) {
    console.error(error instanceof StepError ? error.message : error);
    process.exitCode = 1;
  }
}
