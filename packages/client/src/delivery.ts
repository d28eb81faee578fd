import { type Batch, batchOf, halvesOf, lineOf, type Redact } from './batch.ts';
import { Breaker } from './breaker.ts';
import { EventQueue, eventsPerSlice, type QueuedEvent } from './eventQueue.ts';
import { type Answer, messageOf, type PostBody, type PostOptions, post, type Send, unref } from './post.ts';
import type { Spool } from './spoolContract.ts';
import type { SpooledBatches } from './spooledBatches.ts';
import type { Tally } from './tally.ts';

export interface DeliveryOptions {
  readonly url: string;
  readonly key: string | undefined;
  readonly client: string;
  /** Share of the successes that were taken. */
  readonly sampleRate: number;
  readonly send: Send;
  readonly compress: Compress | undefined;
  readonly maxBatchEvents: number;
  readonly maxBatchBytes: number;
  readonly flushIntervalMs: number;
  readonly timeoutMs: number;
  /** A batch that is not stored after so long is given up, or spooled. */
  readonly budgetMs: number;
  readonly maxQueueBytes: number;
  readonly redact: Redact | undefined;
  readonly spool: Spool | undefined;
  readonly tally: Tally;
  readonly warn: (message: string) => void;
}

export type Compress = (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer>>;

/** Below this, compressing saves less than it costs. */
const minCompressBytes = 800;
const batchPath = '/telemetry/inference/batch';
/** What may be under way when a page goes, by https://fetch.spec.whatwg.org/#http-network-or-cache-fetch: 64 KiB. */
const maxLeavingBytes = 60_000;

/**
 * Takes events and gets them to Nowcast: one request at a time, while it is under way the next batch gathers. Nothing
 * here throws, and nothing runs inside `offer` but putting the event into the queue: it is written in a later turn of the
 * event loop, a few at a time.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #queue: EventQueue;
  readonly #breaker = new Breaker();
  /** Formed and not stored yet, oldest first; more than one only after a batch was halved. */
  readonly #batches: Batch[] = [];
  readonly #spooled: SpooledBatches | undefined;
  #running: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerIsSoon = false;
  #isWriting = false;
  #flushing = 0;
  #closed = false;
  #wake: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #attempt: AbortController | undefined;
  /** Attempts that `leave` has made ahead of their turn. */
  readonly #leaving = new Map<Batch, Promise<Answer>>();
  readonly #failed = (error: unknown) => this.#options.warn(`flush failed: ${messageOf(error)}`);

  constructor(options: DeliveryOptions) {
    this.#options = options;
    const { tally, redact, warn, maxQueueBytes } = options;
    this.#queue = new EventQueue({
      maxBytes: maxQueueBytes,
      write: (queued) => lineOf(queued, tally, redact, warn),
      onEvicted: (events) => tally.drop('queue_full', events),
    });
    this.#spooled = options.spool?.(tally, warn);
    // What an earlier process left is sent without waiting for the first event.
    if (this.#spooled?.takes) this.#runSoon();
  }

  get queued(): number {
    let events = this.#queue.size + (this.#spooled?.events ?? 0);
    for (const batch of this.#batches) if (!batch.spooled) events += batch.events;
    return events;
  }

  /** Whether a whole batch waits. */
  get #isFull(): boolean {
    const { maxBatchEvents, maxBatchBytes } = this.#options;
    return this.#queue.size >= maxBatchEvents || this.#queue.bytes >= maxBatchBytes;
  }

  offer(queued: QueuedEvent): void {
    const { tally, flushIntervalMs, maxQueueBytes } = this.#options;
    if (this.#closed) {
      tally.drop('closed', 1);
      return;
    }
    this.#queue.push(queued);
    if (this.#queue.fresh >= eventsPerSlice) this.#writeSoon();
    if (this.#running !== undefined) {
      // Room is made on disk before events have to go.
      if (this.#spooled?.takes && this.#queue.bytes * 2 > maxQueueBytes) this.#wake?.();
      return;
    }
    if (this.#isFull) this.#runSoon();
    else if (this.#timer === undefined) this.#timer = this.#later(flushIntervalMs);
  }

  /** @returns whether everything was delivered in time */
  async flush(timeoutMs: number): Promise<boolean> {
    this.#flushing++;
    this.#breaker.hurry();
    this.#wake?.();
    this.#run();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.#running, deadline]);
    clearTimeout(timer);
    this.#flushing--;
    return this.queued === 0;
  }

  /** Flushes, and gives up the attempt that is under way then: what cannot be sent is retried later, or spooled now. */
  async flushOrAbandon(timeoutMs: number): Promise<void> {
    if (!(await this.flush(timeoutMs))) this.#attempt?.abort();
  }

  /**
   * Sends what waits before this call returns, beside what is under way, because there may be no later. What is not
   * answered still waits: if there is a later after all, it is sent again by its id.
   */
  leave(send: Send): void {
    while (this.#form());
    let room = maxLeavingBytes;
    for (const batch of this.#batches) {
      room -= batch.body.length;
      if (room < 0) break;
      if (this.#leaving.has(batch)) continue;
      // Compressing takes longer than the page may have.
      this.#leaving.set(batch, this.post(batchPath, batch.body, { send }));
    }
    this.#run();
  }

  /** Delivers what it can in time; the rest goes to the spool or is counted as dropped. */
  close(timeoutMs: number): Promise<void> {
    this.#closing ??= this.#close(timeoutMs).catch(this.#failed);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    await this.flush(timeoutMs);
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#attempt?.abort();
    this.#wake?.();
    await this.#running;
    await this.#spill();
    const { tally } = this.#options;
    tally.drop('closed', this.#queue.take(Infinity, Infinity).events);
    for (const batch of this.#batches.splice(0)) if (!batch.spooled) tally.drop('closed', batch.events);
  }

  #writeSoon(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    soon(() => {
      this.#queue.writeSlice();
      this.#isWriting = false;
      if (this.#queue.fresh >= eventsPerSlice) this.#writeSoon();
    });
  }

  #later(delayMs: number): ReturnType<typeof setTimeout> {
    return unref(setTimeout(() => this.#run(), delayMs));
  }

  #runSoon(): void {
    if (this.#timerIsSoon) return;
    clearTimeout(this.#timer);
    this.#timerIsSoon = true;
    this.#timer = this.#later(0);
  }

  #run(): void {
    if (this.#running !== undefined || this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerIsSoon = false;
    this.#running = this.#deliverAll()
      .catch(this.#failed)
      .then(() => {
        this.#running = undefined;
        if (this.#closed || this.queued === 0) return;
        if (this.#batches.length > 0 || this.#isFull) this.#runSoon();
        else this.#timer ??= this.#later(this.#options.flushIntervalMs);
      });
  }

  async #deliverAll(): Promise<void> {
    await this.#spooled?.open();
    let isFirst = true;
    while (!this.#closed) {
      await this.#waitForBreaker();
      if (this.#closed) return;
      const batch = await this.#next(isFirst);
      if (batch === undefined || this.#closed) return;
      isFirst = false;
      await this.#deliver(batch);
    }
  }

  async #next(partial: boolean): Promise<Batch | undefined> {
    while (this.#batches.length === 0) {
      const spooled = await this.#spooled?.oldest();
      if (spooled !== undefined) this.#batches.push(spooled);
      else {
        if (!partial && this.#flushing === 0 && !this.#isFull) return undefined;
        if (!this.#form()) return undefined;
      }
    }
    return this.#batches[0];
  }

  /** Makes a batch of what waits. @returns whether there was anything */
  #form(): boolean {
    const { tally, maxBatchEvents, maxBatchBytes } = this.#options;
    const lines = this.#queue.take(maxBatchEvents, maxBatchBytes);
    if (lines.events === 0) return false;
    this.#batches.push(batchOf(lines, this.#options, tally.takeUntold(), performance.now()));
    return true;
  }

  /** One attempt for the first batch. */
  async #deliver(batch: Batch): Promise<void> {
    const { tally, budgetMs, warn } = this.#options;
    this.#attempt = new AbortController();
    const answer = await (this.#leaving.get(batch) ?? this.#post(batch, this.#attempt));
    this.#attempt = undefined;
    this.#leaving.delete(batch);
    if (answer.kind === 'retry') {
      if (this.#closed) return;
      this.#breaker.failed(performance.now(), answer.retryAfterMs);
      warn(`Nowcast cannot be reached: ${answer.why}`);
      if (this.#spooled?.takes || batch.spooled || performance.now() - batch.formedAtMs < budgetMs) return;
      tally.drop('unreachable', batch.events);
      tally.tellAgain(batch.dropped);
    } else {
      this.#breaker.succeeded();
      if (answer.kind === 'stored') {
        const { rejected } = answer.body;
        const refused = typeof rejected === 'number' ? Math.min(rejected, batch.events) : 0;
        tally.sent += batch.events - refused;
        tally.drop('rejected', refused);
        if (refused > 0) warn(`Nowcast rejected events: ${JSON.stringify(answer.body.errors).slice(0, 300)}`);
      } else {
        const halves = answer.kind === 'too_large' ? halvesOf(batch, this.#options) : undefined;
        tally.tellAgain(batch.dropped);
        if (halves !== undefined) {
          this.#batches.splice(0, 1, ...halves);
          return;
        }
        tally.drop('refused', batch.events);
        warn(`Nowcast refused events: ${answer.why}`);
      }
    }
    this.#batches.shift();
    if (batch.spooled) await this.#spooled?.forget(batch);
  }

  /** Sends JSON to where the events go, once. Never throws. */
  post(path: string, body: PostBody, options: Partial<PostOptions>): Promise<Answer> {
    return post(path, body, { ...this.#options, ...options });
  }

  #post(batch: Batch, attempt: AbortController): Promise<Answer> {
    const { body } = batch;
    const { compress } = this.#options;
    const gzip =
      compress === undefined || body.length < minCompressBytes
        ? undefined
        : async () => (batch.gzipped ??= await compress(body));
    return this.post(batchPath, body, { attempt, gzip });
  }

  async #waitForBreaker(): Promise<void> {
    const { flushIntervalMs } = this.#options;
    for (;;) {
      if (this.#breaker.isFailing) await this.#spill();
      const waitMs = this.#breaker.waitMs(performance.now());
      if (waitMs === 0 || this.#closed) return;
      await new Promise<void>((resolve) => {
        const timer = unref(
          setTimeout(resolve, this.#spooled?.takes ? Math.min(waitMs, flushIntervalMs) : waitMs),
        );
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }

  async #spill(): Promise<void> {
    await this.#spooled?.takeOver(this.#batches, () => this.#form());
  }
}

/** In a later turn of the event loop, after what the host already waits for. */
function soon(run: () => void): void {
  const { setImmediate = setTimeout } = globalThis as { setImmediate?: (run: () => void) => unknown };
  setImmediate(run);
}
