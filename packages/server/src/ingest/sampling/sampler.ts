import type { ValidEvent } from '@nowcast/protocol';
import { AdaptiveRate } from './adaptiveRate.ts';
import { uniformOf } from './uniform.ts';

/**
 * The latency check judges rows above this (sql/internal/30_latency_check.sql): every one of them must become a row, or
 * sampling would switch the check off.
 */
const eventRuleLatencyMs = 5_000;

/** What makes an event one that is always kept, beside being an error. */
export interface Unusual {
  /** The 99th percentile of each model's latency in the last hour, in milliseconds. */
  readonly p99LatencyMs: ReadonlyMap<string, number>;
  /** Values by field: all events of a user, of a trace … */
  readonly keep: ReadonlyMap<KeepField, ReadonlySet<string>>;
}

export type KeepField =
  | 'user_id'
  | 'trace_id'
  | 'session_id'
  | 'model_version'
  | 'feature'
  | 'variant'
  | 'provider';

export interface SamplerOptions {
  /** Share of ordinary events kept, above 0 to 1. */
  readonly rate: number;
  /** Rows a second beyond which the share falls; undefined: it does not. */
  readonly maxRowsPerSecond: number | undefined;
  readonly unusual: () => Unusual;
  /** Monotonic, in milliseconds. */
  readonly now?: () => number;
}

/**
 * Decides which events become rows; all of them are counted in the summaries. Errors, what an event rule may match, what
 * is slower than its model's p99 and what somebody asked for are always kept, of the rest a share. Events of one trace
 * share their fate: the decision is a hash of the trace id, the same in every server.
 */
export class Sampler {
  readonly #unusual: () => Unusual;
  readonly #rate: AdaptiveRate;
  readonly #now: () => number;

  constructor({ rate, maxRowsPerSecond, unusual, now = () => performance.now() }: SamplerOptions) {
    this.#unusual = unusual;
    this.#rate = new AdaptiveRate(rate, maxRowsPerSecond);
    this.#now = now;
  }

  /** The share of ordinary events that is kept at this moment. */
  get rate(): number {
    return this.#rate.at(this.#now());
  }

  /**
   * How many events the row of this one stands for (1 / the probability with which it was kept); 0: it is not kept.
   *
   * @param id that the event would be stored under: decides where there is no trace
   */
  weigh(event: ValidEvent, id: number): number {
    const nowMs = this.#now();
    if (this.#isUnusual(event)) {
      this.#rate.countUnusual(nowMs);
      return 1;
    }
    const rate = this.#rate.at(nowMs);
    const kept = uniformOf(event.trace_id ?? id) < rate;
    this.#rate.countOrdinary(nowMs, kept);
    return kept ? 1 / rate : 0;
  }

  /** Whether ordinary events of a trace are kept now: what comes later about others finds nothing. */
  keepsTrace(traceId: string): boolean {
    return uniformOf(traceId) < this.rate || (this.#unusual().keep.get('trace_id')?.has(traceId) ?? false);
  }

  #isUnusual(event: ValidEvent): boolean {
    if (event.is_error || event.inference_time_ms > eventRuleLatencyMs) return true;
    const { p99LatencyMs, keep } = this.#unusual();
    const p99 = p99LatencyMs.get(event.model_version);
    if (p99 !== undefined && event.inference_time_ms > p99) return true;
    for (const [field, values] of keep) {
      const value = event[field];
      if (value !== null && values.has(value)) return true;
    }
    return false;
  }
}
