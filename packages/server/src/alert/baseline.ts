import { binomialSurprise } from '../process/detect/binomial.ts';
import type { Totals } from './totals.ts';

/** What is usual for a model: of its last two weeks, hours of trouble left out. */
export interface Baseline {
  /** Of a model without history the share that is taken for granted. */
  readonly errorShare: number;
  /** Nearer to trouble by what is not known of the usual share: two standard errors. */
  readonly errorShareBound: number;
  /** Undefined without enough history. */
  readonly p95Ms: number | undefined;
  readonly confidence: number | undefined;
  readonly quality: number | undefined;
  /** Events that it was learnt from. */
  readonly requests: number;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface Sample {
  readonly atMs: number;
  readonly totals: Totals;
}

/** An AI system that nobody knows yet may fail so often, and this many events change that belief by half. */
const assumedErrorShare = 0.01;
const assumedEvents = 100;
/** A stretch with errors this surprising (-log10 of the chance), and at least twice the usual, was an incident. */
const incidentSurprise = 6;
/** What is left out as incidents is at most this share of the traffic: more of it is how the model is. */
const mostLeftOut = 0.25;
const leastLatencyEvents = 200;
const leastSamples = 3;

/** @param samples equal stretches of time, the oldest first */
export function baselineOf(samples: readonly Sample[], nowMs: number): Baseline {
  const busy = samples.filter(({ totals }) => totals.requests > 0);
  const requests = busy.reduce((sum, { totals }) => sum + totals.requests, 0);
  const enough = requests >= leastLatencyEvents && busy.length >= leastSamples;
  const median = (value: (totals: Totals) => number, weight: (totals: Totals) => number) =>
    enough
      ? weightedMedian(busy.map(({ totals }) => ({ value: value(totals), weight: weight(totals) })))
      : undefined;
  const errorShare = usualErrorShare(busy);
  const errorShareBound =
    errorShare + 2 * Math.sqrt((errorShare * (1 - errorShare)) / (requests + assumedEvents));
  return {
    errorShare,
    errorShareBound,
    p95Ms: median(
      (t) => t.p95SumMs / t.requests,
      (t) => t.requests,
    ),
    confidence: median(
      (t) => t.confidenceSum / t.confidenceCount,
      (t) => t.confidenceCount,
    ),
    quality: median(
      (t) => t.qualitySum / t.qualityCount,
      (t) => t.qualityCount,
    ),
    requests,
    sinceMs: busy[0]?.atMs ?? nowMs,
    untilMs: busy.at(-1)?.atMs ?? nowMs,
  };
}

/** The mean share, without the stretches that were incidents by the share of the rest. */
function usualErrorShare(samples: readonly Sample[]): number {
  const all = samples.reduce((sum, { totals }) => sum + totals.requests, 0);
  let kept = samples;
  for (let round = 0; ; round++) {
    let requests = assumedEvents;
    let errors = assumedEvents * assumedErrorShare;
    for (const { totals } of kept) {
      requests += totals.requests;
      errors += totals.errors;
    }
    const share = errors / requests;
    if (round === 3) return share;
    const calm = kept.filter(({ totals }) => !isIncident(totals, share));
    const left = calm.reduce((sum, { totals }) => sum + totals.requests, 0);
    if (calm.length === kept.length || left < (1 - mostLeftOut) * all) return share;
    kept = calm;
  }
}

function isIncident({ errors, requests }: Totals, share: number): boolean {
  return errors > 2 * share * requests && binomialSurprise(errors, requests, share, true) >= incidentSurprise;
}

/** Undefined when nothing has weight. */
function weightedMedian(values: readonly { value: number; weight: number }[]): number | undefined {
  const sorted = values.filter(({ weight }) => weight > 0).sort((a, b) => a.value - b.value);
  const half = sorted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let seen = 0;
  for (const { value, weight } of sorted) {
    seen += weight;
    if (seen >= half) return value;
  }
  return undefined;
}

/** Fewer events have shares that chance alone makes high. */
const leastShareEvents = 50;

/**
 * What the error share ordinarily rises to for some minutes, for real errors come in clusters: the highest of each hour,
 * and of these the third, so that an outage in two hours of a day is no habit; of a young series the lowest of them.
 *
 * @param fives five minutes each, of about a day
 */
export function ordinaryPeakShare(fives: readonly Sample[]): number {
  const highest = new Map<number, number>();
  for (const { atMs, totals } of fives) {
    if (totals.requests < leastShareEvents) continue;
    const hour = Math.floor(atMs / 3_600_000);
    highest.set(hour, Math.max(highest.get(hour) ?? 0, totals.errors / totals.requests));
  }
  const sorted = [...highest.values()].sort((a, b) => b - a);
  return sorted[Math.min(2, sorted.length - 1)] ?? 0;
}
