import { randomUUID } from 'node:crypto';
import { CopyEncoder, dayOf } from '@nowcast/protocol';
import type pg from 'pg';
import type { HistogramEdges } from '../process/histogram.ts';
import { Summaries } from '../process/summary.ts';
import { copyTransaction } from './copyTransaction.ts';
import {
  batchStatement,
  copyStatement,
  feedStatement,
  Group,
  RowRange,
  singleDayOf,
  wakeStatement,
} from './group.ts';
import type { Partitions } from './partitions.ts';
import {
  OverloadedError,
  RefusedRowsError,
  type StoredEvent,
  type WriteOutcome,
  type WriteRequest,
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

type Work = { readonly group: Group } | { readonly spanning: WriteRequest };

/**
 * Group commit without timers: while a transaction is in flight the next group gathers, and a request is answered
 * when the transaction with its rows has committed. One connection writes: several measured slower.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #queue: Work[] = [];
  /** The last queued group of each day, while it may take more requests. */
  readonly #open = new Map<string, Group>();
  readonly #waitingSince = new WeakMap<WriteRequest, number>();
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
  write(request: Pick<WriteRequest, 'rows' | 'copyData' | 'batch' | 'answer'>): Promise<WriteOutcome> {
    const bytes = request.copyData.length + request.rows.length * bytesPerWaitingEvent;
    this.assertRoomFor(bytes);
    this.#pendingBytes += bytes;
    return new Promise<WriteOutcome>((resolve, reject) => {
      const waiting: WriteRequest = { ...request, resolve, reject };
      this.#waitingSince.set(waiting, performance.now());
      this.#enqueue(waiting);
      this.#running ??= this.#run();
    }).finally(() => {
      this.#pendingBytes -= bytes;
    });
  }

  /** Takes no more and resolves when all that was taken is answered. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#options.connection.close();
  }

  #enqueue(request: WriteRequest): void {
    const day = singleDayOf(request);
    if (day === undefined) {
      this.#queue.push({ spanning: request });
      return;
    }
    let group = this.#open.get(day);
    if (group === undefined || !group.hasRoomFor(request)) {
      group = new Group(day, this.#options.edges);
      this.#open.set(day, group);
      this.#queue.push({ group });
    }
    group.add(request);
  }

  async #run(): Promise<void> {
    // Requests that arrived in the same turn of the event loop join the first group.
    await new Promise(setImmediate);
    for (let work = this.#queue.shift(); work !== undefined; work = this.#queue.shift()) {
      const requests = 'group' in work ? work.group.requests : [work.spanning];
      try {
        if ('group' in work) {
          if (this.#open.get(work.group.day) === work.group) this.#open.delete(work.group.day);
          await this.#commitGroup(work.group);
        } else {
          await this.#commitSpanning(work.spanning);
        }
      } catch (error) {
        // Stopped while the outcome was being looked up. Those already answered are not changed by this.
        reject(requests, new OverloadedError((error as Error).message));
      }
    }
    this.#running = undefined;
  }

  async #commitGroup(group: Group): Promise<void> {
    await this.#attempt(
      group.requests,
      (client, token) => copyTransaction(client, group.transaction(token), group.copyData()),
      group.day,
      async () => {
        for (const half of group.bisect()) await this.#commitGroup(half);
      },
    );
  }

  /** A request with rows of several days: one transaction of awaited statements, since a round trip carries one COPY. */
  async #commitSpanning(request: WriteRequest): Promise<void> {
    await this.#attempt(
      [request],
      (client, token) => this.#writeSpanning(client, request, token),
      undefined,
      () => Promise.reject(new Error('one request cannot be bisected')),
    );
  }

  async #writeSpanning(client: pg.Client, request: WriteRequest, token: string): Promise<void> {
    const linesByDay = new Map<string, CopyEncoder>();
    const range = new RowRange();
    const summaries = new Summaries(this.#options.edges);
    for (const row of request.rows) {
      const day = dayOf(row.event.timestampMicros);
      const lines = linesByDay.get(day) ?? new CopyEncoder();
      linesByDay.set(day, lines);
      lines.add(row.id, row.event);
      range.add(row.id, row.event.timestampMicros);
      summaries.add(row.event);
    }
    const batch = batchStatement(request);
    await client.query(
      `begin;${batch === undefined ? '' : `${batch};`}${feedStatement(token, undefined, range)}`,
    );
    for (const [day, lines] of linesByDay) {
      await copyTransaction(client, copyStatement(day), lines.take());
    }
    await client.query(`${summaries.insertStatement()};${wakeStatement};commit`);
  }

  /** Runs one transaction until its outcome is known, and answers the requests or hands them to `bisect`. */
  async #attempt(
    requests: readonly WriteRequest[],
    transact: (client: pg.Client, token: string) => Promise<void>,
    day: string | undefined,
    bisect: () => Promise<void>,
  ): Promise<void> {
    const { connection, partitions } = this.#options;
    for (let retries = 0; ; ) {
      let client: pg.Client;
      try {
        client = await connection.client();
      } catch (error) {
        if (this.#closed || this.#waitedTooLong(requests)) {
          return reject(
            requests,
            new OverloadedError(`the database cannot be reached: ${(error as Error).message}`),
          );
        }
        await connection.pause();
        continue;
      }
      const token = randomUUID();
      try {
        await connection.withTimeout(transact(client, token));
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
            return reject(requests, new OverloadedError(failure.message));
          case 'noPartition':
            retries += 1;
            if (day !== undefined) partitions.forget(day);
            if (retries <= maxRetries && (await this.#ensurePartitions(requests))) continue;
            return reject(requests, new OverloadedError(failure.message));
          case 'resource':
            return reject(requests, new OverloadedError(failure.message));
          case 'refused':
            if (requests.length > 1) return bisect();
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
      if (request.batch !== undefined && failure.table === 'batches') {
        const client = await this.#options.connection.client();
        const { rows } = await client.query<{ answer: unknown }>(
          'select answer from nowcast.batches where sender = $1 and batch_id = $2',
          [request.batch.sender, request.batch.id],
        );
        if (rows[0] !== undefined) return request.resolve({ kind: 'duplicate', answer: rows[0].answer });
      }
      if (failure.code === lockNotAvailable) return request.reject(new OverloadedError(failure.message));
      request.reject(new RefusedRowsError(failure.message));
    } catch (error) {
      request.reject(new OverloadedError((error as Error).message));
    }
  }

  #committed(token: string, requests: readonly WriteRequest[]): void {
    this.#options.onCommitted(
      token,
      requests.flatMap((request) => request.rows),
    );
    for (const request of requests) request.resolve({ kind: 'committed' });
  }

  #waitedTooLong(requests: readonly WriteRequest[]): boolean {
    return performance.now() - this.#waitingSince.get(requests[0]!)! > maxWaitMs;
  }

  async #ensurePartitions(requests: readonly WriteRequest[]): Promise<boolean> {
    const days = new Set(requests.flatMap((r) => r.rows.map((row) => dayOf(row.event.timestampMicros))));
    try {
      for (const day of days) await this.#options.partitions.ensure(day);
      return true;
    } catch {
      // Its reason is the failure that the requests are answered with.
      return false;
    }
  }
}

const lockNotAvailable = '55P03';

function reject(requests: readonly WriteRequest[], error: Error): void {
  for (const request of requests) request.reject(error);
}
