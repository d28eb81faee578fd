import type pg from 'pg';
import type { Logger } from 'pino';
import type { BatchId } from '../store/request.ts';

/** What became of an event. `refused` was answered 429 or 503: its sender still has it. */
export type Fate = 'stored' | 'sampled_out' | 'duplicate' | 'rejected' | 'dropped' | 'refused';

export interface Loss {
  readonly sender: string;
  readonly fate: Fate;
  /** '' for what needs none. */
  readonly reason: string;
  readonly events: number;
}

const flushIntervalMs = 1_000;
/** Whoever invents senders must not fill memory or table: beyond these, a second's counts go to one name. */
const maxEntries = 1_000;
const otherSender = '__other__';
const maxSenderLength = 100;

/**
 * Counts what became of events, by sender and reason. What is stored is counted in the transaction that stores it
 * (store/group.ts); the rest gathers here and is written each second. After a kill -9 that last second is missing.
 */
export class Ledger {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  readonly #observe: (fate: Fate, reason: string, events: number) => void;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, Loss>();
  #flushing: Promise<void> | undefined;
  /** Called when something was written. */
  onWritten: (() => void) | undefined;

  /** @param observe hears of every count */
  constructor(pool: pg.Pool, log: Logger, observe: (fate: Fate, reason: string, events: number) => void) {
    this.#pool = pool;
    this.#log = log;
    this.#observe = observe;
    this.#timer = setInterval(() => {
      this.#flushing ??= this.#flush().finally(() => {
        this.#flushing = undefined;
      });
    }, flushIntervalMs).unref();
  }

  count(sender: string, fate: Fate, reason: string, events: number): void {
    if (events <= 0) return;
    this.#observe(fate, reason, events);
    this.#add(sender, fate, reason, events);
  }

  /** What a transaction has counted already. */
  countedWithRows(losses: readonly Loss[]): void {
    for (const { fate, reason, events } of losses) this.#observe(fate, reason, events);
  }

  #add(sender: string, fate: Fate, reason: string, events: number): void {
    const key = `${fate}\0${reason}\0${sender}`;
    const known = this.#counts.get(key);
    if (known === undefined && this.#counts.size >= maxEntries && sender !== otherSender) {
      this.#add(otherSender, fate, reason, events);
      return;
    }
    this.#counts.set(key, { sender, fate, reason, events: events + (known?.events ?? 0) });
  }

  /** Counts what a batch without events reports, once however often it is sent. */
  async countBatch({ sender, id }: BatchId, answer: unknown, losses: readonly Loss[]): Promise<void> {
    await this.#pool.query(
      `with named as (
         insert into nowcast.batches (sender, batch_id, answer) values ($1, $2, $3) on conflict do nothing returning 1
       )
       insert into nowcast.loss_partials (sender, fate, reason, events)
       select l.* from unnest($4::text[], $5::text[], $6::text[], $7::bigint[]) l where exists (select from named)`,
      [sender, id, JSON.stringify(answer), ...columnsOf(losses)],
    );
    this.onWritten?.();
  }

  /** Writes what has gathered, the last of it too. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#flushing;
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const losses = [...this.#counts.values()];
    if (losses.length === 0) return;
    this.#counts = new Map();
    try {
      await this.#pool.query(
        `insert into nowcast.loss_partials (sender, fate, reason, events)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])`,
        columnsOf(losses),
      );
      this.onWritten?.();
    } catch (error) {
      this.#log.warn({ err: error }, 'counting losses failed; they are kept and written later');
      for (const { sender, fate, reason, events } of losses) this.#add(sender, fate, reason, events);
    }
  }
}

function columnsOf(losses: readonly Loss[]): [string[], Fate[], string[], number[]] {
  return [
    losses.map(({ sender }) => sender),
    losses.map(({ fate }) => fate),
    losses.map(({ reason }) => reason),
    losses.map(({ events }) => events),
  ];
}

/** A name as its sender gives it, fit for a table: bounded, without control characters. */
export function senderName(given: unknown): string | undefined {
  if (typeof given !== 'string') return undefined;
  const name = given.replace(/[\p{Cc}\p{Cs}]/gu, '').trim();
  return name === '' ? undefined : name.slice(0, maxSenderLength);
}
