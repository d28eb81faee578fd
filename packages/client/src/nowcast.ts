import type { Redact } from './batch.ts';
import { Breaker } from './breaker.ts';
import { type ContextStorage, withContext } from './context.ts';
import { type Compress, Delivery } from './delivery.ts';
import { errorFields } from './errorFields.ts';
import type { EventContext, Feedback, InferenceEvent, Measurement, ObservedCall } from './event.ts';
import { fetchSend } from './fetchSend.ts';
import { heapBytes } from './heapBytes.ts';
import { messageOf, type Send } from './post.ts';
import { isSampled } from './sampling.ts';
import type { Spool } from './spoolContract.ts';
import { type Stats, Tally } from './tally.ts';

export interface NowcastOptions {
  /** Where Nowcast is, such as `http://127.0.0.1:4318`. */
  readonly url: string;
  /** An ingest key, where Nowcast has keys. */
  readonly key?: string | undefined;
  /** What this sender is called in the accounting of losses. */
  readonly client?: string;
  /** Fields of every event: a default for what the event and its context leave out. */
  readonly defaults?: EventContext;
  /**
   * Share of the successes that is sent, 0 to 1; errors always are. Those of one `trace_id` share their fate, and batches
   * tell the share, so that rows are weighed.
   */
  readonly sampleRate?: number;
  /**
   * Sees each event before it is sent and returns what may be; null drops it. Runs off the hot path. The event is a copy,
   * its `metadata` are still the application's own object.
   */
  readonly redact?: Redact;
  readonly maxBatchEvents?: number;
  readonly maxBatchBytes?: number;
  readonly flushIntervalMs?: number;
  /** Of one attempt. */
  readonly timeoutMs?: number;
  /** Of all attempts for one batch. */
  readonly deliveryTimeoutMs?: number;
  /** Memory for events that wait, estimated from above. */
  readonly maxQueueBytes?: number;
  /** A place on disk for events while Nowcast is down: see `nowcast-client/spool`. */
  readonly spool?: Spool;
  /**
   * Where a function is frozen once it has answered: called with a promise that is fulfilled when what was tracked is
   * delivered, or given up for now, such as `(delivery) => ctx.waitUntil(delivery)`.
   */
  readonly waitUntil?: (delivery: Promise<unknown>) => void;
  /** Flush when the process ends or the page goes; true when absent. */
  readonly exitHooks?: boolean;
  /** On Node: how long the end of the process may wait for that; 700 ms when absent. */
  readonly exitTimeoutMs?: number;
  /** Hears of the first trouble only; `console.warn` when absent. */
  readonly onWarning?: (message: string) => void;
}

/** What a platform has beyond the web's own interfaces. */
export interface Platform {
  readonly storage?: ContextStorage;
  readonly compress?: Compress;
  readonly send?: Send;
  readonly hooks?: Hooks;
  readonly waitUntil?: (delivery: Promise<unknown>) => void;
}

/** What the end of a process or a page asks of the delivery. No promise of it is ever rejected. */
export type Hooked = Pick<Delivery, 'queued' | 'flushOrAbandon' | 'close' | 'leave'>;

export interface Hooks {
  add(hooked: Hooked): void;
  remove(): void;
}

const maxFeedbackWaiting = 100;
const feedbackPath = '/telemetry/feedback';
const feedbackAttempts = 3;
const maxEventBytes = 512 * 1024;

/** Sends telemetry of inferences to Nowcast, and never throws into, blocks or delays the application. */
export class Nowcast {
  readonly #tally = new Tally();
  readonly #delivery: Delivery;
  readonly #storage: ContextStorage | undefined;
  readonly #defaults: EventContext | undefined;
  readonly #sampleRate: number;
  readonly #timeoutMs: number;
  readonly #onWarning: (message: string) => void;
  readonly #hooks: Hooks | undefined;
  readonly #waitUntil: ((delivery: Promise<unknown>) => void) | undefined;
  readonly #flushIntervalMs: number;
  #isAwaited = false;
  #isHooked = false;
  #hasWarned = false;
  #feedbackWaiting = 0;

