import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
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

/** What the compiler says of files of the application; nothing when all is well. */
async function complaints(files: readonly string[], options: readonly string[]): Promise<string> {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const always = ['--strict', '--noEmit', '--lib', 'ES2022,DOM', '--types', 'node'];
  const typeRoots = ['--typeRoots', path.join(root, 'node_modules/@types')];
  const checked = run(process.execPath, [tsc, ...always, ...typeRoots, ...options, ...files], {
    cwd: application,
  });
  return await checked.then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  );
}

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
      expect(await complaints([file], ['--module', module, '--moduleResolution', moduleResolution])).toBe('');
    });
});

/** What the examples of docs/instrument.md take as given, by the heading that they are under. */
const given: Readonly<Record<string, string>> = {
  'TypeScript and JavaScript: `nowcast-client`': `
    declare const input: string, trace_id: string, request: object;
    declare function model(input: string): Promise<number>;
    declare function handle(request: object): Promise<void>;`,
  OpenAI: 'declare const nowcast: Nowcast, messages: { role: "user"; content: string }[];',
  Anthropic: 'declare const nowcast: Nowcast, model: string, messages: { role: "user"; content: string }[];',
  'Vercel AI SDK': 'declare const nowcast: Nowcast, prompt: string;',
  'Express and Fastify: a service that serves a model': `
    declare const nowcast: Nowcast, app: import('express').Express;
    declare function model(body: unknown): Promise<{ label: string; score: number }>;`,
  'Browsers, workers, serverless':
    'declare const url: string, key: string, ctx: { waitUntil(delivery: Promise<unknown>): void };',
  'When Nowcast is down': 'declare const url: string;',
};

test('the examples of docs/instrument.md compile', async () => {
  const page = await readFile(path.join(root, 'docs/instrument.md'), 'utf8');
  const files: string[] = [];
  for (const section of page.split(/^##+ /m).slice(1)) {
    const heading = section.slice(0, section.indexOf('\n'));
    for (const [, example = ''] of section.matchAll(/```ts\n([\s\S]*?)```/g)) {
      const file = `example${files.length}.mts`;
      const needsClass = !example.includes('import { Nowcast }');
      const program = `${needsClass ? "import { Nowcast } from 'nowcast-client';" : ''}\n${given[heading]}\n${example}\nexport {};`;
      await writeFile(path.join(application, file), program);
      files.push(file);
    }
  }
  expect(files).toHaveLength(7);
  for (const name of ['openai', '@anthropic-ai', 'ai', '@ai-sdk', '@types']) {
    const found = path.join(root, 'node_modules', name);
    await symlink(found, path.join(application, 'node_modules', name));
  }
  const options = ['--module', 'NodeNext', '--moduleResolution', 'NodeNext', '--skipLibCheck'];
  expect(await complaints(files, options)).toBe('');
});
