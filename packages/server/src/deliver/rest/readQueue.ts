/**
 * The thin shell around the coalescer: promises, the clock and one timer.
 */
import { createHash } from 'node:crypto';
import type { Scope } from '../published.ts';
import { Coalescer, type CoalescerLimits } from './coalesce.ts';
import { overloaded } from './errors.ts';

export class ReadQueue<T> {
  readonly #coalescer: Coalescer<Waiter<T>>;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(limits: CoalescerLimits, now: () => number = () => performance.now()) {
    this.#coalescer = new Coalescer(limits);
    this.#now = now;
  }

  /**
   * Gives the result of a `work` of this key that starts after this call, its own or another's.
   * @throws RestError 503 when too many keys or requests wait already
   */
  run(key: string, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const accepted = this.#coalescer.arrive(key, { work, resolve, reject }, this.#now());
      if (accepted) this.#startReady();
      else reject(overloaded('reads'));
    });
  }

  /** Stops the timer; for a process that ends. */
  close(): void {
    clearTimeout(this.#timer);
  }

  #startReady(): void {
    for (const { key, waiters } of this.#coalescer.take(this.#now())) {
      void this.#start(key, waiters);
    }
    this.#armTimer();
  }

  async #start(key: string, waiters: readonly Waiter<T>[]): Promise<void> {
    try {
      const result = await waiters[0]!.work();
      for (const waiter of waiters) waiter.resolve(result);
    } catch (error) {
      for (const waiter of waiters) waiter.reject(error);
    }
    this.#coalescer.finished(key);
    this.#startReady();
  }

  #armTimer(): void {
    const at = this.#coalescer.wakeAt() ?? Number.POSITIVE_INFINITY;
    if (at === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Number.POSITIVE_INFINITY;
        this.#startReady();
      },
      Math.max(1, Math.ceil(at - this.#now())),
    );
    // A pending answer has an open socket that keeps the process alive; the timer alone should not.
    this.#timer.unref();
  }
}

/** Everything that the answer to a read depends on. */
export interface ReadIdentity {
  scope: Scope;
  method: string;
  url: string | undefined;
  accept: string | undefined;
  prefer: string | string[] | undefined;
  range: string | undefined;
  body: string;
}

/** Reads with equal keys may share a run. A digest, so that a long URL is not kept a thousand times. */
export function readKey(identity: ReadIdentity): string {
  const { scope, method, url, accept, prefer, range, body } = identity;
  return createHash('sha256')
    .update(JSON.stringify([scope, method, url, accept, prefer, range, body]))
    .digest('base64');
}

interface Waiter<T> {
  work: () => Promise<T>;
  resolve: (result: T) => void;
  reject: (error: unknown) => void;
}
