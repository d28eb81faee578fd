import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import ws from 'ws';
import { reservedPort } from './support/ports.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const readme = await readFile(path.join(root, 'README.md'), 'utf8');

/** Code blocks of a language, in the order of the page. */
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map((match) => match[1]!);

/** The command of the page that begins so. */
function commandOf(beginning: string): string {
  const found = blocks('sh').find((block) => block.startsWith(beginning));
  if (found === undefined) throw new Error(`the README has no command ${beginning}`);
  return found;
}

let scratch: string;
let port: number;
let server: ChildProcess;
let said = '';

const environment = () => ({
  ...process.env,
  PORT: String(port),
  NOWCAST_DATA_DIR: path.join(scratch, 'data'),
  DATABASE_URL: '',
});

/** Runs a command of the page, at our port. */
function shell(command: string): { code: number | null; output: string } {
  const ran = spawnSync('sh', ['-c', command.replaceAll('4318', String(port))], {
    cwd: root,
    env: environment(),
    encoding: 'utf8',
  });
  return { code: ran.status, output: `${ran.stdout}${ran.stderr}` };
}

async function eventsSeen(): Promise<number> {
  const response = await fetch(
    `http://127.0.0.1:${port}/rest/v1/inference_metrics_hourly?select=request_count`,
  );
  const rows = (await response.json()) as { request_count: number }[];
  return rows.reduce((sum, row) => sum + row.request_count, 0);
}

/** An example of the page, for our port; as patient as a machine that runs tests needs it. */
function exampleOf(block: string): string {
  const patient = block
    .replace('AbortSignal.timeout(500)', 'AbortSignal.timeout(60_000)')
    .replace('timeout=0.5', 'timeout=60');
  expect(patient).not.toBe(block);
  return patient.replaceAll('4318', String(port));
}

const isInstalled = (command: string) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

beforeAll(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), 'nowcast-readme-'));
  port = await reservedPort();

  expect(commandOf('npm start').trim()).toBe('npm start');
  server = spawn('npm', ['start'], { cwd: root, env: environment() });
  await new Promise<void>((resolve, reject) => {
    const listen = (text: Buffer) => {
      said += text.toString();
      if (said.includes(`http://127.0.0.1:${port}`) && said.includes('curl')) resolve();
    };
    server.stdout!.on('data', listen);
    server.stderr!.on('data', listen);
    server.once('close', () => reject(new Error(said)));
  });
});

afterAll(async () => {
  const closed = new Promise((resolve) => server.once('close', resolve));
  server.kill('SIGTERM');
  await closed;
  await rm(scratch, { recursive: true, force: true });
});

describe('the README', () => {
  test('npm start says where the page and the data are, and gives a command to paste that works', async () => {
    expect(said).toContain(path.join(scratch, 'data'));
    const pasted = /curl -X POST .*/.exec(said)![0];
    if (isInstalled('curl')) expect(shell(pasted).output).toContain('{"status":"logged"}');
  });

  test.runIf(isInstalled('curl'))('the first event by curl is logged', async () => {
    const before = await eventsSeen();
    expect(shell(commandOf('curl')).output).toContain('{"status":"logged"}');
    expect(await eventsSeen()).toBe(before + 1);
  });

  test('the first event in TypeScript is logged', async () => {
    const before = await eventsSeen();
    const file = path.join(scratch, 'first.mjs');
    await writeFile(file, exampleOf(blocks('ts')[0]!));
    expect(shell(`node ${file}`)).toEqual({ code: 0, output: '' });
    expect(await eventsSeen()).toBe(before + 1);
  });

  test.runIf(isInstalled('python3'))('the first event in Python is logged', async () => {
    const before = await eventsSeen();
    const file = path.join(scratch, 'first.py');
    await writeFile(file, exampleOf(blocks('python')[0]!));
    expect(shell(`python3 ${file}`)).toEqual({ code: 0, output: '' });
    expect(await eventsSeen()).toBe(before + 1);
  });

  test('npx nowcast sql runs a query', () => {
    const { code, output } = shell(commandOf('npx nowcast sql'));
    expect(output).toContain('model_version');
    expect(code).toBe(0);
  });

  test('a supabase-js client subscribes as shown', async () => {
    const heard: unknown[] = [];
    const source = blocks('ts')[1]!
      .replaceAll('4318', String(port))
      .replace("'any-key')", "'any-key', options)");
    const ready = new Promise<void>((resolve) => {
      const run = new Function(
        'createClient',
        'options',
        'console',
        'ready',
        source.replace('.subscribe()', '.subscribe(ready)'),
      );
      run(
        createClient,
        { realtime: { transport: ws } },
        { log: (row: unknown) => heard.push(row) },
        (status: string) => {
          if (status === 'SUBSCRIBED') resolve();
        },
      );
    });
    await ready;
    await fetch(`http://127.0.0.1:${port}/telemetry/inference`, {
      method: 'POST',
      body: '{"model_version":"seen","inference_time_ms":1}',
    });
    await expect.poll(() => heard).toMatchObject([{ model_version: 'seen' }]);
  });

  test('npx nowcast simulate sends traffic with an incident', async () => {
    const before = await eventsSeen();
    const { code } = shell(
      commandOf('npx nowcast simulate')
        .replace('--duration 5m', '--rate 50 --duration 3s')
        .replace('@1m+2m', '@1s+1s'),
    );
    expect(code).toBe(0);
    expect(await eventsSeen()).toBeGreaterThan(before);
  });

  test('npx nowcast detect judges a series', async () => {
    const rows = Array.from(
      { length: 50 },
      (_, index) => `${new Date(index * 60_000).toISOString()},${index % 7}`,
    );
    await writeFile(path.join(scratch, 'series.csv'), ['timestamp,value', ...rows, ''].join('\n'));
    const { code, output } = shell(
      commandOf('npx nowcast detect').replace('series.csv', path.join(scratch, 'series.csv')),
    );
    expect(code).toBe(0);
    expect(
      output
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('{')),
    ).toHaveLength(50);
  });

  test('npx nowcast replay replays a file', async () => {
    const now = Date.now();
    const rows = Array.from(
      { length: 30 },
      (_, index) => `${new Date(now - 60_000 + index * 1000).toISOString()},${index}`,
    );
    await writeFile(path.join(scratch, 'trace.csv'), ['TIMESTAMP,GeneratedTokens', ...rows, ''].join('\n'));
    const { code, output } = shell(
      commandOf('npx nowcast replay').replace('trace.csv', path.join(scratch, 'trace.csv')),
    );
    expect(output).toContain('30 events stored, 0 rejected.');
    expect(code).toBe(0);
  });

  test('names npm test, npm run demo and npm run bench, which exist', async () => {
    const { scripts } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
    // Each has its own tests: this one runs in the first, and examples/ocr-service tries the demo.
    for (const name of ['test', 'demo', 'bench']) {
      expect(readme).toMatch(new RegExp(`npm (run )?${name}`));
      expect(scripts).toHaveProperty(name);
    }
  });

  test('links only to files that exist', async () => {
    for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      await expect(readFile(path.join(root, target!))).resolves.toBeInstanceOf(Buffer);
    }
  });
});
