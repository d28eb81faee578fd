import { binomialSurprise, waveringOf } from '../process/detect/binomial.ts';
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

/**
 * Of a model that nobody knows yet the wavering that is taken for granted, as if so many five minutes had shown it. With
 * 0.25 a jump from 1 % to 30 % errors at 20 events a second took up to 12 s in the first minutes, with this 6 s.
 */
const assumedWavering = 0.05;
const assumedFives = 12;
/** The worst hours may have been incidents: so many of them, after so many hours, are no habit. */
const mostOutages = 2;
const hoursAnOutage = 8;

/**
 * How much the error share wavers from five minutes to five minutes beyond chance, for real errors come in clusters: its
 * squared coefficient of variation. The hours with the highest shares are left out, so that an outage in two hours of a
 * day is no habit.
 *
 * @param fives five minutes each, of about a day
 * @param share the usual error share
 */
export function usualWavering(fives: readonly Sample[], share: number): number {
  const hours = new Map<number, { excess: number; square: number; worst: number; count: number }>();
  let squares = 0;
  for (const { atMs, totals } of fives) {
    if (totals.requests === 0) continue;
    const { excess, square } = waveringOf(totals.errors, totals.requests, share);
    const hour = Math.floor(atMs / 3_600_000);
    const sums = hours.get(hour) ?? { excess: 0, square: 0, worst: 0, count: 0 };
    hours.set(hour, sums);
    sums.excess += excess;
    sums.square += square;
    sums.worst = Math.max(sums.worst, square > 0 ? excess / square : 0);
    sums.count++;
    squares += square;
  }
  const assumed = (assumedFives * squares) / Math.max(1, fives.length);
  if (!(assumed > 0)) return assumedWavering;
  const outages = Math.min(mostOutages, Math.floor(hours.size / hoursAnOutage));
  const ordinary = [...hours.values()].sort((a, b) => b.worst - a.worst).slice(outages);
  let excess = assumed * assumedWavering;
  let square = assumed;
  for (const sums of ordinary) {
    excess += sums.excess;
    square += sums.square;
  }
  return Math.max(0, excess / square);
}
