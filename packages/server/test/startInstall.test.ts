import { describe, expect, test } from 'vitest';
// @ts-expect-error plain JavaScript: it has to run before anything is installed
import { missingPackages as untyped } from '../../../scripts/install.mjs';

type Entry = {
  version?: string;
  link?: boolean;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
};
type Tree = Record<string, Entry>;
const missingPackages = untyped as (
  lock: Tree,
  installed: Tree,
  scope: 'run' | 'demo' | 'everything',
  exists: (place: string) => boolean,
) => string[];

const lock: Tree = {
  '': { dependencies: { typescript: '7' } },
  'packages/server': {
    dependencies: { a: '1', protocol: '*' },
    optionalDependencies: { native: '1', other: '1' },
  },
  'packages/protocol': {},
  'packages/dashboard': {},
  bench: { dependencies: { onlyBench: '1' } },
  'examples/ocr-service': { dependencies: { onlyDemo: '1' } },
  'node_modules/typescript': { version: '7' },
  'node_modules/server': { link: true },
  'node_modules/protocol': { link: true },
  'node_modules/a': { version: '1', dependencies: { b: '2' } },
  'node_modules/b': { version: '1' },
  'node_modules/a/node_modules/b': { version: '2' },
  'node_modules/native': { version: '1', optional: true, os: [process.platform], cpu: [process.arch] },
  'node_modules/other': { version: '1', optional: true, os: ['plan9'], cpu: ['mips'] },
  'node_modules/onlyBench': { version: '1' },
  'node_modules/onlyDemo': { version: '1' },
  'node_modules/vitest': { version: '4', dev: true },
};
const {
  'node_modules/vitest': _dev,
  'node_modules/onlyBench': _bench,
  'node_modules/onlyDemo': _demo,
  ...forRunning
} = lock;
const all = () => true;

describe('what has to be installed', () => {
  test('nothing in a tree that holds what running needs', () => {
    expect(missingPackages(lock, forRunning, 'run', all)).toEqual([]);
    // Neither what is made for another platform nor what nothing that runs depends on.
    const { 'node_modules/other': _other, 'node_modules/b': _unused, ...less } = forRunning;
    expect(missingPackages(lock, less, 'run', all)).toEqual([]);
  });

  test('what is optional but made for this platform', () => {
    const { 'node_modules/native': _native, ...less } = forRunning;
    expect(missingPackages(lock, less, 'run', all)).toEqual(['node_modules/native']);
  });

  test('nothing in a tree that was installed in full', () => {
    expect(missingPackages(lock, lock, 'run', all)).toEqual([]);
    expect(missingPackages(lock, lock, 'everything', all)).toEqual([]);
  });

  test('the rest when everything is needed', () => {
    expect(missingPackages(lock, forRunning, 'everything', all)).toEqual([
      'node_modules/onlyBench',
      'node_modules/onlyDemo',
      'node_modules/vitest',
    ]);
  });

  test('what the demo alone depends on, for the demo alone', () => {
    expect(missingPackages(lock, forRunning, 'run', all)).toEqual([]);
    expect(missingPackages(lock, forRunning, 'demo', all)).toEqual(['node_modules/onlyDemo']);
  });

  test('a nested package of another version', () => {
    const old = { ...lock, 'node_modules/a/node_modules/b': { version: '1' } };
    expect(missingPackages(lock, old, 'run', all)).toEqual(['node_modules/a/node_modules/b']);
  });

  test('everything in a fresh clone, and what somebody deleted', () => {
    expect(missingPackages(lock, {}, 'run', () => false)).toContain('node_modules/typescript');
    expect(missingPackages(lock, lock, 'run', (place) => place !== 'node_modules/a')).toEqual([
      'node_modules/a',
    ]);
  });
});
