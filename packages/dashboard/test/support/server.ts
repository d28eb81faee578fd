import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { reservedPort } from '../../../server/test/support/ports.ts';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const startWithinMs = 240_000;

export type Event = Record<string, unknown> & { model_version: string; inference_time_ms: number };

/** A Nowcast of its own: `nowcast start` as a person starts it, with an embedded PostgreSQL in a directory that goes away. */
export class TestServer {
  readonly url: string;
  readonly port: number;
  readonly #dataDir: string;
  readonly #env: Record<string, string>;
  #child: ChildProcess | undefined;

  private constructor(port: number, dataDir: string, env: Record<string, string>) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#dataDir = dataDir;
    this.#env = env;
  }

  static async start(env: Record<string, string> = {}): Promise<TestServer> {
    await run(process.execPath, [path.join(root, 'scripts/build.mjs')]);
    const dataDir = await mkdtemp(path.join(os.tmpdir(), 'nowcast-page-'));
    // A fixed port, so that a page finds the server again after a restart.
    const server = new TestServer(await reservedPort(), dataDir, env);
    await server.up();
    return server;
  }

  /** Starts it (again) on the same port and data. */
  async up(): Promise<void> {
    if (this.#child !== undefined) return;
    const child = spawn(process.execPath, [path.join(root, 'packages/server/bin/nowcast.mjs'), 'start'], {
      cwd: root,
      env: { ...process.env, ...this.#env, NOWCAST_DATA_DIR: this.#dataDir, PORT: String(this.port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the server did not start: ${said}`)), startWithinMs);
      child.once('exit', (code) => {
        clearTimeout(late);
        reject(new Error(`the server ended with ${code}: ${said}`));
      });
      for (const stream of [child.stdout!, child.stderr!]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          said = (said + text).slice(-4_000);
          if (!said.includes('Nowcast is ready')) return;
          clearTimeout(late);
          resolve();
        });
      }
    });
  }

  /** Stops the server and leaves its data. */
  async down(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    await this.down();
    await rm(this.#dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async post(...events: Event[]): Promise<void> {
    await this.#track('/telemetry/inference/batch', { events });
  }

  /** As the article posts: one event, one request. */
  async postOne(event: Event): Promise<void> {
    await this.#track('/telemetry/inference', { input_size_bytes: 2048, ...event });
  }

  /** Runs what the page could run too: a row into a published table. */
  async insert(table: string, row: Record<string, unknown>): Promise<void> {
    await this.#send(`/rest/v1/${table}`, row);
  }

  /** @param rows which ones, as PostgREST filters them */
  async update(table: string, rows: string, values: Record<string, unknown>): Promise<void> {
    await this.#send(`/rest/v1/${table}?${rows}`, values, { method: 'PATCH' });
  }

  /** Runs `nowcast …` on this server's data. @returns what it printed */
  async cli(...args: string[]): Promise<string> {
    return await run(process.execPath, [path.join(root, 'packages/server/bin/nowcast.mjs'), ...args], {
      ...this.#env,
      NOWCAST_DATA_DIR: this.#dataDir,
    });
  }

  async read(path: string): Promise<Record<string, unknown>[]> {
    const answer = await fetch(`${this.url}/rest/v1/${path}`, { headers: this.#headers() });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>[];
  }

  /** As a client does: what a slow database did not confirm in time is sent again under the same id. */
  async #track(path: string, body: unknown): Promise<void> {
    const headers = { 'idempotency-key': randomUUID() };
    for (;;) {
      const answer = await this.#answer(path, body, { headers });
      if (answer.status !== 503) return await expectTaken(path, answer);
      await pause(1_000 * Number(answer.headers.get('retry-after') ?? 1));
    }
  }

  async #send(path: string, body: unknown, options?: { method: string }): Promise<void> {
    await expectTaken(path, await this.#answer(path, body, options));
  }

  #answer(path: string, body: unknown, { method = 'POST', headers = {} } = {}): Promise<Response> {
    return fetch(this.url + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers, ...this.#headers() },
      body: JSON.stringify(body),
    });
  }

  #headers(): Record<string, string> {
    const key = this.#env.NOWCAST_SERVICE_KEY;
    return key === undefined ? {} : { apikey: key, authorization: `Bearer ${key}` };
  }
}

async function expectTaken(path: string, answer: Response): Promise<void> {
  const text = await answer.text();
  if (!answer.ok || /"rejected":[1-9]/.test(text)) throw new Error(`${path}: ${answer.status} ${text}`);
}

/** @returns what it wrote to its output */
async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { output: '', complaint: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.complaint += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${args.join(' ')} failed: ${said.complaint}`);
  return said.output;
}
