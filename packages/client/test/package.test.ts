import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const packageDirectory = path.join(root, 'packages/client');
const manifest = JSON.parse(await readFile(path.join(packageDirectory, 'package.json'), 'utf8'));
const subpaths = Object.keys(manifest.exports).filter((name) => name !== './package.json');

/** Another application, with the package as npm packs it. */
let application: string;
beforeAll(async () => {
  await run(process.execPath, [path.join(root, 'scripts/build.mjs'), 'client']);
  application = await mkdtemp(path.join(os.tmpdir(), 'nowcast-application-'));
  await run('npm', ['pack', '--silent', '--pack-destination', application], { cwd: packageDirectory });
  const installed = path.join(application, 'node_modules/nowcast-client');
  await run('mkdir', ['-p', installed]);
  await run(
    'tar',
    ['-xzf', `nowcast-client-${manifest.version}.tgz`, '--strip-components=1', '-C', installed],
    {
      cwd: application,
    },
  );
});
afterAll(() => rm(application, { recursive: true }));

test('it has no dependencies and runs nothing when it is installed', () => {
  expect(manifest).not.toHaveProperty('dependencies');
  expect(manifest).not.toHaveProperty('peerDependencies');
  expect(manifest).not.toHaveProperty('scripts');
});

/** Prints what each part of the package exports. */
async function exportsOf(extension: 'mjs' | 'cjs', conditions: readonly string[] = []) {
  const names = subpaths.map((name) => path.posix.join('nowcast-client', name));
  const load =
    extension === 'mjs'
      ? (name: string) => `await import('${name}')`
      : (name: string) => `require('${name}')`;
  const file = path.join(application, `main.${extension}`);
  const parts = names.map((name) => `${JSON.stringify(name)}: Object.keys(${load(name)}).sort()`);
  await writeFile(file, `console.log(JSON.stringify({ ${parts.join(', ')} }));`);
  const { stdout } = await run(
    process.execPath,
    [...conditions.map((name) => `--conditions=${name}`), file],
    {
      cwd: application,
    },
  );
  return JSON.parse(stdout);
}

test('the packed package gives the same to import and to require', async () => {
  const imported = await exportsOf('mjs');
  expect(imported['nowcast-client']).toEqual(['Nowcast']);
  const required = await exportsOf('cjs');
  expect(required).toEqual(imported);
});

for (const condition of ['workerd', 'edge-light', 'browser', 'deno', 'bun'])
  test(`it can be loaded where ${condition} is asked for`, async () => {
    expect((await exportsOf('mjs', [condition]))['nowcast-client']).toEqual(['Nowcast']);
  });

test('what is required works as what is imported', async () => {
  const required: typeof import('nowcast-client') = createRequire(import.meta.url)('nowcast-client');
  const client = new required.Nowcast({ url: 'http://127.0.0.1:1', sampleRate: 0 });
  client.track({ model_version: 'v1', inference_time_ms: 1 });
  expect(client.stats().dropped).toEqual({ sampled: 1 });
  await client.close();
});

describe('its types', () => {
  const kinds = {
    'an ES module': ['main.mts', 'NodeNext', 'NodeNext'],
    'a CommonJS module': ['main.cts', 'NodeNext', 'NodeNext'],
    'a bundled page': ['page.ts', 'ESNext', 'Bundler'],
  } as const;
  for (const [kind, [file, module, moduleResolution]] of Object.entries(kinds))
    test(`are found by ${kind}, and refuse a field that does not exist`, async () => {
      const program = `import { Nowcast } from 'nowcast-client';
        import { fileSpool } from 'nowcast-client/spool';
        const nowcast = new Nowcast({ url: 'http://127.0.0.1:4318', spool: fileSpool({ directory: '/tmp/a' }) });
        nowcast.track({ model_version: 'v1', inference_time_ms: 1 });
        const answer: Promise<number> = nowcast.observe({ model_version: 'v1' }, async () => 7);
        // @ts-expect-error: the field's name is wrong
        nowcast.track({ model_version: 'v1', inference_time_ms: 1, confidence: 1 });
        export { answer };`;
      await writeFile(path.join(application, file), program);
      const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
      const options = ['--strict', '--noEmit', '--lib', 'ES2022,DOM', '--types', 'node'];
      const typeRoots = ['--typeRoots', path.join(root, 'node_modules/@types')];
      const chosen = ['--module', module, '--moduleResolution', moduleResolution];
      const checked = run(process.execPath, [tsc, ...options, ...typeRoots, ...chosen, file], {
        cwd: application,
      });
      expect(
        await checked.then(
          () => '',
          ({ stdout }: { stdout: string }) => stdout,
        ),
      ).toBe('');
    });
});
