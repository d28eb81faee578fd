import { jsonTimestamp } from '@nowcast/protocol';
import pg from 'pg';
import type { Logger } from 'pino';
import type { StoredEvent } from '../store/request.ts';
import type { Catalog } from './catalog.ts';
import type { Change, RealtimeHub } from './realtime/hub.ts';
import type { RowMemory } from './rowMemory.ts';

/** Rows of one transaction delivered at most when they must be read back; beyond, subscribers are told of a gap. */
const maxRowsReadBack = 10_000;
/** While nobody listens the feed is only followed, and not at every commit. */
const idleIntervalMs = 20;
const firstPauseMs = 50;
const longestPauseMs = 500;
/** A look without an answer for this long runs on a dead connection; the server's own limit is 10 s. */
const answerTimeoutMs = 12_000;
/** A dead connection brings no wake-up: the feed looks by itself now and then. */
const lookIntervalMs = 5_000;
/**
 * Transactions remembered beyond the cursor. A crash of PostgreSQL gives the numbers of transactions that had not
 * reached its disk (at most what 600 ms start) to new ones, which then lie below the cursor.
 */
const maxRemembered = 2_000;
/** The feed keeps an hour (nowcast.prune): after a longer absence something may be gone. */
const keptMs = 3_600_000;

const deliveredTables = ['inference_logs', 'system_alerts', 'metrics_pulse'];

export interface FeedOptions {
  readonly url: string;
  readonly pool: pg.Pool;
  readonly catalog: Catalog;
  readonly hub: RealtimeHub;
  readonly memory: RowMemory;
  readonly log: Logger;
  /** Called for each transaction that wrote events, with the range of their times. */
  readonly onEvents: (since: Date, until: Date) => void;
  /** Called when keys have changed, or may have while nobody was listening. Its own connection would be one more. */
  readonly onKeysChanged: () => void;
  /** Called when there is news of alerts, or may have been while nobody was listening. */
  readonly onNews: () => void;
  /** Called for each synthetic event, also of other servers, with its id. */
  readonly onCanary: (id: unknown) => void;
}

interface FeedRow {
  readonly position: number;
  readonly xid: string;
  readonly token: string | null;
  readonly row_xid: string;
  readonly relation: string;
  readonly day: string | null;
  readonly min_timestamp: string | null;
  readonly max_timestamp: string | null;
  readonly min_id: string | null;
  readonly max_id: string | null;
  readonly row_count: number;
  readonly changes: readonly RecordedChange[] | null;
  readonly created_at: string;
}

interface RecordedChange {
  readonly type: 'INSERT' | 'UPDATE' | 'DELETE';
  readonly record?: Record<string, unknown>;
  readonly old_record?: Record<string, unknown>;
}

/**
 * Follows the feed: NOTIFY wakes it, and it reads what became visible since its cursor. The cursor is a snapshot,
 * not a position: a transaction may commit after one with a larger position, and everything that was not visible
 * in the last snapshot and is in this one is new, whatever its number. A transaction that stays open delays only
 * itself.
 */
export class Feed {
  readonly #options: FeedOptions;
  #client: pg.Client | undefined;
  /** Transaction ids at or above it were not visible in the last snapshot, nor those in `#inFlight`. */
  #nextXid = '0';
  #inFlight: readonly string[] = [];
  /** What was delivered last, by `xid:position` with its transaction id, so that no look delivers it again. */
  readonly #remembered = new Map<string, bigint>();
  /** Everything delivered at or above this transaction id is remembered. */
  #rememberedFrom = 0n;
  #lookTimer: NodeJS.Timeout | undefined;
  #lastAnswerAt = performance.now();
  #dirty = false;
  #reading: Promise<void> | undefined;
  #lastReadAt = 0;
  /** Whoever waits for a look that begins after they asked. */
  #waiting: (() => void)[] = [];
  #stopped = false;
  /** When the oldest wake-up that has not been looked at came. */
  #dirtySince: number | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Connects and begins at the present. */
  async start(): Promise<void> {
    await this.#connect();
    await this.#setCursorToNow();
    this.#rememberedFrom = BigInt(this.#nextXid);
    this.#lookTimer = setInterval(() => this.wake(), lookIntervalMs).unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#lookTimer);
    const client = this.#client;
    this.#client = undefined;
    await this.#reading;
    await client?.end().catch(() => undefined);
  }

  /** How long a commit has been waiting to be delivered. */
  get lagSeconds(): number {
    return this.#dirtySince === undefined ? 0 : Math.round(performance.now() - this.#dirtySince) / 1000;
  }

