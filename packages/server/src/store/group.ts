import { copyColumns, dayOf, sqlTimestamp } from '@nowcast/protocol';
import pg from 'pg';
import type { HistogramEdges } from '../process/histogram.ts';
import { Summaries } from '../process/summary.ts';
import type { WriteRequest } from './request.ts';

/** A group is closed to further requests beyond these: a transaction should stay in the tens of milliseconds. */
const maxGroupRows = 10_000;
const maxGroupBytes = 4 * 1024 * 1024;

/** Requests that are committed in one transaction: the rows of one UTC day. */
export class Group {
  readonly day: string;
  readonly requests: WriteRequest[] = [];
  readonly #edges: HistogramEdges;
  readonly #summaries: Summaries;
  readonly #range = new RowRange();
  readonly #copyData: Uint8Array[] = [];
  #bytes = 0;

  constructor(day: string, edges: HistogramEdges) {
    this.day = day;
    this.#edges = edges;
    this.#summaries = new Summaries(edges);
  }

  hasRoomFor(request: WriteRequest): boolean {
    return (
      this.#range.count === 0 ||
      (this.#range.count + request.rows.length <= maxGroupRows &&
        this.#bytes + request.copyData.length <= maxGroupBytes)
    );
  }

  add(request: WriteRequest): void {
    this.requests.push(request);
    this.#copyData.push(request.copyData);
    this.#bytes += request.copyData.length;
    for (const row of request.rows) {
      this.#range.add(row.id, row.event.timestampMicros);
      this.#summaries.add(row.event);
    }
  }

  /**
   * Everything before and after the COPY data, as one simple query.
   *
   * @param token names the transaction in the feed, so that its outcome can be looked up
   */
  transaction(token: string): string {
    return [
      'begin',
      ...this.requests.flatMap((request) => batchStatement(request) ?? []),
      feedStatement(token, this.day, this.#range),
      copyStatement(this.day),
      this.#summaries.insertStatement(),
      wakeStatement,
      'commit',
    ].join(';');
  }

  copyData(): Buffer {
    return Buffer.concat(this.#copyData, this.#bytes);
  }

  /** Halves, for finding the request that PostgreSQL refuses. */
  bisect(): [Group, Group] {
    const middle = this.requests.length >>> 1;
    const halves: [Group, Group] = [new Group(this.day, this.#edges), new Group(this.day, this.#edges)];
    this.requests.forEach((request, index) => {
      halves[index < middle ? 0 : 1].add(request);
    });
    return halves;
  }
}

/** Count, ids and times of the rows that a transaction writes into one partition. */
export class RowRange {
  count = 0;
  minId = Number.POSITIVE_INFINITY;
  maxId = Number.NEGATIVE_INFINITY;
  minMicros = Number.POSITIVE_INFINITY;
  maxMicros = Number.NEGATIVE_INFINITY;

  add(id: number, timestampMicros: number): void {
    this.count += 1;
    if (id < this.minId) this.minId = id;
    if (id > this.maxId) this.maxId = id;
    if (timestampMicros < this.minMicros) this.minMicros = timestampMicros;
    if (timestampMicros > this.maxMicros) this.maxMicros = timestampMicros;
  }
}

/** The payload is constant: PostgreSQL folds equal ones, and NOTIFY serialises commits as it is. */
export const wakeStatement = 'notify nowcast_feed';

/** COPY names the partition: the parent with its transition-table triggers would lose multi-insert. */
export function copyStatement(day: string): string {
  return `copy nowcast.inference_logs_${day} (${copyColumns.join(',')}) from stdin`;
}

/** @param day undefined when the rows lie in several partitions */
export function feedStatement(token: string, day: string | undefined, range: RowRange): string {
  return `insert into nowcast.feed (token, relation, day, row_count, min_timestamp, max_timestamp, min_id, max_id)
    values ('${token}','inference_logs',${day === undefined ? 'null' : `'${day}'`},${range.count},'${sqlTimestamp(range.minMicros)}','${sqlTimestamp(
      range.maxMicros,
    )}',${range.minId},${range.maxId})`;
}

export function batchStatement(request: WriteRequest): string | undefined {
  if (request.batch === undefined) return undefined;
  return `insert into nowcast.batches (sender, batch_id, answer) values (${pg.escapeLiteral(
    request.batch.sender,
  )},${pg.escapeLiteral(request.batch.id)},${pg.escapeLiteral(JSON.stringify(request.answer))})`;
}

/** The day of a request whose rows all lie in one; undefined when it spans days. */
export function singleDayOf(request: WriteRequest): string | undefined {
  const day = dayOf(request.rows[0]!.event.timestampMicros);
  return request.rows.every((row) => dayOf(row.event.timestampMicros) === day) ? day : undefined;
}
