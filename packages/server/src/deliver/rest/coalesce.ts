/**
 * Decides when queued reads run and who shares one. Pure: no clock, no timers, no promises.
 *
 * Twenty tabs of a dashboard repeat the same query at every event they hear of. All that ask while a query of
 * the same key waits share its one run; a run that has started is closed to newcomers, because its snapshot may
 * be older than what they know to be written. So every answer shows at least what was committed when its request
 * came (read your writes), and a key never has more than one run under way and one group waiting.
 *
 *   idle ──arrive──▶ ready ──take──▶ running ──finished──▶ idle
 *                      ▲               │ arrive
 *                      └── waiting ◀───┘   until the run has finished and minIntervalMs have passed since its start
 */
export interface CoalescerLimits {
  /** Time between two starts of the same key. The first of a quiet key starts at once. */
  minIntervalMs: number;
  /** Runs under way at once, over all keys. When full: ready keys wait in the order they became ready. */
  maxRunning: number;
  /** Distinct keys known at once. When full: an arrival with a new key is refused. */
  maxKeys: number;
  /** Arrivals waiting at once, over all keys. When full: an arrival is refused. */
  maxWaiting: number;
}

interface Run<W> {
  key: string;
  /** Everybody who gets this run's answer. */
  waiters: W[];
}

interface Entry<W> {
  waiting: W[];
  running: boolean;
}

export class Coalescer<W> {
  readonly #limits: CoalescerLimits;
  readonly #entries = new Map<string, Entry<W>>();
  /** Keys that may start, oldest first. */
  readonly #ready = new Set<string>();
  /** When each recently started key may start again; in order, since the interval is the same for all. */
  readonly #cooling = new Map<string, number>();
  #running = 0;
  #waiting = 0;

  constructor(limits: CoalescerLimits) {
    this.#limits = limits;
  }

  /** Queues one arrival; false when a bound is reached, and nothing was changed. */
  arrive(key: string, waiter: W, now: number): boolean {
    this.#cool(now);
    if (this.#waiting >= this.#limits.maxWaiting) return false;
    let entry = this.#entries.get(key);
    if (!entry) {
      if (this.#entries.size >= this.#limits.maxKeys) return false;
      entry = { waiting: [], running: false };
      this.#entries.set(key, entry);
    }
    entry.waiting.push(waiter);
    this.#waiting++;
    this.#settle(key, entry);
    return true;
  }

  /** The runs to start now; each must be reported back by `finished`. */
  take(now: number): Run<W>[] {
    this.#cool(now);
    const runs: Run<W>[] = [];
    for (const key of this.#ready) {
      if (this.#running >= this.#limits.maxRunning) break;
      const entry = this.#entries.get(key)!;
      this.#ready.delete(key);
      runs.push({ key, waiters: entry.waiting });
      this.#waiting -= entry.waiting.length;
      entry.waiting = [];
      entry.running = true;
      this.#running++;
      this.#cooling.delete(key);
      this.#cooling.set(key, now + this.#limits.minIntervalMs);
    }
    return runs;
  }

  finished(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry?.running) return;
    entry.running = false;
    this.#running--;
    this.#settle(key, entry);
  }

  /** When `take` should be asked again although nothing arrives or finishes; undefined: no need. */
  wakeAt(): number | undefined {
    for (const [, until] of this.#cooling) return until;
    return undefined;
  }

  get size(): { keys: number; running: number; waiting: number } {
    return { keys: this.#entries.size, running: this.#running, waiting: this.#waiting };
  }

  #cool(now: number): void {
    for (const [key, until] of this.#cooling) {
      if (until > now) break;
      this.#cooling.delete(key);
      const entry = this.#entries.get(key);
      if (entry) this.#settle(key, entry);
    }
  }

  #settle(key: string, entry: Entry<W>): void {
    if (entry.running || this.#cooling.has(key)) return;
    if (entry.waiting.length > 0) this.#ready.add(key);
    else this.#entries.delete(key);
  }
}
