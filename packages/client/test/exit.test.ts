import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bundle, bundle } from './support/bundle.ts';
import { deadUrl, startCollector } from './support/collector.ts';

let client: Bundle;
let spool: Bundle;
let directory: string;
beforeAll(async () => {
  client = await bundle('node');
  spool = await bundle('spool');
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-exit-'));
});
afterAll(async () => {
  await client.remove();
  await spool.remove();
  await rm(directory, { recursive: true });
});

/** Where a collector answers: a busy machine may take longer to reach it than an end should otherwise wait. */
const patient = { exitTimeoutMs: 60_000 };

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/**
 * Runs a program that never calls close(); `kill` ends it once it has said "ready", and its input ends when `letGo` says
 * so.
 */
async function run(
  url: string,
  program: string,
  {
    kill,
    exitTimeoutMs,
    letGo = async () => undefined,
  }: { kill?: NodeJS.Signals; exitTimeoutMs?: number; letGo?: () => Promise<unknown> } = {},
): Promise<Ended> {
  const file = path.join(directory, `${Math.random()}.mjs`);
  await writeFile(
    file,
    `import { Nowcast } from ${JSON.stringify(pathToFileURL(client.file).href)};
     const nowcast = new Nowcast({ url: ${JSON.stringify(url)}, flushIntervalMs: 20, timeoutMs: 600_000, exitTimeoutMs: ${exitTimeoutMs}, onWarning() {} });
     const event = { model_version: 'v1', inference_time_ms: 1 };
     ${program}
     console.log('ready');`,
  );
  const child = spawn(process.execPath, [file], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (part: Buffer) => {
    const wasReady = output.includes('ready');
    output += part;
    if (kill !== undefined && !wasReady && output.includes('ready')) child.kill(kill);
  });
  const closed = once(child, 'close');
  await letGo();
  child.stdin.end();
  const [code, signal] = await closed;
  return { code, signal, output };
}

describe('a program that ends without close()', () => {
  test('has delivered what it tracked', async () => {
    const collector = await startCollector(() => 'store');
    const ended = await run(collector.url, 'nowcast.track(event);', patient);
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(collector.events).toBe(1);
    await collector.close();
  });

  // One attempt may take ten minutes here, far longer than a test: what ends, ends in spite of it.
  test('is not kept by a request that hangs', async () => {
    const collector = await startCollector(() => 'hang');
    const inFlight = `nowcast.track(event);
      await new Promise((resolve) => process.stdin.once('end', resolve).resume());`;
    const letGo = () => expect.poll(() => collector.requests).toBeGreaterThan(0);
    expect(await run(collector.url, inFlight, { letGo })).toMatchObject({ code: 0 });
    await collector.close();
  });

  test('is not kept by a collector that is dead', async () => {
    const { code } = await run(await deadUrl(), 'nowcast.track(event);');
    expect(code).toBe(0);
  });

  test('leaves in its spool what a hanging collector did not take', async () => {
    const collector = await startCollector(() => 'hang');
    const events = path.join(directory, 'events');
    const program = `const { fileSpool } = await import(${JSON.stringify(pathToFileURL(spool.file).href)});
      const options = { url: ${JSON.stringify(collector.url)}, timeoutMs: 600_000, onWarning() {} };
      new Nowcast({ ...options, spool: fileSpool({ directory: ${JSON.stringify(events)} }) }).track(event);`;
    expect(await run(collector.url, program)).toMatchObject({ code: 0 });
    expect(await readdir(events)).toEqual([expect.stringMatching(/-1-[\w-]+\.batch$/)]);
    await collector.close();
  });

  test('still gets its answer to feedback()', async () => {
    const collector = await startCollector(() => 'hang');
    const program = `const quick = new Nowcast({ url: ${JSON.stringify(collector.url)}, timeoutMs: 200, onWarning() {} });
      console.log(await quick.feedback({ trace_id: 't', feedback: 1 }));`;
    expect(await run(collector.url, program)).toMatchObject({ code: 0, output: 'false\nready\n' });
    await collector.close();
  });
});

describe('SIGTERM', () => {
  test('delivers what waits and then ends the process as it would have', async () => {
    const collector = await startCollector(() => 'store');
    const ended = await run(collector.url, 'setInterval(() => {}, 1000); nowcast.track(event);', {
      ...patient,
      kill: 'SIGTERM',
    });
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(collector.events).toBe(1);
    await collector.close();
  });

  test("leaves the end to the application's own listener, and delivers", async () => {
    const collector = await startCollector(() => 'store');
    const program = `const timer = setInterval(() => {}, 1000);
      process.on('SIGTERM', () => { clearInterval(timer); console.log('own'); });
      nowcast.track(event);`;
    const ended = await run(collector.url, program, { ...patient, kill: 'SIGTERM' });
    expect(ended).toMatchObject({ code: 0, output: 'ready\nown\n' });
    expect(collector.events).toBe(1);
    await collector.close();
  });
});
