import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { HistogramEdges } from '../process/histogram.ts';
import { copyTransaction } from './copyTransaction.ts';
import { Group } from './group.ts';
import type { Partitions } from './partitions.ts';
import {
  OverloadedError,
  RefusedRowsError,
  type StoredEvent,
  type Write,
  type WriteOutcome,
  WriteRequest,
} from './request.ts';
import { failureOf } from './sqlState.ts';
import type { WriterConnection } from './writerConnection.ts';

/** What an event holds beside its COPY line while it waits: the object and its strings, roughly. */
const bytesPerWaitingEvent = 512;
/** Requests that waited this long for a database that is away are answered 503; the sender still has them. */
const maxWaitMs = 5_000;
/** A transaction that lost a deadlock is tried again this often. */
const maxRetries = 3;

export interface WriterOptions {
  readonly connection: WriterConnection;
  readonly partitions: Partitions;
  readonly edges: HistogramEdges;
  /** Bound of what waits and is in flight; beyond it `write` rejects with OverloadedError. */
  readonly maxPendingBytes: number;
  /** Called after each commit, before the requests are answered; must not throw. */
  readonly onCommitted: (token: string, rows: readonly StoredEvent[]) => void;
}

/**
 * Group commit without timers: while a transaction is in flight the next group gathers, and a request is answered
 * when the transaction with its rows has committed. One connection writes: several measured slower.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #queue: Group[] = [];
  #pendingBytes = 0;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: WriterOptions) {
    this.#options = options;
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
      this.#enqueue(new WriteRequest(write, performance.now(), resolve, reject));
      this.#running ??= this.#run();
    });
  }

  /** Takes no more and resolves when all that was taken is answered. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#options.connection.close();
  }

  #enqueue(request: WriteRequest): void {
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
      try {
        await this.#commit(group);
      } catch (error) {
        // Stopped while the outcome was being looked up. Those already answered are not changed by this.
        this.#reject(group.requests, new OverloadedError((error as Error).message));
      }
    }
    this.#running = undefined;
  }

  /** Runs a group's transaction until its outcome is known, and answers its requests or bisects them. */
  async #commit(group: Group): Promise<void> {
    const { connection } = this.#options;
    const { requests } = group;
    for (let retries = 0; ; ) {
      let client: pg.Client;
      try {
        client = await connection.client();
      } catch (error) {
        if (this.#closed || this.#waitedTooLong(requests)) {
          return this.#reject(
            requests,
            new OverloadedError(`the database cannot be reached: ${(error as Error).message}`),
          );
        }
        await connection.pause();
        continue;
      }
      const token = randomUUID();
      const { copies, text } = group.transaction(token);
      try {
        await connection.withTimeout(copyTransaction(client, text, copies));
        return this.#committed(token, requests);
      } catch (error) {
        const failure = failureOf(error);
        if (failure.kind === 'connection') {
          if (await connection.wasCommitted(token)) return this.#committed(token, requests);
          continue;
        }
        try {
          await client.query('rollback');
        } catch {
          // The connection broke; as no commit had been reached, nothing was written.
          connection.drop();
        }
        switch (failure.kind) {
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
            if (requests.length > 1) {
              for (const half of group.bisect()) await this.#commit(half);
              return;
            }
            return this.#answerLone(requests[0]!, failure);
        }
      }
    }
  }

  async #answerLone(
    request: WriteRequest,
    failure: { message: string; code: string; table?: string | undefined },
  ) {
    try {
      const { batch } = request.write;
      if (batch !== undefined && failure.table === 'batches') {
        const client = await this.#options.connection.client();
        const { rows } = await client.query<{ answer: unknown }>(
          'select answer from nowcast.batches where sender = $1 and batch_id = $2',
          [batch.sender, batch.id],
        );
        if (rows[0] !== undefined)
          return this.#answer(request, { kind: 'duplicate', answer: rows[0].answer });
      }
      const refused = failure.code === lockNotAvailable ? OverloadedError : RefusedRowsError;
      this.#reject([request], new refused(failure.message));
    } catch (error) {
      this.#reject([request], new OverloadedError((error as Error).message));
    }
  }

  #committed(token: string, requests: readonly WriteRequest[]): void {
    this.#options.onCommitted(
      token,
      requests.flatMap(({ write }) => write.rows),
    );
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

  #waitedTooLong(requests: readonly WriteRequest[]): boolean {
    return performance.now() - requests[0]!.waitingSinceMs > maxWaitMs;
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

const lockNotAvailable = '55P03';

const committed: WriteOutcome = { kind: 'committed' };

function bytesOf(write: Write): number {
  return write.copyData.length + write.rows.length * bytesPerWaitingEvent;
}
