import {
  CopyEncoder,
  copyColumns,
  dayOf,
  sqlTimestamp,
  type ValidEvent,
  weightColumn,
} from '@nowcast/protocol';
import pg from 'pg';
import type { Loss } from '../health/ledger.ts';
import type { HistogramEdges } from '../process/histogram.ts';
import type { RunningQuantiles } from '../process/runningQuantiles.ts';
import { Summaries } from '../process/summary.ts';
import type { Canary, Write, WriteRequest } from './request.ts';

/** A group is closed to further requests beyond these: a transaction should stay in the tens of milliseconds. */
const maxGroupRows = 10_000;
const maxGroupBytes = 4 * 1024 * 1024;
/** Partitions of one transaction; senders of late events rarely touch more than two. */
const maxGroupDays = 8;

/** A partition or a table that somebody else holds must not stop everyone for long. */
export const lockTimeoutMs = 1_000;
/** All requests of a group wait for a batch id that another transaction holds open: no longer than this. */
const heldBatchTimeoutMs = 20;

/** Requests that are committed in one transaction. */
export class Group {
  readonly requests: WriteRequest[] = [];
  readonly #edges: HistogramEdges;
  readonly #summaries: Summaries;
  /** Of what was not kept, which the summaries above hold too; apart, so that recomputation remains possible. */
  #unkept: Summaries | undefined;
  /** In the order in which the transaction copies them. */
  readonly #copies: DayCopy[] = [];
  readonly #range = new RowRange();
  readonly #counts = new Counts();
  readonly #canaries: Canary[] = [];
  #events = 0;
  #bytes = 0;

  constructor(edges: HistogramEdges) {
    this.#edges = edges;
    this.#summaries = new Summaries(edges);
  }

