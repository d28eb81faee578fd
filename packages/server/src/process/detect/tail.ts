/**
 * How rare a value is in its own history, on one side, from six numbers: the level that 2 % of the values exceed, and a
 * generalised Pareto distribution of the excesses by their forgotten moments (after DSPOT: Siffer and others, KDD 2017).
 * Nothing is assumed about the scale or the shape, so a quiet series and a jumpy one are equally seldom wrong.
 */
export interface Tail {
  /** Values seen. */
  count: number;
  /** Mean size of the values, forgotten slowly: the scale before excesses are known. */
  scale: number;
  level: number;
  /** Mean and mean square of the excesses over the level, and how many made them. */
  mean: number;
  square: number;
  excesses: number;
  /** How many values in a row were rare: an incident that lasts must not teach that incidents are usual. */
  run: number;
}

/** Surprises are -log10 of a probability; more than this no history can tell. */
export const mostSurprise = 30;

const exceedShare = 0.02;
const levelSurprise = -Math.log10(exceedShare);
const scaleForgetting = 0.002;
const excessForgetting = 0.03;
/** The level moves by this much of the scale per value at first, later by less. */
const firstStep = 0.5;
const lastStep = 0.03;
/** Excesses count as if these had come before from an exponential tail: a short history claims nothing rare. */
const priorExcesses = 3;
/** One monstrous value must not teach that monsters are normal. */
const winsorAt = 10;
const winsorAfter = 20;
const ordinaryExcess = 6;
/** What is this rare counts in full a few times in a row, and little from then on. */
const rare = 3;
const taughtRun = 2;
const lastingWeight = 0.1;
const runFading = 0.98;
/** Below, the fitted tail would end just above what was seen; above, it would have no variance to fit. */
const leastShape = -0.1;
const mostShape = 0.25;

export function newTail(): Tail {
  return { count: 0, scale: 0, level: 0, mean: 0, square: 0, excesses: 0, run: 0 };
}

/** -log10 of the share of earlier values that were at least this high: 1.7 at the level, 4 for one in ten thousand. */
export function surprise(tail: Tail, value: number): number {
  if (!(value > 0)) return 0;
  const excess = value - tail.level;
  if (excess <= 0) return levelSurprise * (value / tail.level) ** 2;
  const { mean, shape } = pareto(tail);
  const ratio = excess / (mean * (1 - shape));
  if (!Number.isFinite(ratio)) return mostSurprise;
  const inside = 1 + shape * ratio;
  const nats = Math.abs(shape) < 1e-3 ? ratio : inside > 0 ? Math.log(inside) / shape : Infinity;
  return Math.min(mostSurprise, levelSurprise + nats / Math.LN10);
}

/** @param surprised what `surprise` says of this value */
export function learn(tail: Tail, value: number, surprised: number): void {
  tail.count++;
  tail.run = surprised >= rare ? tail.run + 1 : tail.run * runFading;
  const weight = isLasting(tail) ? lastingWeight : 1;
  const limit = Math.max(tail.level, tail.scale) * 1.5 + winsorAt * pareto(tail).mean;
  // Where all was equal so far, the first different value is the only measure there is.
  const winsor = tail.count > winsorAfter && limit > 0 ? limit : Infinity;
  tail.scale +=
    weight * Math.max(1 / tail.count, scaleForgetting) * (Math.min(Math.abs(value), winsor) - tail.scale);
  const excess = Math.min(value, winsor) - tail.level;
  if (excess > 0) {
    tail.excesses++;
    if (tail.excesses === 1) {
      tail.mean = tail.scale;
      tail.square = 2 * tail.scale * tail.scale;
    }
    const gain = weight * Math.max(1 / (tail.excesses + priorExcesses), excessForgetting);
    tail.mean += gain * (excess - tail.mean);
    tail.square += gain * (excess * excess - tail.square);
  }
  const step = weight * tail.scale * Math.max(lastStep, firstStep / Math.sqrt(tail.count));
  tail.level = Math.max(0, tail.level + (excess > 0 ? step * (1 - exceedShare) : -step * exceedShare));
}

/** Something rare has gone on for a while. */
export const isLasting = (tail: Tail): boolean => tail.run > taughtRun;

/** The largest value that a history like this one brings about now and then. */
export const largestOrdinary = (tail: Tail): number =>
  tail.count > winsorAfter && tail.excesses > 0 ? tail.level + ordinaryExcess * tail.mean : Infinity;

/** The method of moments. */
function pareto(tail: Tail): { mean: number; shape: number } {
  if (tail.excesses === 0) return { mean: tail.scale, shape: 0 };
  const variance = tail.square - tail.mean * tail.mean;
  if (!(variance > 0)) return { mean: tail.mean, shape: 0 };
  const shape = 0.5 * (1 - (tail.mean * tail.mean) / variance);
  return { mean: tail.mean, shape: Math.min(mostShape, Math.max(leastShape, shape)) };
}

const fields = ['count', 'scale', 'level', 'mean', 'square', 'excesses', 'run'] as const;

export const writeTails = (tails: readonly Tail[]): number[] =>
  tails.flatMap((tail) => fields.map((field) => tail[field]));

/** Undefined when there are not numbers for so many tails. */
export function readTails(numbers: readonly number[], count: number): Tail[] | undefined {
  if (numbers.length !== count * fields.length) return undefined;
  return Array.from({ length: count }, (_, index) => {
    const tail = newTail();
    fields.forEach((field, offset) => {
      tail[field] = numbers[index * fields.length + offset]!;
    });
    return tail;
  });
}
