import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Account, serverAccount } from './account.ts';
import { type Binaries, prepareBinaries } from './binaries.ts';
import {
  asStartupError,
  clusterExists,
  clusterPath,
  createCluster,
  openDataDirectory,
  resetPassword,
} from './cluster.ts';
import { clearTheWay } from './orphan.ts';
import { type Ownership, takeOwnership } from './owner.ts';
import { freePort, PortTakenError, type Postmaster, startPostmaster } from './postmaster.ts';
import { type Address, connectionUrl, readAddress, writeAddress } from './urlFile.ts';

export type EmbeddedLog = { info(message: string): void; warn(message: string): void };

/** A PostgreSQL that belongs to this process: started, watched over, started again after a crash, stopped. */
export type EmbeddedPostgres = {
  /** Full connection URL of the owner role; stays the same over restarts. */
  readonly url: string;
  /** The postmaster's pid; undefined while PostgreSQL is down. */
  readonly pid: number | undefined;
  readonly watchdogPid: number | undefined;
  /** Fast shutdown (at most 4 s, then immediate) and release of the data directory. Idempotent. */
  stop(): Promise<void>;
  /** Resolves when PostgreSQL accepts queries again; joins a restart that is under way. */
  restart(): Promise<void>;
  /**
   * Calls back at each end of PostgreSQL: expected through `stop()` and `restart()`, unexpected when it crashed or
   * was killed. After an unexpected one it is being restarted already; `restart()` tells when it is back.
   */
  onExit(callback: (expected: boolean) => void): void;
};

/**
 * Starts the PostgreSQL of a data directory; makes its cluster first where there is none.
 *
 * @param purpose the command we run, named to somebody who starts a second one on the same directory
 * @param maxConnections instead of what one Nowcast needs, for whoever runs many on one PostgreSQL
 * @throws StartupError with one sentence for everything a person can change
 */
export async function startEmbedded(options: {
  dataDir: string;
  log: EmbeddedLog;
  purpose?: string;
  maxConnections?: number;
}): Promise<EmbeddedPostgres> {
  const dataDir = path.resolve(options.dataDir);
  await openDataDirectory(dataDir);
  const ownership = await takeOwnership(dataDir, options.purpose ?? 'start').catch((error: unknown) => {
    throw asStartupError(dataDir, error);
  });
  try {
    const prepared = {
      ...(await prepareCluster(dataDir, options.log)),
      maxConnections: options.maxConnections,
    };
    const supervisor = new Supervisor(dataDir, options.log, ownership, prepared);
    await supervisor.start();
    return supervisor;
  } catch (error) {
    await ownership.release();
    throw asStartupError(dataDir, error);
  }
}

type Cluster = { binaries: Binaries; account: Account | undefined; address: Address };
type Prepared = Cluster & { maxConnections: number | undefined };

/** Everything that has to be true before PostgreSQL can start: programs, cluster, password, nobody in the way. */
async function prepareCluster(dataDir: string, log: EmbeddedLog): Promise<Cluster> {
  const exists = clusterExists(dataDir);
  const binaries = await prepareBinaries(dataDir);
  const account = serverAccount(clusterPath(dataDir));
  const known = readAddress(dataDir);
  const address = known ?? { port: await freePort(), password: randomBytes(24).toString('base64url') };
  if (!exists) {
    log.info(`making a PostgreSQL cluster in ${clusterPath(dataDir)}`);
    await createCluster(dataDir, binaries, account, address.password);
  } else {
    await clearTheWay(dataDir, account, (pid) => {
      log.warn(`stopping PostgreSQL (process ${pid}), which a killed server left behind`);
    });
    if (known === undefined) {
      log.warn('postgres.url is missing: giving PostgreSQL a new password');
      await resetPassword(dataDir, binaries, account, address.password);
    }
  }
  address.port = await freePort(address.port);
  return { binaries, account, address };
}

