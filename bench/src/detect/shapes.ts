import { type Random, random } from './random.ts';

export interface Point {
  readonly timestampMs: number;
  readonly value: number;
}

/** A kind of series without incidents: what it is worth at a time. Made anew for each series, for some remember. */
export interface Shape {
  readonly name: string;
  readonly intervalMs: number;
  /** How much the value wavers around its expectation: incidents are made in multiples of it. */
  readonly spread: number;
  readonly isCount?: boolean;
  make(random: Random): (timestampMs: number, index: number) => number;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** A Monday. */
export const startMs = Date.UTC(2026, 0, 5);

const hourOf = (timestampMs: number) => ((timestampMs - startMs) % dayMs) / 3_600_000;
const isWeekend = (timestampMs: number) => Math.floor((timestampMs - startMs) / dayMs) % 7 >= 5;
const dayCurve = (timestampMs: number) => Math.sin(((hourOf(timestampMs) - 8) / 24) * 2 * Math.PI);

export const shapes: readonly Shape[] = [
  { name: 'noise', intervalMs: 5 * minuteMs, spread: 2, make: (r) => () => 50 + 2 * r.normal() },
  {
    name: 'daily wave',
    intervalMs: 5 * minuteMs,
    spread: 5,
    make: (r) => (t) => 100 + 40 * dayCurve(t) + 5 * r.normal(),
  },
  {
    name: 'office hours',
    intervalMs: 5 * minuteMs,
    spread: 3,
    make: (r) => (t) => (hourOf(t) >= 9 && hourOf(t) < 18 ? 80 : 20) + 3 * r.normal(),
  },
  {
    name: 'requests a minute',
    intervalMs: minuteMs,
    spread: 12,
    isCount: true,
    make: (r) => (t) => r.poisson((isWeekend(t) ? 60 : 120) * (1 + 0.6 * dayCurve(t))),
  },
  {
    name: 'few requests',
    intervalMs: 5 * minuteMs,
    spread: 2,
    isCount: true,
    make: (r) => (t) => r.poisson(3 * (1 + 0.5 * dayCurve(t))),
  },
  {
    name: 'mentions',
    intervalMs: 5 * minuteMs,
    spread: 12,
    isCount: true,
    make: (r) => {
      let mood = 0;
      return (t) => {
        mood = 0.9 * mood + 0.25 * r.normal();
        return r.poisson(12 * (1 + 0.5 * dayCurve(t)) * Math.exp(mood));
      };
    },
  },
  {
    name: 'CPU with an hourly job',
    intervalMs: 5 * minuteMs,
    spread: 1,
    make: (r) => (t) =>
      Math.max(
        0,
        4 + 0.4 * r.normal() + (Math.round(t / (5 * minuteMs)) % 12 === 0 ? 30 + 4 * r.normal() : 0),
      ),
  },
  {
    name: 'sawtooth',
    intervalMs: 5 * minuteMs,
    spread: 6,
    make: (r) => {
      let filled = 0;
      return () => {
        filled += 2 + r.uniform();
        if (filled > 90 + 5 * r.uniform()) filled = 5 * r.uniform();
        return filled;
      };
    },
  },
  {
    name: 'temperature',
    intervalMs: 5 * minuteMs,
    spread: 2,
    make: (r) => {
      let drift = 0;
      return () => {
        drift = 0.995 * drift + 0.4 * r.normal();
        return 70 + drift + 0.7 * r.normal();
      };
    },
  },
  {
    name: 'hourly price',
    intervalMs: 60 * minuteMs,
    spread: 0.15,
    make: (r) => (t) =>
      Math.max(0.01, 1 + 0.2 * dayCurve(t) + 0.12 * r.normal() + (r.uniform() < 0.01 ? r.uniform() : 0)),
  },
  {
    name: 'p95 latency',
    intervalMs: minuteMs,
    spread: 60,
    make: (r) => (t) => 350 * (1 + 0.15 * dayCurve(t)) * Math.exp(0.15 * r.normal()),
  },
  {
    name: 'disk writes',
    intervalMs: 5 * minuteMs,
    spread: 1000,
    make: (r) => {
      let left = 0;
      return () => {
        if (left === 0 && r.uniform() < 0.03) left = 1 + r.integer(4);
        if (left === 0) return 0;
        left--;
        return 1000 * Math.exp(0.8 * r.normal());
      };
    },
  },
  { name: 'constant', intervalMs: 5 * minuteMs, spread: 1, make: () => () => 17 },
  {
    name: 'road speed',
    intervalMs: 10 * minuteMs,
    spread: 4,
    make: (r) => (t) => {
      const rush = Math.abs(hourOf(t) - 8) < 1.5 || Math.abs(hourOf(t) - 17) < 1.5;
      return 65 + 3 * r.normal() - (rush && !isWeekend(t) ? 20 + 6 * r.normal() : 0);
    },
  },
  {
    name: 'taxi rides',
    intervalMs: 30 * minuteMs,
    spread: 900,
    make: (r) => (t) =>
      Math.max(
        0,
        (isWeekend(t) ? 13_000 : 15_000) *
          (1 + 0.5 * Math.sin(((hourOf(t) - (isWeekend(t) ? 13 : 10)) / 24) * 2 * Math.PI)) +
          700 * r.normal(),
      ),
  },
  {
    name: 'error share',
    intervalMs: minuteMs,
    spread: 0.01,
    make: (r) => () => r.poisson(100 * 0.01) / 100,
  },
];

export function cleanSeries(shape: Shape, seed: number, days: number): Point[] {
  const r = random(seed);
  const valueAt = shape.make(r);
  return Array.from({ length: Math.round((days * dayMs) / shape.intervalMs) }, (_, index) => {
    const timestampMs = startMs + index * shape.intervalMs;
    return { timestampMs, value: valueAt(timestampMs, index) };
  });
}
