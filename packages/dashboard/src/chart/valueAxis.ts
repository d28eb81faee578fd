/**
 * The values at the left of a chart: round steps, told in one unit with one number of digits, whatever the chart shows
 * at the moment. Pure.
 */

export type Unit = 'count' | 'latency' | 'percent' | 'dollars' | 'score';

export interface ValueAxis {
  /** From the lowest to the highest: the ends of the axis are ticks too. */
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
}

/** Gaps between ticks: fewer say too little, more stand too close on a phone. */
const mostGaps = 4;

/** @param values of everything that is drawn; a stack's are its sums */
export function valueAxis(unit: Unit, values: Iterable<number>): ValueAxis {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = 0;
  for (const value of values) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  if (unit === 'score') return scoreAxis(lowest);
  const step = roundStep(highest, unit === 'count' ? 1 : 0);
  const gaps = Math.max(1, Math.ceil(highest / step - 1e-9));
  const ticks = Array.from({ length: gaps + 1 }, (_, index) => fromSteps(index, step));
  return { ticks, format: inOneUnit(unit, step, ticks.at(-1)!) };
}

/** From 0 to 1 and mostly close to 1: the axis ends there and begins below the lowest. */
function scoreAxis(lowest: number): ValueAxis {
  const tenths = Math.max(0, Math.min(9, Math.floor(Math.min(1, lowest) * 10 + 1e-9)));
  const [low, step] =
    tenths === 9
      ? [18, 0.05]
      : tenths >= 7
        ? [tenths, 0.1]
        : tenths >= 2
          ? [Math.floor(tenths / 2), 0.2]
          : [0, 0.25];
  const gaps = Math.round(1 / step) - low;
  return {
    ticks: Array.from({ length: gaps + 1 }, (_, index) => fromSteps(low + index, step)),
    format: (value) => value.toFixed(2),
  };
}

/** The smallest of 1, 2, 5, 10, 20, … (and of 0.5, 0.2, …) that reaches the highest value in few steps. */
function roundStep(highest: number, least: number): number {
  if (highest <= 0) return 1;
  const power = Math.floor(Math.log10(highest / mostGaps));
  for (const factor of [1, 2, 5, 10]) {
    const step = fromSteps(factor, 10 ** power);
    if (step >= least && step * mostGaps >= highest * (1 - 1e-9)) return step;
  }
  return least;
}

/** Without what binary fractions add: 3 × 0.1 is 0.3. */
function fromSteps(count: number, step: number): number {
  return Number((count * step).toPrecision(12));
}

function inOneUnit(unit: Unit, step: number, highest: number): (value: number) => string {
  const [scale, suffix] = scaleOf(unit, highest);
  const digits = Math.max(0, -Math.floor(Math.log10(step / scale) + 1e-9));
  const prefix = unit === 'dollars' ? '$' : '';
  const figure = (value: number) => {
    // Tiny costs would not fit beside the chart.
    if (digits > 5) return (value / scale).toExponential(1);
    return (value / scale).toLocaleString('en', {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  };
  // Nothing has no digits, and no thousands.
  return (value) => (value === 0 ? `${prefix}0${unitOf(suffix)}` : `${prefix}${figure(value)}${suffix}`);
}

function unitOf(suffix: string): string {
  return suffix.startsWith(' ') ? suffix : '';
}

function scaleOf(unit: Unit, highest: number): readonly [number, string] {
  if (unit === 'percent') return [1, ' %'];
  if (unit === 'latency') return highest < 1_000 ? [1, ' ms'] : [1_000, ' s'];
  if (highest >= 1e9) return [1e9, 'B'];
  if (highest >= 1e6) return [1e6, 'M'];
  return highest >= 10_000 ? [1e3, 'K'] : [1, ''];
}
