import { unref } from '../post.ts';

/**
 * Notices an answer that nobody reads any further: an application may drop a stream, or never begin it, and nothing tells
 * of that (a FinalizationRegistry may never do). What is being waited for is the model's own time and no idleness. One
 * timer a call, whatever the number of its parts.
 */
export class IdleWatch {
  readonly #timeoutMs: number;
  readonly #onIdle: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #idleSinceMs = 0;
  #hasStopped = false;
  isReading = false;

  constructor(timeoutMs: number, onIdle: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#onIdle = onIdle;
  }

  start(): void {
    if (this.#timer !== undefined || this.#hasStopped) return;
    this.#idleSinceMs = performance.now();
    this.#wait(this.#timeoutMs);
  }

  /** The application asks for a part. */
  reads(): void {
    this.isReading = true;
  }

  /** It has one, or the end. */
  hasRead(): void {
    this.isReading = false;
    this.#idleSinceMs = performance.now();
  }

  stop(): void {
    this.#hasStopped = true;
    clearTimeout(this.#timer);
  }

  #wait(ms: number): void {
    this.#timer = unref(
      setTimeout(() => {
        const leftMs = this.#timeoutMs - (performance.now() - this.#idleSinceMs);
        if (this.isReading) this.#wait(this.#timeoutMs);
        else if (leftMs > 0) this.#wait(leftMs);
        else this.#onIdle();
      }, ms),
    );
  }
}
