/**
 * Runs at most `maxRunning` tasks at once; the next `maxWaiting` wait in order, and one more is refused.
 */
import { overloaded } from './errors.ts';

export class Limiter {
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #what: string;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(what: string, maxRunning: number, maxWaiting: number) {
    this.#what = what;
    this.#maxRunning = maxRunning;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws RestError 503 when the line is full */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#maxRunning) this.#running++;
    else if (this.#waiting.length < this.#maxWaiting) {
      // Whoever finishes hands its place over; `#running` stays as it is.
      await new Promise<void>((resume) => this.#waiting.push(resume));
    } else throw overloaded(this.#what);
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
