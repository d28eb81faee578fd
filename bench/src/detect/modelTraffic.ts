/** Clean traffic of models in simulated time: what a healthy system looks like in all its moods, and incidents on it. */
import { noTotals, type Totals } from 'nowcast/dist/alert/totals.js';
import { type Random, random } from './random.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export interface TrafficShape {
  readonly name: string;
  readonly perSecond: number;
  readonly errorShare: number;
  readonly medianMs: number;
  /** Spread of the logarithm of latency. */
  readonly sigma: number;
  /** How much traffic swings over the day, from 0 to 1. */
  readonly dailySwing?: number;
  readonly weekendFactor?: number;
  /** Latency at the peak of traffic, as a multiple of that at its low. */
  readonly peakLatency?: number;
  /** Spread of the logarithm of each minute's traffic. */
  readonly burstiness?: number;
  /** Spread of the logarithm of each ten minutes' error share: real errors come in clusters. */
  readonly clusters?: number;
  /** The hours of the day with traffic, UTC. */
  readonly openHours?: readonly [number, number];
  /** The first minutes of each hour that have traffic: a job on the hour. */
  readonly jobMinutes?: number;
}

export const trafficShapes: readonly TrafficShape[] = [
  { name: 'steady, 20/s', perSecond: 20, errorShare: 0.01, medianMs: 300, sigma: 0.5 },
  {
    name: 'day and night, 10/s',
    perSecond: 10,
    errorShare: 0.005,
    medianMs: 800,
    sigma: 0.6,
    dailySwing: 0.9,
    weekendFactor: 0.5,
    peakLatency: 1.6,
  },
  { name: 'two a minute', perSecond: 1 / 30, errorShare: 0.02, medianMs: 2_000, sigma: 0.8 },
  {
    name: 'bursts, 5/s',
    perSecond: 5,
    errorShare: 0.01,
    medianMs: 400,
    sigma: 0.7,
    burstiness: 0.7,
    dailySwing: 0.5,
  },
  {
    name: 'clustered errors, 8/s',
    perSecond: 8,
    errorShare: 0.02,
    medianMs: 250,
    sigma: 0.5,
    clusters: 0.6,
    dailySwing: 0.4,
  },
  {
    name: 'one in five fails, 3/s',
    perSecond: 3,
    errorShare: 0.2,
    medianMs: 1_200,
    sigma: 0.6,
    dailySwing: 0.3,
  },
  {
    name: 'office hours, 2/s',
    perSecond: 2,
    errorShare: 0.01,
    medianMs: 500,
    sigma: 0.6,
    openHours: [7, 18],
    weekendFactor: 0,
  },
  { name: 'a job on the hour', perSecond: 10, errorShare: 0.003, medianMs: 150, sigma: 0.4, jobMinutes: 12 },
  {
    name: 'heavy tail, 4/s',
    perSecond: 4,
    errorShare: 0.008,
    medianMs: 600,
    sigma: 1.3,
    dailySwing: 0.6,
    peakLatency: 1.3,
  },
  {
    name: 'hardly ever fails, 15/s',
    perSecond: 15,
    errorShare: 0.0002,
    medianMs: 90,
    sigma: 0.3,
    dailySwing: 0.7,
  },
];

export interface Incident {
  readonly errorShare?: number;
  /** Times the usual. */
  readonly latency?: number;
  readonly traffic?: number;
  /** Added to the mean of 0.85. */
  readonly confidence?: number;
}

export interface SimulatedMinute {
  readonly model: string;
  readonly atMs: number;
  readonly totals: Totals;
}

/** One model's traffic. `advance` answers its open minute as it grows, as a reading of summaries would. */
export class ModelTraffic {
  readonly #shape: TrafficShape;
  readonly #random: Random;
  #atMs: number;
  #minute: SimulatedMinute | undefined;
  #burst = 1;
  #cluster = 1;
  #clusterMs = 0;
  incident: Incident = {};

  constructor(shape: TrafficShape, seed: number, startMs: number) {
    this.#shape = shape;
    this.#random = random(seed);
    this.#atMs = startMs;
  }

  get name(): string {
    return this.#shape.name;
  }

