/** Seconds of the rate that may come at once: senders flush in bursts. */
const burstSeconds = 2;

/**
 * Token bucket (RFC 2697 calls it a committed burst). It may go into debt by one request: a batch is charged when its
 * events have been counted, and a batch larger than the bucket must be possible at all.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #capacity: number;
  readonly #nowMs: () => number;
  #tokens: number;
  #filledAtMs: number;

  constructor(perSecond: number, nowMs: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#capacity = Math.max(1, perSecond * burstSeconds);
    this.#nowMs = nowMs;
    this.#tokens = this.#capacity;
    this.#filledAtMs = nowMs();
  }

  /** @returns 0 when the events were taken from the bucket, otherwise the whole seconds until it has something */
  take(events: number): number {
    const nowMs = this.#nowMs();
    const filled = this.#tokens + ((nowMs - this.#filledAtMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#capacity, filled);
    this.#filledAtMs = nowMs;
    if (this.#tokens <= 0) return Math.max(1, Math.ceil(-this.#tokens / this.#perSecond));
    this.#tokens -= events;
    return 0;
  }
}
