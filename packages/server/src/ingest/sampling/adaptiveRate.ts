/** Weights stay below ten thousand, and something of everything is seen. */
const leastRate = 1e-4;
const windowMs = 1_000;
/** How much the last second counts in the estimate of the next. */
const newestShare = 0.5;
/** Within a second whose budget is spent, the share halves each time that this part of it is spent once more. */
const brakeStep = 0.25;

/**
 * The share of ordinary events to keep, so that about so many rows a second are kept of all. It follows the traffic of
 * the last seconds and brakes within a second that brings much more. The share at a moment depends only on what came
 * before, so 1 / share is the right weight of whatever is kept with it.
 */
export class AdaptiveRate {
  readonly #ceiling: number;
  readonly #maxRowsPerSecond: number | undefined;
  #windowStartedAtMs = Number.NEGATIVE_INFINITY;
  /** Of the window that runs. */
  #ordinary = 0;
  #ordinaryKept = 0;
  #unusual = 0;
  /** A second, smoothed over the windows before; undefined before the first. */
  #ordinaryPerSecond: number | undefined;
  #unusualPerSecond = 0;

  /** @param ceiling the share where the bound does not press, above 0 to 1 */
  constructor(ceiling: number, maxRowsPerSecond: number | undefined) {
    this.#ceiling = ceiling;
    this.#maxRowsPerSecond = maxRowsPerSecond;
  }

  at(nowMs: number): number {
    const max = this.#maxRowsPerSecond;
    if (max === undefined) return this.#ceiling;
    this.#turn(nowMs);
    const budget = Math.max(max - Math.max(this.#unusualPerSecond, this.#unusual), 0);
    const expected = this.#ordinaryPerSecond ?? 0;
    const share = expected === 0 ? this.#ceiling : Math.min(budget / expected, this.#ceiling);
    const overspent = this.#ordinaryKept - budget;
    const brakes = overspent < 0 ? 0 : 1 + Math.floor(overspent / Math.max(max * brakeStep, 1));
    return Math.max(share / 2 ** brakes, leastRate);
  }

  countOrdinary(nowMs: number, kept: boolean): void {
    if (this.#maxRowsPerSecond === undefined) return;
    this.#turn(nowMs);
    this.#ordinary += 1;
    if (kept) this.#ordinaryKept += 1;
  }

  countUnusual(nowMs: number): void {
    if (this.#maxRowsPerSecond === undefined) return;
    this.#turn(nowMs);
    this.#unusual += 1;
  }

  /** Begins a new window when the last one is over; seconds without events count as such. */
  #turn(nowMs: number): void {
    const passed = Math.floor((nowMs - this.#windowStartedAtMs) / windowMs);
    if (passed < 1) return;
    if (Number.isFinite(passed)) {
      const old = (1 - newestShare) ** (passed - 1);
      const blend = (before: number | undefined, newest: number) =>
        before === undefined ? newest * old : (before * (1 - newestShare) + newest * newestShare) * old;
      this.#ordinaryPerSecond = blend(this.#ordinaryPerSecond, this.#ordinary);
      this.#unusualPerSecond = blend(this.#unusualPerSecond, this.#unusual);
      this.#windowStartedAtMs += passed * windowMs;
    } else {
      this.#windowStartedAtMs = nowMs;
    }
    this.#ordinary = 0;
    this.#ordinaryKept = 0;
    this.#unusual = 0;
  }
}
