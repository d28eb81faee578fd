/** Seconds for which arrivals are remembered. */
const rememberedSeconds = 300;

export interface ArrivalCounts {
  readonly requests: number;
  readonly errors: number;
}

/**
 * What came in, second by second, by when it arrived and not by its own time: sudden failure is seen by this, and so is
 * silence. Constant size.
 */
export class Arrivals {
  readonly #seconds = new Float64Array(rememberedSeconds).fill(-1);
  readonly #requests = new Float64Array(rememberedSeconds);
  readonly #errors = new Float64Array(rememberedSeconds);
  /** When something came last; undefined before anything has. */
  lastAtMs: number | undefined;
  lastErrorAtMs: number | undefined;

  add(atMs: number, requests: number, errors: number): void {
    if (requests <= 0) return;
    const second = Math.floor(atMs / 1000);
    const index = second % rememberedSeconds;
    if (this.#seconds[index] !== second) {
      this.#seconds[index] = second;
      this.#requests[index] = 0;
      this.#errors[index] = 0;
    }
    this.#requests[index]! += requests;
    this.#errors[index]! += errors;
    this.lastAtMs = Math.max(this.lastAtMs ?? atMs, atMs);
    if (errors > 0) this.lastErrorAtMs = Math.max(this.lastErrorAtMs ?? atMs, atMs);
  }

  /** The last `seconds` up to and with the second of `nowMs`. */
  recent(seconds: number, nowMs: number): ArrivalCounts {
    let requests = 0;
    let errors = 0;
    const last = Math.floor(nowMs / 1000);
    for (let second = Math.max(last - seconds + 1, last - rememberedSeconds + 1); second <= last; second++) {
      const index = second % rememberedSeconds;
      if (this.#seconds[index] !== second) continue;
      requests += this.#requests[index]!;
      errors += this.#errors[index]!;
    }
    return { requests, errors };
  }

  /** The second in which the first error of the last `seconds` arrived. */
  firstErrorMs(seconds: number, nowMs: number): number | undefined {
    const last = Math.floor(nowMs / 1000);
    for (let second = last - seconds + 1; second <= last; second++) {
      const index = second % rememberedSeconds;
      if (this.#seconds[index] === second && this.#errors[index]! > 0) return second * 1000;
    }
    return undefined;
  }
}
