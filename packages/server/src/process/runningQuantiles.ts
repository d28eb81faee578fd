import type { Histogram, HistogramEdges } from './histogram.ts';

/** Minutes of models that are remembered; one takes 6 KB. Beyond, all are forgotten: readers then add histograms up. */
const maxMinutes = 1_000;
/** Corrections of a minute are remembered in the database for an hour; what is known here must not outlive that. */
const maxAgeMs = 10 * 60_000;
const fractions = [0.5, 0.95, 0.99] as const;
const copyNull = '\\N';

/** What one transaction adds to a minute of a model. */
interface Added {
  readonly minuteMicros: number;
  readonly requests: number;
  readonly latencyMin: number;
  readonly latencyMax: number;
  readonly latencyBins: Histogram;
}

interface Minute {
  readonly beganAtMs: number;
  readonly counts: Uint32Array;
  requests: number;
  min: number;
  max: number;
}

/**
 * Latency quantiles of the models' minutes as far as one writer has written them. Each transaction tells the new ones
 * (`nowcast.summary_partials.running`), so whoever reads the open minute finds them ready, where else 30 histograms would
 * be taken apart. Readers compare the number of requests: where anybody else wrote to the minute too, it differs, and
 * they add up the histograms. So forgetting is always safe; what was not committed must be forgotten.
 */
export class RunningQuantiles {
  readonly #middles: Float64Array;
  readonly #minutes = new Map<string, Minute>();

  constructor(edges: HistogramEdges) {
    this.#middles = middlesOf(edges.latency);
  }

  add(model: string, added: Added): void {
    const minute = this.#minute(model, added.minuteMicros);
    minute.requests += added.requests;
    minute.min = Math.min(minute.min, added.latencyMin);
    minute.max = Math.max(minute.max, added.latencyMax);
    for (const [bin, count] of added.latencyBins) minute.counts[bin]! += count;
  }

  /** Requests, p50, p95 and p99 in milliseconds as an array literal. */
  copyText(model: string, minuteMicros: number): string {
    const minute = this.#minutes.get(keyOf(model, minuteMicros));
    return minute === undefined ? copyNull : `{${minute.requests},${this.#quantiles(minute).join(',')}}`;
  }

  /** A transaction may not have been committed. */
  clear(): void {
    this.#minutes.clear();
  }

  #minute(model: string, minuteMicros: number): Minute {
    const key = keyOf(model, minuteMicros);
    const known = this.#minutes.get(key);
    const nowMs = performance.now();
    if (known !== undefined && nowMs - known.beganAtMs < maxAgeMs) return known;
    if (known === undefined && this.#minutes.size >= maxMinutes) this.#minutes.clear();
    const minute: Minute = {
      beganAtMs: nowMs,
      counts: new Uint32Array(this.#middles.length),
      requests: 0,
      min: Number.POSITIVE_INFINITY,
      max: Number.NEGATIVE_INFINITY,
    };
    this.#minutes.set(key, minute);
    return minute;
  }

  /** As `nowcast.latency_quantiles` in SQL: linear between the middles of the bins of two ranks. */
  #quantiles({ counts, requests, min, max }: Minute): number[] {
    const held = (bin: number) => Math.min(Math.max(this.#middles[bin]!, min), max);
    let bin = -1;
    let seen = 0;
    return fractions.map((fraction) => {
      const place = fraction * (requests - 1);
      const rank = Math.floor(place);
      while (seen <= rank) seen += counts[++bin]!;
      const low = held(bin);
      if (place === rank || seen > rank + 1) return low;
      let next = bin + 1;
      while (next < counts.length && counts[next] === 0) next += 1;
      return next === counts.length ? low : low + (held(next) - low) * (place - rank);
    });
  }
}

function keyOf(model: string, minuteMicros: number): string {
  return `${minuteMicros}\0${model}`;
}

/** Harmonic middle of each bin from number 0 on, as `nowcast.latency_bin_middle` has it. */
function middlesOf(edges: Float64Array): Float64Array {
  const middles = new Float64Array(edges.length + 1);
  middles[edges.length] = Number.POSITIVE_INFINITY;
  for (let bin = 1; bin < edges.length; bin += 1) {
    const low = edges[bin - 1]!;
    const high = edges[bin]!;
    middles[bin] = (2 * low * high) / (low + high);
  }
  return middles;
}