  /** Resolves when everything committed before the call has been published. */
  catchUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.wake();
    });
  }

  /** Something was committed. */
  wake(): void {
    this.#dirty = true;
    this.#dirtySince ??= performance.now();
    if (this.#stopped || this.#reading !== undefined || this.#client === undefined) return;
    this.#reading = this.#follow().finally(() => {
      this.#reading = undefined;
      // A wake-up between the last look and here would be lost otherwise.
      if (this.#dirty) this.wake();
    });
  }

  async #follow(): Promise<void> {
    while (this.#dirty && !this.#stopped && this.#client !== undefined) {
      if (!this.#anybodyListens() && this.#waiting.length === 0) {
        const restMs = this.#lastReadAt + idleIntervalMs - performance.now();
        if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
      }
      this.#dirty = false;
      const waited = this.#waiting;
      this.#waiting = [];
      this.#lastReadAt = performance.now();
      try {
        await this.#look(this.#client);
        if (!this.#dirty) this.#dirtySince = undefined;
        for (const resolve of waited) resolve();
      } catch (error) {
        // The cursor stands where it was: the next look finds everything.
        this.#dirty = true;
        this.#waiting.unshift(...waited);
        this.#options.log.warn({ err: error }, 'reading the feed failed');
        const broken = this.#client;
        if (broken === undefined) return;
        // At once, and not when its end is heard of: a dead one fails without waiting for anything, and trying it again and
        // again would keep the event loop from ever hearing.
        this.#client = undefined;
        // Not `end()`: it waits for the answer of a database that may be standing still.
        destroy(broken);
        if (!this.#stopped) this.#reconnect();
        return;
      }
    }
  }

  #anybodyListens(): boolean {
    return deliveredTables.some((table) => this.#options.hub.subscriberCount(table) > 0);
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#options.url,
      application_name: 'nowcast feed',
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
    });
    client.on('notification', ({ channel }) => {
      if (channel === 'nowcast_keys') this.#options.onKeysChanged();
      else if (channel === 'nowcast_outbox') this.#options.onNews();
      else this.wake();
    });
    client.on('error', (error) => this.#options.log.warn({ err: error }, 'the feed lost its connection'));
    client.on('end', () => {
      // One that never connected ends as well; whoever was connecting it tries again.
      if (this.#client !== client) return;
      this.#client = undefined;
      if (!this.#stopped) this.#reconnect();
    });
    // A database that stops between accepting and answering would hold us forever.
    const timer = setTimeout(() => destroy(client), answerTimeoutMs);
    try {
      await client.connect();
      await client.query(
        `set timezone = 'UTC'; set statement_timeout = '10s'; listen nowcast_feed; listen nowcast_keys; listen nowcast_outbox`,
      );
    } catch (error) {
      destroy(client);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    this.#client = client;
    this.#options.onKeysChanged();
    this.#options.onNews();
  }

  #reconnect(): void {
    const attempt = async () => {
      for (let pauseMs = firstPauseMs; !this.#stopped; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
        await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random() / 2)));
        try {
          await this.#connect();
          this.#stepBack();
          this.wake();
          return;
        } catch (error) {
          this.#options.log.debug({ err: error }, 'the feed cannot connect yet');
        }
      }
    };
    attempt().catch((error: unknown) => this.#options.log.error({ err: error }, 'the feed stopped'));
  }

  async #setCursorToNow(): Promise<void> {
    const { rows } = await this.#client!.query<{ snapshot: string }>(
      'select pg_current_snapshot()::text as snapshot',
    );
    this.#setCursor(rows[0]!.snapshot);
  }

  #setCursor(snapshot: string): void {
    const [, next, inFlight] = snapshot.split(':');
    this.#nextXid = next!;
    this.#inFlight = inFlight === undefined || inFlight === '' ? [] : inFlight.split(',');
  }

  /** After a lost connection: PostgreSQL may have crashed, and transaction numbers been given anew. */
  #stepBack(): void {
    if (BigInt(this.#nextXid) > this.#rememberedFrom) this.#nextXid = String(this.#rememberedFrom);
    if (performance.now() - this.#lastAnswerAt < keptMs) return;
    for (const table of deliveredTables) {
      this.#options.hub.publishGap(
        table,
        null,
        'the database was out of reach for longer than changes are kept',
      );
    }
  }

  async #look(client: pg.Client): Promise<void> {
    const timer = setTimeout(() => destroy(client), answerTimeoutMs);
    try {
      await this.#read(client, () => timer.refresh());
    } finally {
      clearTimeout(timer);
    }
    this.#lastAnswerAt = performance.now();
  }

  /** @param answered called whenever the database has answered */
  async #read(client: pg.Client, answered: () => void): Promise<void> {
    const { rows } = await client.query<{ snapshot: string; rows: FeedRow[] | null }>({
      name: 'feed',
      text: `select pg_current_snapshot()::text as snapshot, (
          select json_agg(f order by f.xid, f.position) from (
            select position, xid, token, xmin::text as row_xid, relation, day, min_timestamp, max_timestamp,
              min_id::text, max_id::text, row_count, changes, created_at
            from nowcast.feed where xid >= $1::text::xid8
            union all
            select position, xid, token, xmin::text, relation, day, min_timestamp, max_timestamp,
              min_id::text, max_id::text, row_count, changes, created_at
            from nowcast.feed where xid = any ($2::text[]::xid8[])
          ) f
        ) as rows`,
      values: [this.#nextXid, this.#inFlight],
    });
    const { snapshot, rows: found } = rows[0]!;
    for (const row of found ?? []) {
      const name = `${row.xid}:${row.position}`;
      if (this.#remembered.has(name)) continue;
      answered();
      await this.#deliver(client, row);
      // At once: when reading the next one back fails, this one must not be delivered again.
      this.#remembered.set(name, BigInt(row.xid));
    }
    this.#setCursor(snapshot);
    this.#forget();
  }

  #forget(): void {
    if (this.#remembered.size <= maxRemembered) return;
    for (const [name, xid] of this.#remembered) {
      this.#remembered.delete(name);
      if (xid >= this.#rememberedFrom) this.#rememberedFrom = xid + 1n;
      if (this.#remembered.size <= maxRemembered / 2) break;
    }
  }

  async #deliver(client: pg.Client, row: FeedRow): Promise<void> {
    const { hub, onCanary, onEvents, memory } = this.#options;
    if (row.relation === 'none') return;
    if (row.relation === 'canary') return onCanary((row.changes as { id?: unknown } | null)?.id);
    const kept = row.token === null ? undefined : memory.take(row.token);
    if (row.relation === 'inference_logs' && row.min_timestamp !== null) {
      onEvents(new Date(row.min_timestamp), new Date(row.max_timestamp!));
    }
    // None of its events was kept as a row, or nobody listens.
    if (row.row_count === 0 || hub.subscriberCount(row.relation) === 0) return;
    if (row.changes !== null) {
      hub.publish(row.changes.map((change) => this.#toChange(row, change)));
      return;
    }
    if (row.relation !== 'inference_logs' || (kept === undefined && row.row_count > maxRowsReadBack)) {
      hub.publishGap(
        row.relation,
        row.row_count,
        'a transaction wrote more rows than are delivered one by one',
      );
      return;
    }
    const records = kept?.map(toRecord) ?? (await readBack(client, row));
    const commitTimestamp = new Date(row.created_at).toISOString();
    hub.publish(
      records.map((record) => ({
        schema: 'public',
        table: row.relation,
        type: 'INSERT',
        commitTimestamp,
        record,
      })),
    );
  }

  #toChange(row: FeedRow, change: RecordedChange): Change {
    const record = change.record ?? null;
    const keys =
      this.#options.catalog.relation(row.relation)?.columns.filter((column) => column.isPrimaryKey) ?? [];
    const oldRecord =
      change.type === 'UPDATE' && record !== null
        ? Object.fromEntries(keys.map(({ name }) => [name, record[name]]))
        : change.old_record;
    return {
      schema: 'public',
      table: row.relation,
      type: change.type,
      commitTimestamp: new Date(row.created_at).toISOString(),
      record,
      ...(oldRecord === undefined ? {} : { oldRecord }),
    };
  }
}

/** The very rows that the transaction wrote: others may lie in the same ranges, but not with the same xmin. */
async function readBack(client: pg.Client, row: FeedRow): Promise<Record<string, unknown>[]> {
  const partition =
    row.day === null ? 'public.inference_logs' : `nowcast.inference_logs_${row.day.replace(/\D/g, '')}`;
  const { rows } = await client.query<{ record: Record<string, unknown> }>(
    `select to_jsonb(l) as record from ${partition} l
     where l.timestamp between $1 and $2 and l.id between $3 and $4 and l.xmin = $5::text::xid
     order by l.id`,
    [row.min_timestamp, row.max_timestamp, row.min_id, row.max_id, row.row_xid],
  );
  return rows.map(({ record }) => record);
}

/** The row as PostgreSQL's to_jsonb gives it, columns in the table's order. */
function toRecord({ id, event, weight }: StoredEvent): Record<string, unknown> {
  const { timestampMicros, metadata, ...columns } = event;
  const record: Record<string, unknown> = { id, timestamp: jsonTimestamp(timestampMicros) };
  for (const [name, value] of Object.entries(columns)) {
    record[name] = value;
    if (name === 'error_message') record.metadata = metadata === null ? null : JSON.parse(metadata);
  }
  record.sample_weight = weight;
  return record;
}

/** Without a goodbye, which a dead connection would never answer. */
function destroy(client: pg.Client): void {
  (client as pg.Client & { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
