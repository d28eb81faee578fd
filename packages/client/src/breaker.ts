const backoffBaseMs = 200;
const backoffCapMs = 10_000;
/** So many failures in a row, and the collector is taken to be down. */
const failuresToOpen = 5;
const openBaseMs = 5_000;
const openCapMs = 30_000;
/** A server that asks for more patience than this is asked again anyway. */
const maxRetryAfterMs = 300_000;

/**
 * When the next attempt may be made: exponential backoff with full jitter
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and after five failures in a row a
 * circuit that lets one probe through at a time. Over all batches, so that a dead collector costs one request now and
 * then and no more. Times are of `performance.now()`: when somebody sets the clock back, nobody waits for the hours to come
 * again.
 */
export class Breaker {
  #failures = 0;
  #notBeforeMs = 0;

  get isFailing(): boolean {
    return this.#failures > 0;
  }

  waitMs(nowMs: number): number {
    return Math.max(0, this.#notBeforeMs - nowMs);
  }

  succeeded(): void {
    this.#failures = 0;
    this.#notBeforeMs = 0;
  }

  failed(nowMs: number, retryAfterMs = 0): void {
    this.#failures++;
    const opened = this.#failures - failuresToOpen;
    const patienceMs =
      opened < 0
        ? Math.random() * Math.min(backoffCapMs, backoffBaseMs * 2 ** this.#failures)
        : (0.5 + Math.random() / 2) * Math.min(openCapMs, openBaseMs * 2 ** Math.min(opened, 10));
    this.#notBeforeMs = nowMs + Math.max(patienceMs, Math.min(retryAfterMs, maxRetryAfterMs));
  }

  /** The next attempt may be made at once, as before the process ends. */
  hurry(): void {
    this.#notBeforeMs = 0;
  }
}
