/** The processes that faults hit: all of them were started here, none is found by its name. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { sleep } from '../load/clock.ts';
import { parentOf, residentBytes } from '../side/process-tree.ts';

const serverBin = fileURLToPath(new URL('../../../packages/server/bin/nowcast.mjs', import.meta.url));
/** Where it is found from the sources and from what is built of them. */
const clockPreload = new URL('../../src/faults/jumpingClock.mjs', import.meta.url);
const startLimitMs = 60_000;
const sampleMs = 100;
const tooManyConnections = '53300';

/** `nowcast start` as a child that can be killed and started again on the same port and data. */
export class NowcastProcess {
  readonly port: number;
  readonly #environment: Record<string, string>;
  readonly #prefix: readonly string[];
  readonly #clockFile: string;
  readonly #sampler: NodeJS.Timeout;
  #child: ChildProcess | undefined;
  #output = '';
  /** Largest resident size since it was last asked for. */
  #peakBytes = 0;

  /**
   * @param prefix stands before the command
   * @param clockFile says how far the server's clock is off
   */
  constructor(
    port: number,
    environment: Record<string, string>,
    clockFile: string,
    prefix: readonly string[] = [],
  ) {
    this.port = port;
    this.#environment = environment;
    this.#prefix = prefix;
    this.#clockFile = clockFile;
    writeFileSync(clockFile, '0');
    this.#sampler = setInterval(() => this.#sample(), sampleMs);
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get output(): string {
    return this.#output;
  }

  takePeakBytes(): number {
    this.#sample();
    const peak = this.#peakBytes;
    this.#peakBytes = 0;
    return peak;
  }

  async start(): Promise<void> {
    const [program, ...args] = [
      ...this.#prefix,
      process.execPath,
      `--import=${clockPreload.href}`,
      serverBin,
      'start',
    ];
    const child = spawn(program!, args, {
      env: {
        FAULTS_CLOCK_FILE: this.#clockFile,
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '',
        PORT: String(this.port),
        NOWCAST_LOG_LEVEL: 'warn',
        ...this.#environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const keep = (text: Buffer) => {
      this.#output = (this.#output + text.toString()).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const onExit = () => child.kill('SIGKILL');
    process.once('exit', onExit);
    child.once('exit', () => process.off('exit', onExit));
    const endMs = performance.now() + startLimitMs;
    while (!(await this.#answers())) {
      if (!this.running || performance.now() > endMs) {
        throw new Error(`nowcast did not start:\n${this.#output}`);
      }
      await sleep(20);
    }
  }

  /** From now on, over restarts too. */
  setClock(shiftMs: number): void {
    writeFileSync(this.#clockFile, String(shiftMs));
    this.#child!.kill('SIGUSR2');
  }

  /** Sends the signal and resolves when the process has ended. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async close(): Promise<void> {
    await this.end('SIGTERM');
    clearInterval(this.#sampler);
  }

  async #answers(): Promise<boolean> {
    return await fetch(`http://127.0.0.1:${this.port}/ready`).then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  #sample(): void {
    if (!this.running) return;
    try {
      this.#peakBytes = Math.max(this.#peakBytes, residentBytes(this.#child!.pid!));
    } catch {
      // It ended between the two lines.
    }
  }
}

/** The PostgreSQL of a data directory that was made for this run. */
export class PostgresProcesses {
  readonly #dataDir: string;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** The owner's own connection, past every proxy. */
  get url(): string {
    return readFileSync(path.join(this.#dataDir, 'postgres.url'), 'utf8').trim();
  }

  /** The postmaster and its children. */
  pids(): number[] {
    const file = path.join(this.#dataDir, 'postgres/postmaster.pid');
    const postmaster = Number(readFileSync(file, 'utf8').split('\n')[0]);
    const children = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => parentOf(pid) === postmaster);
    return [postmaster, ...children];
  }

  signal(signal: NodeJS.Signals, pids = this.pids()): void {
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // It ended with its postmaster.
      }
    }
  }

  /** Ends every standstill, at the end of a run that failed too. */
  resume(): void {
    try {
      this.signal('SIGCONT');
    } catch {
      // It does not run.
    }
  }

  async query<Row extends pg.QueryResultRow>(text: string, timeoutMs = 60_000): Promise<Row[]> {
    const client = await this.#connect(timeoutMs);
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await this.#end(client);
    }
  }

  async #connect(timeoutMs: number): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.url,
      application_name: 'faults',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** A backend that stands still never answers the goodbye. */
  async #end(client: pg.Client): Promise<void> {
    await Promise.race([client.end().catch(() => undefined), sleep(200)]);
  }

  /** What a standby says after a failover that the clients have not noticed: 25006 to whoever writes. */
  async setReadOnly(readOnly: boolean): Promise<void> {
    const set = readOnly ? 'set default_transaction_read_only = on' : 'reset default_transaction_read_only';
    const client = await this.#connect(60_000);
    try {
      // Our own session is under the rule too.
      await client.query('set default_transaction_read_only = off');
      await client.query(`alter system ${set}`);
      await client.query('select pg_reload_conf()');
    } finally {
      await this.#end(client);
    }
  }

  /**
   * Begins a transaction that stores a batch with this id and does not end.
   *
   * @returns ends it without having stored anything
   */
  async holdBatchId(id: string): Promise<() => Promise<void>> {
    const client = await this.#connect(60_000);
    await client.query('begin');
    await client.query('insert into nowcast.batches (sender, batch_id, answer) values ($1, $2, $3)', [
      '',
      id,
      '{}',
    ]);
    return () => this.#end(client);
  }

  /**
   * Takes every connection that PostgreSQL still gives and breaks those that the server has.
   *
   * @returns gives them back
   */
  async useUpConnections(): Promise<() => Promise<void>> {
    const first = await this.#connect(60_000);
    const taken = [first];
    for (;;) {
      try {
        taken.push(await this.#connect(60_000));
      } catch (error) {
        if ((error as { code?: string }).code !== tooManyConnections) throw error;
        const { rowCount } = await first.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'nowcast%'",
        );
        // Until the server has won none of the places that this made free.
        if (rowCount === 0) break;
      }
    }
    return async () => void (await Promise.all(taken.map((client) => this.#end(client))));
  }

  /** Resolves when it takes queries. */
  async isBack(): Promise<void> {
    const endMs = performance.now() + startLimitMs;
    for (;;) {
      try {
        await this.query('select 1', 1_000);
        return;
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await sleep(10);
      }
    }
  }
}
