/**
 * What happened in a stretch of time, as far as it adds up. Quantiles do not: they are held times the requests of their
 * minute or hour, so that a sum divided by its requests is their mean, weighted by traffic.
 */
export interface Totals {
  requests: number;
  errors: number;
  latencySumMs: number;
  p50SumMs: number;
  p95SumMs: number;
  p99SumMs: number;
  confidenceCount: number;
  confidenceSum: number;
  confidenceSumSq: number;
  qualityCount: number;
  qualitySum: number;
  qualitySumSq: number;
  tokens: number;
  costUsd: number;
}

export function noTotals(): Totals {
  return {
    requests: 0,
    errors: 0,
    latencySumMs: 0,
    p50SumMs: 0,
    p95SumMs: 0,
    p99SumMs: 0,
    confidenceCount: 0,
    confidenceSum: 0,
    confidenceSumSq: 0,
    qualityCount: 0,
    qualitySum: 0,
    qualitySumSq: 0,
    tokens: 0,
    costUsd: 0,
  };
}

/** Written out: it runs thousands of times a second, and a loop over names takes four times as long. */
export function addTotals(to: Totals, from: Totals): void {
  to.requests += from.requests;
  to.errors += from.errors;
  to.latencySumMs += from.latencySumMs;
  to.p50SumMs += from.p50SumMs;
  to.p95SumMs += from.p95SumMs;
  to.p99SumMs += from.p99SumMs;
  to.confidenceCount += from.confidenceCount;
  to.confidenceSum += from.confidenceSum;
  to.confidenceSumSq += from.confidenceSumSq;
  to.qualityCount += from.qualityCount;
  to.qualitySum += from.qualitySum;
  to.qualitySumSq += from.qualitySumSq;
  to.tokens += from.tokens;
  to.costUsd += from.costUsd;
}

/** The totals of equal stretches of time, the newest `size` of them. */
export class TotalsRing {
  readonly unitMs: number;
  readonly #slots: ({ readonly atMs: number; readonly totals: Totals } | undefined)[];

  constructor(unitMs: number, size: number) {
    this.unitMs = unitMs;
    this.#slots = new Array(size).fill(undefined);
  }

  startOf(atMs: number): number {
    return Math.floor(atMs / this.unitMs) * this.unitMs;
  }

  get(atMs: number): Totals | undefined {
    const slot = this.#slots[this.#index(atMs)];
    return slot !== undefined && slot.atMs === atMs ? slot.totals : undefined;
  }

  /** @returns false where something newer has the place: it is too old to be kept */
  set(atMs: number, totals: Totals): boolean {
    const index = this.#index(atMs);
    if ((this.#slots[index]?.atMs ?? atMs) > atMs) return false;
    this.#slots[index] = { atMs, totals };
    return true;
  }

  /** Adds what began from `sinceMs` on and before `untilMs`. */
  sum(sinceMs: number, untilMs: number, into: Totals = noTotals()): Totals {
    const oldestMs = untilMs - this.#slots.length * this.unitMs;
    for (let atMs = this.startOf(Math.max(sinceMs, oldestMs)); atMs < untilMs; atMs += this.unitMs) {
      const totals = atMs >= sinceMs ? this.get(atMs) : undefined;
      if (totals !== undefined) addTotals(into, totals);
    }
    return into;
  }

  /** Those that began from `sinceMs` on and before `untilMs`, the oldest first. */
  between(sinceMs: number, untilMs: number): { readonly atMs: number; readonly totals: Totals }[] {
    return this.#slots
      .filter((slot) => slot !== undefined && slot.atMs >= sinceMs && slot.atMs < untilMs)
      .sort((a, b) => a!.atMs - b!.atMs) as { atMs: number; totals: Totals }[];
  }

  #index(atMs: number): number {
    return Math.floor(atMs / this.unitMs) % this.#slots.length;
  }
}
