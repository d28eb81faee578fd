import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { HistogramEdges } from '../process/histogram.ts';
import { RunningQuantiles } from '../process/runningQuantiles.ts';
import { copyTransaction } from './copyTransaction.ts';
import { Group } from './group.ts';
import type { Partitions } from './partitions.ts';
import {
  OverloadedError,
  RefusedRowsError,
  type StoredEvent,
  UnknownOutcomeError,
  type Write,
  type WriteOutcome,
  WriteRequest,
} from './request.ts';
import { failureOf } from './sqlState.ts';
import type { WriterConnection } from './writerConnection.ts';

/** What an event holds beside its COPY line while it waits: the object and its strings, roughly. */
const bytesPerWaitingEvent = 512;
/** Requests without an outcome for this long are answered 503; the sender still has them. */
const maxWaitMs = 5_000;
const expiryIntervalMs = 250;
/** A process that stood still for longer, as a suspended machine's, kept its requests waiting itself: the database did not. */
const longestStepMs = 2 * expiryIntervalMs;
/**
 * Under load one transaction in so many milliseconds wakes those who follow the feed: NOTIFY in each cost a quarter of the
 * throughput of single events, most of it by waking others a thousand times a second.
 */
const announceIntervalMs = 10;
/** A transaction that lost a deadlock is tried again this often. */
const maxRetries = 3;

export interface WriterOptions {
  readonly connection: WriterConnection;
  readonly partitions: Partitions;
  readonly edges: HistogramEdges;
  /** Bound of what waits and is in flight; beyond it `write` rejects with OverloadedError. */
  readonly maxPendingBytes: number;
  /** Called after each commit, before the requests are answered; must not throw. */
  readonly onCommitted: (token: string, rows: readonly StoredEvent[], seconds: number) => void;
  /** Wakes those who follow the feed, when the last transactions before a pause did not. Must not reject. */
  readonly announce: () => Promise<void>;
  /** The system's clock where it is left out. */
  readonly nowMs?: (() => number) | undefined;
}

/** A connection that writes, and the requests it has sent whose outcome is not known. */
interface Lane {
  readonly connection: WriterConnection;
  /** Its transactions follow each other. */
  readonly quantiles: RunningQuantiles;
  undecided: readonly WriteRequest[];
}