  hasRoomFor({ write }: WriteRequest): boolean {
    return (
      this.requests.length === 0 ||
      (this.#events + write.rows.length + write.unkept.length <= maxGroupRows &&
        this.#bytes + write.copyData.length <= maxGroupBytes &&
        this.#copies.length <= maxGroupDays)
    );
  }

  add(request: WriteRequest): void {
    const { copyData, rows, sender, losses, unkept, weighed, canary } = request.write;
    this.requests.push(request);
    if (canary !== undefined) {
      this.#canaries.push(canary);
      // Copying nothing meets a partition that is locked or gone all the same.
      this.#addCopyData(canary.day, weighed, noData);
      return;
    }
    this.#counts.add(sender, rows.length, losses);
    this.#events += rows.length + unkept.length;
    this.#bytes += copyData.length;
    for (const row of rows) {
      this.#range.add(row.id, row.event.timestampMicros);
      this.#summaries.add(row.event);
    }
    for (const event of unkept) this.#addUnkept(event);
    if (rows.length === 0) return;
    const day = singleDayOf(request.write);
    if (day !== undefined) this.#addCopyData(day, weighed, copyData);
    else for (const [each, data] of byDay(request.write)) this.#addCopyData(each, weighed, data);
  }

  days(): string[] {
    return this.#copies.map(({ day }) => day);
  }

  /**
   * The whole transaction as one simple query; `copies` are its COPY data in order.
   *
   * @param token names the transaction in the feed, so that its outcome can be looked up
   * @param announces whether it wakes those who follow the feed
   * @param quantiles to which its events are added
   */
  transaction(
    token: string,
    announces: boolean,
    quantiles: RunningQuantiles,
  ): { text: string; copies: Uint8Array[] } {
    const statements = ['begin'];
    const copies: Uint8Array[] = [];
    const batches = this.requests.filter(({ write }) => write.batch !== undefined);
    if (batches.length > 0) {
      statements.push(`set local lock_timeout = '${heldBatchTimeoutMs}ms'`);
      for (const { write } of batches) statements.push(batchStatement(write));
      statements.push(`set local lock_timeout = '${lockTimeoutMs}ms'`);
    }
    if (this.#events > 0) {
      const day = this.#copies.length === 1 ? this.#copies[0]!.day : undefined;
      statements.push(feedStatement(token, day, this.#range, this.#counts));
    }
    for (const [index, { id }] of this.#canaries.entries()) {
      // One row of the transaction carries its token.
      statements.push(canaryStatement(this.#events === 0 && index === 0 ? token : undefined, id));
    }
    for (const { day, weighed, data } of this.#copies) {
      // COPY names the partition: the parent with its transition-table triggers would lose multi-insert.
      statements.push(
        `copy nowcast.inference_logs_${day} (${weighed ? weighedColumns : columns}) from stdin`,
      );
      copies.push(data.length === 1 ? data[0]! : Buffer.concat(data));
    }
    // By COPY too: parsing and planning an INSERT of 34 columns took a third of a small transaction.
    statements.push('copy nowcast.summary_partials from stdin');
    copies.push(this.#summaries.copyData(quantiles));
    if (this.#unkept !== undefined) {
      statements.push('copy nowcast.unkept_partials from stdin');
      copies.push(this.#unkept.copyData());
    }
    if (announces) statements.push(announcement);
    statements.push('commit');
    return { text: statements.join(';'), copies };
  }

  /** Halves, for finding the request that PostgreSQL refuses. */
  bisect(): [Group, Group] {
    const middle = this.requests.length >>> 1;
    return [this.#of(this.requests.slice(0, middle)), this.#of(this.requests.slice(middle))];
  }

  /** The requests that still wait for an answer. */
  unsettled(): Group {
    return this.filter(({ settled }) => !settled);
  }

  filter(wanted: (request: WriteRequest) => boolean): Group {
    return this.requests.every(wanted) ? this : this.#of(this.requests.filter(wanted));
  }

  #of(requests: readonly WriteRequest[]): Group {
    const group = new Group(this.#edges);
    for (const request of requests) group.add(request);
    return group;
  }

  #addUnkept(event: ValidEvent): void {
    this.#range.addTime(event.timestampMicros);
    this.#summaries.add(event);
    this.#unkept ??= new Summaries(this.#edges);
    this.#unkept.add(event);
  }

  #addCopyData(day: string, weighed: boolean, data: Uint8Array): void {
    for (const copy of this.#copies) {
      if (copy.day === day && copy.weighed === weighed) {
        copy.data.push(data);
        return;
      }
    }
    this.#copies.push({ day, weighed, data: [data] });
  }
}

/** What one COPY brings into a day's partition. */
interface DayCopy {
  readonly day: string;
  readonly weighed: boolean;
  readonly data: Uint8Array[];
}

/** The payload is constant: PostgreSQL folds equal ones. */
export const announcement = 'notify nowcast_feed';

/** Prepared once a connection: parsing and planning it took as long as running it. */
export const prepareFeedStatement = `prepare nowcast_feed (
    uuid, text, integer, timestamptz, timestamptz, bigint, bigint, text[], text[], text[], bigint[]
  ) as
  with counted as (
    insert into nowcast.loss_partials (sender, fate, reason, events)
    select * from unnest($8, $9, $10, $11)
  )
  insert into nowcast.feed (relation, token, day, row_count, min_timestamp, max_timestamp, min_id, max_id)
  values ('inference_logs', $1, $2, $3, $4, $5, $6, $7)`;

const columns = copyColumns.join(',');
const weighedColumns = `${columns},${weightColumn}`;

/** Count, ids and times of the rows of a transaction. */
class RowRange {
  count = 0;
  minId = Number.POSITIVE_INFINITY;
  maxId = Number.NEGATIVE_INFINITY;
  minMicros = Number.POSITIVE_INFINITY;
  maxMicros = Number.NEGATIVE_INFINITY;

  add(id: number, timestampMicros: number): void {
    this.count += 1;
    if (id < this.minId) this.minId = id;
    if (id > this.maxId) this.maxId = id;
    this.addTime(timestampMicros);
  }

  /** Of an event that is no row: its minute changes all the same. */
  addTime(timestampMicros: number): void {
    if (timestampMicros < this.minMicros) this.minMicros = timestampMicros;
    if (timestampMicros > this.maxMicros) this.maxMicros = timestampMicros;
  }
}

/** What becomes of the events of a transaction, by sender: nearly always one sender whose events are all stored. */
class Counts {
  readonly #stored = new Map<string, number>();
  readonly #losses: Loss[] = [];

  add(sender: string, stored: number, losses: readonly Loss[]): void {
    if (stored > 0) this.#stored.set(sender, (this.#stored.get(sender) ?? 0) + stored);
    if (losses.length > 0) this.#losses.push(...losses);
  }

  /** Senders, fates, reasons and numbers, as four array literals. */
  sqlArrays(): string {
    const all: Loss[] = [];
    for (const [sender, events] of this.#stored) all.push({ sender, fate: 'stored', reason: '', events });
    all.push(...this.#losses);
    const texts = (of: (loss: Loss) => string) =>
      `array[${all.map((loss) => pg.escapeLiteral(of(loss))).join(',')}]`;
    return `${texts(({ sender }) => sender)},${texts(({ fate }) => fate)},${texts(({ reason }) => reason)},'{${all
      .map(({ events }) => events)
      .join(',')}}'`;
  }
}

/** @param day undefined when the rows lie in several partitions */
function feedStatement(token: string, day: string | undefined, range: RowRange, counts: Counts): string {
  return `execute nowcast_feed ('${token}',${day === undefined ? 'null' : `'${day}'`},${range.count},'${sqlTimestamp(
    range.minMicros,
  )}','${sqlTimestamp(range.maxMicros)}',${range.count === 0 ? 'null,null' : `${range.minId},${range.maxId}`},${counts.sqlArrays()})`;
}

function canaryStatement(token: string | undefined, id: string): string {
  return `insert into nowcast.feed (relation, token, row_count, changes) values ('canary', ${
    token === undefined ? 'null' : `'${token}'`
  }, 1, jsonb_build_object('id', ${pg.escapeLiteral(id)}))`;
}

const noData = new Uint8Array();

function batchStatement({ answer, batch }: Write): string {
  return `insert into nowcast.batches (sender, batch_id, answer) values (${pg.escapeLiteral(
    batch!.sender,
  )},${pg.escapeLiteral(batch!.id)},${pg.escapeLiteral(JSON.stringify(answer))})`;
}

/** The day of a write whose rows all lie in one; undefined when it spans days. */
function singleDayOf({ rows }: Write): string | undefined {
  const day = dayOf(rows[0]!.event.timestampMicros);
  for (let index = 1; index < rows.length; index += 1) {
    if (dayOf(rows[index]!.event.timestampMicros) !== day) return undefined;
  }
  return day;
}

/** The rows of a write that spans days, encoded anew by day. */
function byDay({ rows, weighed }: Write): Map<string, Uint8Array> {
  const encoders = new Map<string, CopyEncoder>();
  for (const { id, event, weight } of rows) {
    const day = dayOf(event.timestampMicros);
    const encoder = encoders.get(day) ?? new CopyEncoder();
    encoders.set(day, encoder);
    encoder.add(id, event, weighed ? weight : undefined);
  }
  return new Map([...encoders].map(([day, encoder]) => [day, encoder.take()]));
}