  /** Events until then, by their minutes; none when nothing came. */
  advance(untilMs: number): SimulatedMinute[] {
    const changed: SimulatedMinute[] = [];
    while (this.#atMs < untilMs) {
      const minute = Math.floor(this.#atMs / minuteMs) * minuteMs;
      const endMs = Math.min(untilMs, minute + minuteMs);
      if (this.#minute?.atMs !== minute) this.#beginMinute(minute);
      const requests = this.#random.poisson((this.#rate(this.#atMs) * (endMs - this.#atMs)) / 1000);
      if (requests > 0) changed.push(this.#grow(requests));
      this.#atMs = endMs;
    }
    return changed;
  }

  #beginMinute(atMs: number): void {
    const { burstiness = 0, clusters = 0 } = this.#shape;
    this.#burst = Math.exp(burstiness * this.#random.normal() - burstiness ** 2 / 2);
    if (atMs - this.#clusterMs >= 10 * minuteMs) {
      this.#cluster = Math.exp(clusters * this.#random.normal() - clusters ** 2 / 2);
      this.#clusterMs = atMs;
    }
    this.#minute = { model: this.#shape.name, atMs, totals: noTotals() };
  }

  /** The minute with so many more events; a new object, for the reader keeps the last one. */
  #grow(requests: number): SimulatedMinute {
    const { errorShare, medianMs, sigma, peakLatency = 1 } = this.#shape;
    const { atMs, totals: before } = this.#minute!;
    const totals = { ...before };
    const share = this.incident.errorShare ?? Math.min(1, errorShare * this.#cluster);
    const count = before.requests + requests;
    totals.requests = count;
    totals.errors += this.#binomial(requests, share);
    const load = 1 + (peakLatency - 1) * this.#daylight(atMs);
    const median = medianMs * load * (this.incident.latency ?? 1);
    // Quantiles of so many log-normal values, with the error that they have (asymptotically).
    const quantile = (z: number, fraction: number) => {
      const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
      const error = Math.sqrt((fraction * (1 - fraction)) / count) / density;
      return median * Math.exp(sigma * (z + Math.min(3, error) * this.#random.normal())) * count;
    };
    totals.p50SumMs = quantile(0, 0.5);
    totals.p95SumMs = Math.max(totals.p50SumMs, quantile(1.645, 0.95));
    totals.p99SumMs = Math.max(totals.p95SumMs, quantile(2.326, 0.99));
    totals.latencySumMs = median * Math.exp(sigma ** 2 / 2) * count;
    const confidence =
      0.85 + (this.incident.confidence ?? 0) + (0.1 * this.#random.normal()) / Math.sqrt(requests);
    totals.confidenceCount = count;
    totals.confidenceSum += confidence * requests;
    totals.confidenceSumSq += (confidence ** 2 + 0.01) * requests;
    totals.tokens += Math.round(requests * (400 + (200 * this.#random.normal()) / Math.sqrt(requests)));
    this.#minute = { model: this.#shape.name, atMs, totals };
    return this.#minute;
  }

  #rate(atMs: number): number {
    const { perSecond, dailySwing = 0, weekendFactor = 1, openHours, jobMinutes } = this.#shape;
    const hour = (atMs % dayMs) / hourMs;
    const weekday = Math.floor(atMs / dayMs + 4) % 7;
    if (openHours !== undefined && (hour < openHours[0] || hour >= openHours[1])) return 0;
    if (jobMinutes !== undefined && (atMs % hourMs) / minuteMs >= jobMinutes) return 0;
    const swing = 1 - dailySwing / 2 + dailySwing * (this.#daylight(atMs) - 0.5);
    const week = weekday === 0 || weekday === 6 ? weekendFactor : 1;
    return perSecond * swing * week * this.#burst * (this.incident.traffic ?? 1);
  }

  /** From 0 in the night to 1 at 14:00 UTC. */
  #daylight(atMs: number): number {
    return 0.5 + 0.5 * Math.cos((2 * Math.PI * ((atMs % dayMs) / hourMs - 14)) / 24);
  }

  #binomial(n: number, p: number): number {
    if (n * p * (1 - p) > 100) {
      const drawn = Math.round(n * p + Math.sqrt(n * p * (1 - p)) * this.#random.normal());
      return Math.min(n, Math.max(0, drawn));
    }
    let count = 0;
    for (let i = 0; i < n; i++) if (this.#random.uniform() < p) count++;
    return count;
  }
}