/**
 * Group commit without timers: while a transaction is in flight the next group gathers, and a request is answered
 * when the transaction with its rows has committed. One connection writes: several measured slower.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #lane: Lane;
  readonly #queue: Group[] = [];
  /** What the queue's head became: its requests are being written. */
  #current: Group | undefined;
  /** Requests whose batch id another transaction holds open. They wait apart, on a connection of their own. */
  readonly #held = new Set<WriteRequest>();
  #announcedAtMs = Number.NEGATIVE_INFINITY;
  /** Set while a committed transaction has not been announced. */
  #announcement: NodeJS.Timeout | undefined;
  #announcing: Promise<void> | undefined;
  readonly #expiry: NodeJS.Timeout;
  readonly #systemNowMs: () => number;
  /** The time by which requests wait, and when it was looked at. */
  #clock: { readonly ms: number; readonly lookedAtMs: number };
  #pendingBytes = 0;
  #running: Promise<void> | undefined;
  #runningHeld: Promise<void> | undefined;
  #closed = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#lane = {
      connection: options.connection,
      quantiles: new RunningQuantiles(options.edges),
      undecided: [],
    };
    this.#systemNowMs = options.nowMs ?? (() => performance.now());
    this.#clock = { ms: 0, lookedAtMs: this.#systemNowMs() };
    this.#expiry = setInterval(() => this.#expire(), expiryIntervalMs).unref();
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Throws OverloadedError when a request of this size would pass the bound: cheap, so ask before parsing. */
  assertRoomFor(bytes: number): void {
    if (this.#closed) throw new OverloadedError('Nowcast is stopping');
    if (this.#pendingBytes + bytes > this.#options.maxPendingBytes) {
      throw new OverloadedError('too many events are waiting to be written (NOWCAST_MAX_PENDING_BYTES)');
    }
  }

  /**
   * Resolves when the rows are committed.
   *
   * @throws OverloadedError nothing was stored, try again later
   * @throws RefusedRowsError PostgreSQL refuses these rows
   */
  write(write: Write): Promise<WriteOutcome> {
    const bytes = bytesOf(write);
    this.assertRoomFor(bytes);
    this.#pendingBytes += bytes;
    return new Promise<WriteOutcome>((resolve, reject) => {
      this.#enqueue(new WriteRequest(write, this.#waitingMs(), resolve, reject));
      this.#running ??= this.#run();
    });
  }

  /** Takes no more and resolves when all that was taken is answered. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#runningHeld;
    clearInterval(this.#expiry);
    if (this.#announcement !== undefined) this.#announce();
    await this.#announcing;
    await this.#options.connection.close();
  }

  #enqueue(request: WriteRequest): void {
    if (this.#isHeld(request)) {
      this.#hold([request]);
      return;
    }
    let group = this.#queue.at(-1);
    if (group === undefined || !group.hasRoomFor(request)) {
      group = new Group(this.#options.edges);
      this.#queue.push(group);
    }
    group.add(request);
  }

  async #run(): Promise<void> {
    // Requests that arrived in the same turn of the event loop join the first group.
    await new Promise(setImmediate);
    for (let group = this.#queue.shift(); group !== undefined; group = this.#queue.shift()) {
      this.#current = group;
      await this.#commitOrReject(group, this.#lane);
    }
    this.#current = undefined;
    this.#running = undefined;
  }

  #hold(requests: readonly WriteRequest[]): void {
    for (const request of requests) this.#held.add(request);
    this.#runningHeld ??= this.#runHeld();
  }

  /** Tries each request whose batch id is held open, in turns, until its holder has ended or it has waited too long. */
  async #runHeld(): Promise<void> {
    const lane: Lane = {
      connection: this.#options.connection.another(),
      quantiles: new RunningQuantiles(this.#options.edges),
      undecided: [],
    };
    while (this.#held.size > 0) {
      for (const request of this.#held) {
        const alone = new Group(this.#options.edges);
        alone.add(request);
        await this.#commitOrReject(alone, lane);
        if (request.settled) this.#held.delete(request);
      }
    }
    this.#runningHeld = undefined;
    await lane.connection.close().catch(() => undefined);
  }

  async #commitOrReject(group: Group, lane: Lane): Promise<void> {
    try {
      await this.#commit(group, lane);
    } catch {
      // Stopped while the outcome was being looked up. Those already answered are not changed by this.
      this.#reject(group.requests, new UnknownOutcomeError());
    }
  }

  /** Runs a group's transaction until its outcome is known, and answers its requests or takes them apart. */
  async #commit(all: Group, lane: Lane): Promise<void> {
    const { connection } = lane;
    for (let retries = 0; ; ) {
      if (all.requests.every(({ settled }) => settled)) return;
      let client: pg.Client;
      try {
        client = await connection.client();
      } catch (error) {
        if (this.#closed) return this.#reject(all.requests, cannotBeReached(error));
        await connection.pause();
        continue;
      }
      // Whoever was answered while the database was away is not written any more. From here to the sending of the
      // transaction nothing waits, or a request could be told that nothing was stored and be stored then.
      const group = all.unsettled();
      const { requests } = group;
      if (requests.length === 0) return;
      const token = randomUUID();
      const startedAtMs = performance.now();
      const announces = startedAtMs - this.#announcedAtMs >= announceIntervalMs;
      const { copies, text } = group.transaction(token, announces, lane.quantiles);
      try {
        lane.undecided = requests;
        await connection.withTimeout(copyTransaction(client, text, copies));
        if (announces) this.#announced(startedAtMs);
        else this.#announcement ??= setTimeout(() => this.#announce(), announceIntervalMs);
        return this.#committed(token, requests, startedAtMs);
      } catch (error) {
        lane.quantiles.clear();
        const failure = failureOf(error);
        if (failure.kind === 'connection') {
          if (await connection.wasCommitted(token)) {
            this.#announce();
            return this.#committed(token, requests, startedAtMs);
          }
          continue;
        }
        try {
          await connection.withTimeout(client.query('rollback'));
        } catch {
          // The connection broke; as no commit had been reached, nothing was written.
          connection.drop();
        }
        lane.undecided = [];
        switch (failure.kind) {
          case 'locked':
            // Until the lock is free or nobody waits any more.
            if (this.#closed) return this.#reject(requests, new OverloadedError(failure.message));
            continue;
          case 'heldBatch':
            return await this.#setHeldAside(group, lane);
          case 'retry':
            retries += 1;
            if (retries <= maxRetries) continue;
            return this.#reject(requests, new OverloadedError(failure.message));
          case 'noPartition':
            retries += 1;
            if (retries <= maxRetries && (await this.#remakePartitions(group))) continue;
            return this.#reject(requests, new OverloadedError(failure.message));
          case 'resource':
            return this.#reject(requests, new OverloadedError(failure.message));
          case 'refused':
            if (failure.table === 'batches') {
              retries += 1;
              if (retries <= maxRetries) {
                const repeats = await this.#answerRepeats(group, lane);
                if (repeats === undefined) continue;
                await this.#commit(
                  group.filter((request) => !repeats.has(request)),
                  lane,
                );
                return await this.#commit(
                  group.filter((request) => repeats.has(request)),
                  lane,
                );
              }
              return this.#reject(requests, new OverloadedError(failure.message));
            }
            if (requests.length > 1) {
              for (const half of group.bisect()) await this.#commit(half, lane);
              return;
            }
            return this.#reject(requests, new RefusedRowsError(failure.message));
        }
      } finally {
        lane.undecided = [];
      }
    }
  }

  /** Somebody holds the batch id of one of these open: those without an id must not wait for it. */
  async #setHeldAside(group: Group, lane: Lane): Promise<void> {
    const withId = group.filter(({ write }) => write.batch !== undefined).requests;
    if (this.#closed) this.#reject(withId, new OverloadedError('the batch is being stored elsewhere'));
    // On its own lane it simply stays there for the next turn.
    if (lane === this.#lane) this.#hold(withId.filter(({ settled }) => !settled));
    await this.#commit(
      group.filter(({ write }) => write.batch === undefined),
      lane,
    );
  }

  #isHeld({ write: { batch } }: WriteRequest): boolean {
    if (batch === undefined || this.#held.size === 0) return false;
    for (const { write } of this.#held) {
      if (write.batch!.id === batch.id && write.batch!.sender === batch.sender) return true;
    }
    return false;
  }

  /**
   * Answers the requests whose batch is stored already, all with one look. Returns the further ones of an id that
   * occurs several times in the group; undefined when the rest can be written together.
   */
  async #answerRepeats(group: Group, { connection }: Lane): Promise<Set<WriteRequest> | undefined> {
    const named = group.requests.filter(({ write }) => write.batch !== undefined);
    let rows: { n: string; answer: unknown }[];
    try {
      const client = await connection.client();
      const found = await connection.withTimeout(
        client.query<{ n: string; answer: unknown }>(
          `select asked.n, b.answer from unnest($1::text[], $2::text[]) with ordinality asked (sender, batch_id, n)
           join nowcast.batches b using (sender, batch_id)`,
          [named.map(({ write }) => write.batch!.sender), named.map(({ write }) => write.batch!.id)],
        ),
      );
      rows = found.rows;
    } catch {
      // The next attempt meets the same repeats.
      return undefined;
    }
    for (const { n, answer } of rows) this.#answer(named[Number(n) - 1]!, { kind: 'duplicate', answer });
    const seen = new Set<string>();
    const repeats = new Set<WriteRequest>();
    for (const request of named) {
      if (request.settled) continue;
      const { sender, id } = request.write.batch!;
      const key = JSON.stringify([sender, id]);
      if (seen.has(key)) repeats.add(request);
      seen.add(key);
    }
    return repeats.size === 0 ? undefined : repeats;
  }

  /** Answers 503 to those who have waited too long, so that neither they nor memory wait for a database that is away. */
  #expire(): void {
    this.#clock = { ms: this.#waitingMs(), lookedAtMs: this.#systemNowMs() };
    const latest = this.#clock.ms - maxWaitMs;
    const expired = (group: Group | undefined) =>
      group?.requests.filter(({ settled, waitingSinceMs }) => !settled && waitingSinceMs < latest) ?? [];
    const undecided = new Set(this.#lane.undecided);
    for (const request of expired(this.#current)) {
      this.#reject(
        [request],
        undecided.has(request) ? new UnknownOutcomeError() : new OverloadedError(tooLate),
      );
    }
    while (this.#queue[0] !== undefined) {
      const late = expired(this.#queue[0]);
      if (late.length === 0) break;
      this.#reject(late, new OverloadedError(tooLate));
      if (this.#queue[0].requests.some(({ settled }) => !settled)) break;
      this.#queue.shift();
    }
    for (const request of this.#held) {
      // Its transaction waits for the holder's end; both outcomes are possible until then.
      if (request.waitingSinceMs < latest) this.#reject([request], new UnknownOutcomeError());
    }
  }

  #waitingMs(): number {
    return this.#clock.ms + Math.min(this.#systemNowMs() - this.#clock.lookedAtMs, longestStepMs);
  }

  #announced(atMs: number): void {
    this.#announcedAtMs = atMs;
    clearTimeout(this.#announcement);
    this.#announcement = undefined;
  }

  /** Wakes apart from any transaction: for the last ones before a pause. */
  #announce(): void {
    this.#announced(performance.now());
    this.#announcing = this.#options.announce();
  }

  #committed(token: string, requests: readonly WriteRequest[], startedAtMs: number): void {
    if (requests.some(({ write }) => write.canary === undefined)) {
      this.#options.onCommitted(
        token,
        requests.flatMap(({ write }) => write.rows),
        (performance.now() - startedAtMs) / 1000,
      );
    }
    // Before the next transaction leaves: sending that first measured a tenth slower, as its group was smaller.
    for (const request of requests) this.#answer(request, committed);
  }

  #answer(request: WriteRequest, outcome: WriteOutcome): void {
    if (this.#settle(request)) request.resolve(outcome);
  }

  #reject(requests: readonly WriteRequest[], error: Error): void {
    for (const request of requests) if (this.#settle(request)) request.reject(error);
  }

  /** False when the request has been answered before. */
  #settle(request: WriteRequest): boolean {
    if (request.settled) return false;
    request.settled = true;
    this.#pendingBytes -= bytesOf(request.write);
    return true;
  }

  async #remakePartitions(group: Group): Promise<boolean> {
    const { partitions } = this.#options;
    try {
      for (const day of group.days()) {
        partitions.forget(day);
        await partitions.ensure(day);
      }
      return true;
    } catch {
      // Its reason is the failure that the requests are answered with.
      return false;
    }
  }
}

const tooLate = 'the database is away or too slow; nothing of this was stored';

function cannotBeReached(error: unknown): OverloadedError {
  return new OverloadedError(`the database cannot be reached: ${(error as Error).message}`);
}

const committed: WriteOutcome = { kind: 'committed' };

function bytesOf(write: Write): number {
  return write.copyData.length + (write.rows.length + write.unkept.length) * bytesPerWaitingEvent;
}
