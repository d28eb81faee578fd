import { sleep } from '../load/clock.ts';
import type { History } from './history.ts';
import type { Load } from './load.ts';
import type { NowcastProcess, PostgresProcesses } from './processes.ts';
import type { CommitCutter } from './proxy.ts';
import type { SmallDisk } from './smallDisk.ts';

export type Fault =
  | 'kill server'
  | 'kill writer backend'
  | 'kill PostgreSQL'
  | 'terminate writer backend'
  | 'stop PostgreSQL'
  | 'stop PostgreSQL under 10,000 events/s'
  | 'restart server'
  | 'cut the answer to a commit'
  | 'fill the disk'
  | 'set the clock'
  | 'hold a batch id'
  | 'use up the connections'
  | 'make PostgreSQL read-only';

/** These end a process by SIGKILL. */
const kills: readonly Fault[] = ['kill server', 'kill writer backend', 'kill PostgreSQL'];

export interface FaultRecord {
  readonly fault: Fault;
  readonly isKill: boolean;
  /** The writer had a transaction open at that moment. */
  readonly inTransaction: boolean;
  readonly requestsInFlight: number;
  /** From the database (or the server) being back to the next acknowledgement. */
  readonly recoveryMs: number;
  /** Largest memory of the server from the fault to the recovery. */
  readonly peakBytes: number;
}

export interface Surroundings {
  readonly server: NowcastProcess;
  readonly postgres: PostgresProcesses;
  readonly cutter: CommitCutter | undefined;
  readonly disk: SmallDisk | undefined;
  readonly load: Load;
  readonly history: History;
  readonly random: () => number;
  /** How long a standstill lasts, at least and at most. */
  readonly stopMs: readonly [number, number];
  readonly floodMs: number;
}

/** Called at the moment of the fault, which meets requests in flight when it resolves. */
type Struck = (inTransaction: boolean) => Promise<void>;

const recoveryLimitMs = 60_000;
/** Into days that have no partition, and back: nobody's clock is a day off by accident, but then it is. */
const maxClockShiftMs = 3 * 86_400_000;
const heldBatchEvents = 20;
/** Whoever is not concerned by a fault is answered in this time. */
const othersLimitMs = 10_000;
const freezeLimitMs = 2_000;
/** A look at a frozen backend that holds a lock of PostgreSQL's own gets no answer. */
const lookLimitMs = 300;

export class Nemesis {
  readonly #around: Surroundings;
  readonly records: FaultRecord[] = [];
  /** A flood goes on beyond the recovery that it is to disturb. */
  #flood: Promise<void> | undefined;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Waits a moment, strikes while requests are in flight, and resolves when events are acknowledged again. */
  async strike(fault: Fault): Promise<void> {
    const { history, random, server } = this.#around;
    await sleep(200 + random() * 600);
    await this.#untilInFlight();
    server.takePeakBytes();
    let inTransaction = false;
    let requestsInFlight = 0;
    const struck = async (open: boolean) => {
      // Looking for the writer took its time: what was in flight may be answered.
      await this.#untilInFlight();
      inTransaction = open;
      requestsInFlight = history.inFlight;
      history.fault({ fault, in_transaction: open, requests_in_flight: requestsInFlight });
    };
    await this.#do(fault, struck);
    const backAt = performance.now();
    if (!(await history.nextAcknowledgement(recoveryLimitMs))) {
      throw new Error(
        `nothing was acknowledged for ${recoveryLimitMs} ms after "${fault}":\n${server.output}`,
      );
    }
    const recoveryMs = Math.round(performance.now() - backAt);
    await this.#flood;
    history.fault({ recovered_from: fault, recovery_ms: recoveryMs });
    const peakBytes = server.takePeakBytes();
    const isKill = kills.includes(fault);
    this.records.push({ fault, isKill, inTransaction, requestsInFlight, recoveryMs, peakBytes });
  }