  constructor(options: NowcastOptions, platform: Platform = {}) {
    const { url, key, client = 'nowcast-client', defaults, sampleRate = 1, timeoutMs = 5_000 } = options;
    this.#storage = platform.storage;
    this.#defaults = defaults;
    this.#sampleRate = sampleRate;
    this.#timeoutMs = timeoutMs;
    this.#onWarning = options.onWarning ?? ((message) => console.warn(message));
    this.#waitUntil = options.waitUntil ?? platform.waitUntil;
    this.#flushIntervalMs = options.flushIntervalMs ?? (this.#waitUntil === undefined ? 1_000 : 50);
    this.#delivery = new Delivery({
      // A setting that is missing is told like a collector that is: the application runs on.
      url: `${url}`.replace(/\/+$/, ''),
      key,
      client,
      sampleRate,
      send: platform.send ?? fetchSend,
      compress: platform.compress ?? streamCompress(),
      maxBatchEvents: options.maxBatchEvents ?? 100,
      maxBatchBytes: options.maxBatchBytes ?? 256 * 1024,
      flushIntervalMs: this.#flushIntervalMs,
      timeoutMs,
      budgetMs: options.deliveryTimeoutMs ?? 60_000,
      maxQueueBytes: options.maxQueueBytes ?? 4 * 1024 * 1024,
      redact: options.redact,
      spool: options.spool,
      tally: this.#tally,
      warn: (message) => this.#warn(message),
    });
    this.#hooks = options.exitHooks === false ? undefined : platform.hooks;
  }

  /** Takes an event and returns at once. */
  track(event: InferenceEvent): void {
    this.#take(event, this.#storage?.getStore());
  }

  /**
   * Times a call and tracks it. What it returns or throws comes back untouched.
   *
   * @param describe further fields, from the result
   */
  async observe<Result>(
    call: ObservedCall,
    run: () => Result | PromiseLike<Result>,
    describe?: (result: Result) => Partial<InferenceEvent>,
  ): Promise<Result> {
    const measured = this.start(call);
    let result: Result;
    try {
      result = await run();
    } catch (error) {
      measured.fail(error);
      throw error;
    }
    measured.succeed(() => describe?.(result));
    return result;
  }

  /** Begins to time a call whose end is told by hand, such as a stream's. Its context is that of this moment. */
  start(call: ObservedCall): Measurement {
    const startedMs = performance.now();
    const context = this.#storage?.getStore();
    let ttftMs: number | undefined;
    let hasEnded = false;
    const end = (fieldsOf: () => Partial<InferenceEvent> | undefined, isError = false) => {
      if (hasEnded) return;
      hasEnded = true;
      // In this order: a field added to a copy takes V8 ten times as long as the rest.
      const event: InferenceEvent = { inference_time_ms: performance.now() - startedMs, ...call };
      if (ttftMs !== undefined) event.ttft_ms = ttftMs;
      // Even of an error that cannot be described it is known that it is one.
      if (isError) event.is_error = true;
      try {
        const fields = fieldsOf();
        if (fields) {
          const metadata = { ...call.metadata, ...fields.metadata };
          Object.assign(event, fields);
          for (const _ in metadata) event.metadata = metadata;
        }
      } catch (error) {
        this.#warn(`an event was not described: ${messageOf(error)}`);
      }
      this.#take(event, context);
    };
    return {
      firstToken() {
        ttftMs ??= performance.now() - startedMs;
      },
      succeed: (fields) => end(typeof fields === 'function' ? fields : () => fields),
      fail: (error, fields) => end(() => ({ ...fields, ...errorFields(error, fields?.metadata) }), true),
    };
  }

  /** Every event tracked inside `run`, however deep and however late, has these fields. */
  context<Result>(fields: EventContext, run: () => Result): Result {
    if (this.#storage === undefined) {
      this.#warn('no context() without AsyncLocalStorage');
      return run();
    }
    return this.#storage.run(withContext({ ...fields }, this.#storage.getStore(), undefined), run);
  }

  /** @returns whether the verdict was stored; it is tried three times within `timeoutMs` and never throws */
  async feedback(verdict: Feedback): Promise<boolean> {
    if (this.#feedbackWaiting >= maxFeedbackWaiting) return false;
    this.#feedbackWaiting++;
    const breaker = new Breaker();
    const ending = new AbortController();
    const endMs = performance.now() + this.#timeoutMs;
    // Who awaits this must get an answer: unlike the delivery of events, it keeps the process.
    const timer = setTimeout(() => ending.abort(), this.#timeoutMs);
    try {
      const text = JSON.stringify(verdict);
      for (let attempt = 1; ; attempt++) {
        const answer = await this.#delivery.post(feedbackPath, text, { attempt: ending });
        if (answer.kind === 'stored') return true;
        const nowMs = performance.now();
        if (answer.kind === 'retry') breaker.failed(nowMs, answer.retryAfterMs);
        const waitMs = breaker.waitMs(nowMs);
        if (answer.kind !== 'retry' || attempt === feedbackAttempts || nowMs + waitMs > endMs)
          throw new Error(answer.why);
        await pause(waitMs);
      }
    } catch (error) {
      this.#warn(`feedback was not stored: ${messageOf(error)}`);
      return false;
    } finally {
      clearTimeout(timer);
      this.#feedbackWaiting--;
    }
  }

  /** Sends what waits now. @returns whether everything was delivered in time */
  async flush({ timeoutMs = 5_000 }: { timeoutMs?: number } = {}): Promise<boolean> {
    return await this.#delivery.flush(timeoutMs);
  }

  /** Flushes for as long as `timeoutMs`; what is left then goes to the spool or is counted as dropped. */
  async close({ timeoutMs = 500 }: { timeoutMs?: number } = {}): Promise<void> {
    this.#hooks?.remove();
    // What is tracked from now on needs no hooks.
    this.#isHooked = true;
    await this.#delivery.close(timeoutMs);
  }

  stats(): Stats {
    const { tracked, sent, dropped } = this.#tally;
    return { tracked, sent, queued: this.#delivery.queued, dropped: { ...dropped } };
  }

  #take(event: InferenceEvent, context: EventContext | undefined): void {
    this.#tally.tracked++;
    try {
      if (!this.#isHooked) {
        this.#isHooked = true;
        this.#hooks?.add(this.#delivery);
      }
      const own = withContext(event, context, this.#defaults);
      if (!isSampled(own, this.#sampleRate)) {
        this.#tally.drop('sampled', 1);
        return;
      }
      const bytes = heapBytes(own);
      if (bytes > maxEventBytes) {
        this.#tally.drop('too_large', 1);
        return;
      }
      this.#delivery.offer({ event: own, atMs: Date.now(), bytes });
      if (this.#waitUntil !== undefined && !this.#isAwaited) this.#await(this.#waitUntil);
    } catch (error) {
      this.#tally.drop('invalid', 1);
      this.#warn(`an event was not taken: ${messageOf(error)}`);
    }
  }

  #await(waitUntil: (delivery: Promise<unknown>) => void): void {
    this.#isAwaited = true;
    const delivery = pause(this.#flushIntervalMs).then(() => {
      this.#isAwaited = false;
      return this.#delivery.flush(this.#timeoutMs);
    });
    try {
      waitUntil(delivery);
    } catch (error) {
      this.#warn(`waitUntil failed: ${messageOf(error)}`);
    }
  }

  #warn(message: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const whole = `nowcast-client: ${message} (more: stats())`;
    try {
      this.#onWarning(whole);
    } catch (error) {
      // The application's own logging must not come back to it from inside `track()`.
      console.warn(whole, error);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function streamCompress(): Compress | undefined {
  if (typeof CompressionStream === 'undefined') return undefined;
  return async (bytes) => {
    const gzipped = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
    return new Uint8Array(await new Response(gzipped).arrayBuffer());
  };
}
