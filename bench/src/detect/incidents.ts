import { type Random, random } from './random.ts';
import { cleanSeries, type Point, type Shape } from './shapes.ts';

interface Incident {
  readonly kind: string;
  readonly from: number;
  /** Index after the last point. */
  readonly to: number;
}

export interface LabelledSeries {
  readonly name: string;
  readonly points: readonly Point[];
  readonly incidents: readonly Incident[];
}

type Change = (value: number, at: number, length: number, before: number) => number;

interface Kind {
  readonly name: string;
  length(r: Random): number;
  make(r: Random, spread: number): Change;
}

const sign = (r: Random) => (r.uniform() < 0.65 ? 1 : -1);
const strength = (r: Random) => 4 + 8 * r.uniform();

const kinds: readonly Kind[] = [
  {
    name: 'spike',
    length: (r) => 1 + r.integer(3),
    make: (r, spread) => {
      const by = sign(r) * (6 + 10 * r.uniform()) * spread;
      return (value) => value + by;
    },
  },
  {
    name: 'level shift',
    length: (r) => 40 + r.integer(200),
    make: (r, spread) => {
      const by = sign(r) * strength(r) * spread;
      return (value) => value + by;
    },
  },
  {
    name: 'drop to nothing',
    length: (r) => 10 + r.integer(60),
    make: () => () => 0,
  },
  {
    name: 'noise burst',
    length: (r) => 30 + r.integer(100),
    make: (r, spread) => (value) => value + 4 * spread * r.normal(),
  },
  {
    name: 'stuck value',
    length: (r) => 50 + r.integer(150),
    make: () => (_value, _at, _length, before) => before,
  },
  {
    name: 'slow rise',
    length: (r) => 80 + r.integer(150),
    make: (r, spread) => {
      const by = sign(r) * 10 * spread;
      return (value, at, length) => value + (by * at) / length;
    },
  },
  {
    name: 'more spikes',
    length: (r) => 60 + r.integer(100),
    make: (r, spread) => (value) => (r.uniform() < 0.2 ? value + 7 * spread : value),
  },
];

/** A clean series with one to three incidents after a fifth of it, as they are labelled in public corpora. */
export function labelledSeries(shape: Shape, seed: number, pointCount: number): LabelledSeries {
  const r = random(seed * 7919 + 13);
  const points = cleanSeries(shape, seed, (pointCount * shape.intervalMs) / 86_400_000);
  const incidentCount = 1 + r.integer(3);
  const incidents: Incident[] = [];
  const free = points.length * 0.8;
  for (let i = 0; i < incidentCount; i++) {
    const kind = kinds[r.integer(kinds.length)]!;
    const slot = free / incidentCount;
    const from = Math.floor(points.length * 0.2 + i * slot + r.uniform() * slot * 0.5);
    const length = Math.min(kind.length(r), Math.floor(slot * 0.4));
    apply(points, shape, kind.make(r, shape.spread), from, length);
    incidents.push({ kind: kind.name, from, to: from + length });
  }
  return { name: `${shape.name} ${seed}`, points, incidents };
}

/** The shape with one incident of a known kind and size, for measuring the delay. */
export function apply(points: Point[], shape: Shape, change: Change, from: number, length: number): void {
  const before = points[from - 1]!.value;
  for (let i = from; i < from + length && i < points.length; i++) {
    const point = points[i]!;
    const value = change(point.value, i - from, length, before);
    points[i] = { ...point, value: shape.isCount === true ? Math.max(0, Math.round(value)) : value };
  }
}
