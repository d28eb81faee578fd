/** Latencies of one window, in a buffer made beforehand: recording one allocates nothing. */
export class Latencies {
  readonly #values: Float64Array;
  #count = 0;

  constructor(capacity: number) {
    this.#values = new Float64Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** False when the buffer is full: the caller ends its run, so that no latency goes unrecorded. */
  record(ms: number): boolean {
    if (this.#count === this.#values.length) return false;
    this.#values[this.#count++] = ms;
    return true;
  }

  summary(): LatencySummary {
    const sorted = this.#values.subarray(0, this.#count).sort();
    const at = (quantile: number) =>
      sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] ?? Number.NaN;
    return { count: this.#count, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  }
}

export interface LatencySummary {
  count: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}