const PORT_ATTEMPTS = 5;
/** Waits before each further restart of a PostgreSQL that keeps ending: what kept it down may be over at any moment. */
const BACKOFF_MS = [0, 100, 250, 500, 1_000];
/** After this long the next end counts as the first again. */
const SETTLED_MS = 30_000;

type Running = { postmaster: Postmaster; readyAtMs: number };

class Supervisor implements EmbeddedPostgres {
  readonly #dataDir: string;
  readonly #log: EmbeddedLog;
  readonly #ownership: Ownership;
  readonly #prepared: Prepared;
  readonly #callbacks: ((expected: boolean) => void)[] = [];
  readonly #stopping = new AbortController();
  #current: Running | undefined;
  #restarting: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #failures = 0;

  constructor(dataDir: string, log: EmbeddedLog, ownership: Ownership, prepared: Prepared) {
    this.#dataDir = dataDir;
    this.#log = log;
    this.#ownership = ownership;
    this.#prepared = prepared;
  }

  get url(): string {
    return connectionUrl(this.#prepared.address);
  }

  get pid(): number | undefined {
    return this.#current?.postmaster.pid;
  }

  get watchdogPid(): number | undefined {
    return this.#current?.postmaster.watchdogPid;
  }

  onExit(callback: (expected: boolean) => void): void {
    this.#callbacks.push(callback);
  }

  /** The first start may move to another port when ours was taken meanwhile; later ones keep the URL. */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#launch();
        await writeAddress(this.#dataDir, this.#prepared.address);
        return;
      } catch (error) {
        if (!(error instanceof PortTakenError) || attempt === PORT_ATTEMPTS) throw error;
        this.#prepared.address.port = await freePort();
      }
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      this.#stopping.abort();
      await this.#restarting?.catch(() => undefined);
      await this.#current?.postmaster.stop();
      await this.#ownership.release();
    })();
    return this.#stopped;
  }

  restart(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(new Error('PostgreSQL has been stopped'));
    this.#restarting ??= this.#startAgain().finally(() => (this.#restarting = undefined));
    return this.#restarting;
  }

  async #startAgain(): Promise<void> {
    const running = this.#current;
    if (running) {
      this.#current = undefined;
      await running.postmaster.stop();
      this.#tell(true);
    }
    for (;;) {
      const waitMs = BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)]!;
      await delay(waitMs, undefined, { signal: this.#stopping.signal });
      try {
        await clearTheWay(this.#dataDir, this.#prepared.account, () => undefined);
        await this.#launch();
        this.#log.info(`PostgreSQL runs again (process ${this.pid})`);
        return;
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        this.#failures++;
        this.#log.warn(`PostgreSQL did not start again, trying on: ${(error as Error).message}`);
      }
    }
  }

  async #launch(): Promise<void> {
    const postmaster = await startPostmaster({
      ...this.#prepared,
      dataDir: this.#dataDir,
      signal: this.#stopping.signal,
      warn: (message) => this.#log.warn(message),
    });
    const current = { postmaster, readyAtMs: performance.now() };
    this.#current = current;
    void postmaster.ended.then(() => this.#ended(current));
  }

  #ended(ended: Running): void {
    // Otherwise a restart ended it, and tells so itself.
    if (this.#current !== ended) return;
    this.#current = undefined;
    const expected = this.#stopping.signal.aborted;
    if (!expected) {
      const settled = performance.now() - ended.readyAtMs > SETTLED_MS;
      this.#failures = settled ? 0 : this.#failures + 1;
      this.#log.warn(`PostgreSQL (process ${ended.postmaster.pid}) ended unexpectedly: starting it again`);
      // It fails only by being stopped, and then there is nothing left to do.
      this.restart().catch(() => undefined);
    }
    this.#tell(expected);
  }

  #tell(expected: boolean): void {
    for (const callback of this.#callbacks) callback(expected);
  }
}