  /** Resolves when what was struck is back. */
  async #do(fault: Fault, struck: Struck): Promise<void> {
    const { cutter, disk, floodMs, load, postgres, random, server, stopMs } = this.#around;
    const stillMs = stopMs[0] + random() * (stopMs[1] - stopMs[0]);
    switch (fault) {
      case 'kill server': {
        const frozen = await this.#freezeTransaction();
        await struck(frozen !== undefined);
        await server.end('SIGKILL');
        if (frozen !== undefined) postgres.signal('SIGCONT', [frozen]);
        return await server.start();
      }
      case 'kill writer backend': {
        const frozen = await this.#freezeTransaction();
        await struck(frozen !== undefined);
        const pid = frozen ?? (await this.#writerPid(false));
        if (pid !== undefined) postgres.signal('SIGKILL', [pid]);
        return await postgres.isBack();
      }
      case 'kill PostgreSQL': {
        const frozen = await this.#freezeTransaction();
        await struck(frozen !== undefined);
        postgres.signal('SIGKILL');
        return await postgres.isBack();
      }
      case 'terminate writer backend':
        await struck((await this.#writerPid(true)) !== undefined);
        await postgres.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nowcast writer'`,
        );
        return;
      case 'stop PostgreSQL': {
        const open = (await this.#writerPid(true)) !== undefined;
        await struck(open);
        const pids = postgres.pids();
        postgres.signal('SIGSTOP', pids);
        await sleep(stillMs);
        postgres.signal('SIGCONT', pids);
        return;
      }
      case 'stop PostgreSQL under 10,000 events/s': {
        this.#flood = load.flood(10_000, floodMs + 4_000);
        await sleep(2_000);
        const open = (await this.#writerPid(true)) !== undefined;
        await struck(open);
        const pids = postgres.pids();
        postgres.signal('SIGSTOP', pids);
        await sleep(floodMs);
        postgres.signal('SIGCONT', pids);
        return;
      }
      case 'restart server': {
        const active = (await this.#writerPid(true)) !== undefined;
        await struck(active);
        await server.end('SIGTERM');
        return await server.start();
      }
      case 'cut the answer to a commit':
        await cutter!.cutNextCommit();
        await struck(true);
        return;
      case 'fill the disk':
        await struck((await this.#writerPid(true)) !== undefined);
        disk!.fill();
        await this.#refusesFor(stillMs);
        return disk!.empty();
      case 'set the clock':
        await struck((await this.#writerPid(true)) !== undefined);
        return server.setClock(Math.round((random() * 2 - 1) * maxClockShiftMs));
      case 'hold a batch id':
        return await this.#holdBatchId(stillMs, struck);
      case 'use up the connections': {
        const release = await postgres.useUpConnections();
        await struck((await this.#writerPid(true)) !== undefined);
        await this.#refusesFor(stillMs);
        return await release();
      }
      case 'make PostgreSQL read-only':
        await struck((await this.#writerPid(true)) !== undefined);
        await postgres.setReadOnly(true);
        await this.#refusesFor(stillMs);
        return await postgres.setReadOnly(false);
    }
  }

  /** The server has to say that it takes nothing, and to stay up. */
  async #refusesFor(milliseconds: number): Promise<void> {
    const { history, server } = this.#around;
    if (!(await history.nextRefusal(recoveryLimitMs))) throw new Error('no request was refused');
    await sleep(milliseconds);
    if (!server.running) throw new Error(`the server ended:\n${server.output}`);
  }

  /**
   * Another transaction holds a batch id open while its batch is sent: that batch has to wait, and nobody else. Resolves when
   * the batch is acknowledged too.
   */
  async #holdBatchId(milliseconds: number, struck: Struck): Promise<void> {
    const { history, load, postgres } = this.#around;
    const held = history.plan(heldBatchEvents, true, false);
    const release = await postgres.holdBatchId(held.name);
    const delivered = load.deliver(held);
    await struck((await this.#writerPid(true)) !== undefined);
    const endMs = performance.now() + milliseconds;
    while (performance.now() < endMs) {
      if (!(await history.nextAcknowledgement(othersLimitMs)))
        throw new Error('a batch id that was held open stopped everybody');
    }
    if (held.acknowledgedAtMs !== undefined)
      throw new Error('a batch was acknowledged whose id another transaction held open');
    await release();
    await delivered;
  }

  /** A fault that meets nobody proves nothing. */
  async #untilInFlight(): Promise<void> {
    while (this.#around.history.inFlight === 0) await sleep(1);
  }

  /**
   * Stops the writer's backend in the middle of a transaction, so that what follows hits one for certain.
   * Undefined when none was met in time.
   */
  async #freezeTransaction(): Promise<number | undefined> {
    const { postgres } = this.#around;
    const endMs = performance.now() + freezeLimitMs;
    while (performance.now() < endMs) {
      const pid = await this.#writerPid(true);
      if (pid === undefined) continue;
      postgres.signal('SIGSTOP', [pid]);
      const looked = await postgres
        .query<{ open: boolean }>(
          `select state = 'active' and backend_xid is not null as open from pg_stat_activity where pid = ${pid}`,
          lookLimitMs,
        )
        .catch(() => undefined);
      if (looked === undefined || looked[0]?.open === true) return pid;
      postgres.signal('SIGCONT', [pid]);
    }
    return undefined;
  }

  async #writerPid(active: boolean): Promise<number | undefined> {
    const rows = await this.#around.postgres
      .query<{ pid: number }>(
        `select pid from pg_stat_activity
         where application_name = 'nowcast writer' ${active ? `and state = 'active'` : ''}`,
        1_000,
      )
      .catch(() => []);
    return rows[0]?.pid;
  }
}

/** Mulberry32: the same seed strikes the same way. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
