import type { Cause } from '../explanation.ts';

/** Of a slice in a window: how many were counted, the sum of what was measured, and the sum of its squares. */
export interface Sums {
  readonly n: number;
  readonly sum: number;
  readonly sumSq: number;
}

export interface Slice {
  readonly value: string;
  readonly before: Sums;
  readonly after: Sums;
}

/**
 * `rate`: `sum` counts the bad ones of `n`. `mean`: `sum` / `n` is what changed. `volume`: `sum` itself is what changed;
 * the baseline is `scale` times as long as the incident, or what else makes the two comparable.
 */
export type Measure =
  | { readonly kind: 'rate' }
  | { readonly kind: 'mean' }
  | { readonly kind: 'volume'; readonly scale: number };

/** All events split by one dimension. */
export interface Dimension {
  readonly name: Cause['dimension'];
  readonly measure: Measure;
  readonly total: { readonly before: Sums; readonly after: Sums };
  /** The slices that may explain something: those left out share the rest of the total. */
  readonly slices: readonly Slice[];
  /** How many values were looked at, those left out included. */
  readonly valueCount: number;
  /** How many events each counted one stands for: where rows were sampled, evidence is compared as if all were seen. */
  readonly weight: number;
  /** How many counted events are worth as much evidence as one row: the mean weight of rows that were kept of more. */
  readonly spread: number;
}

export interface Attribution extends Slice {
  readonly dimension: Cause['dimension'];
  readonly measure: Measure;
  /** Of the change; above 1 where others went the other way. */
  readonly share: number;
  /** Of the events in the incident. */
  readonly trafficShare: number;
  /** Twice the log likelihood ratio against "it is everywhere alike", less what looking at many values gives by chance. */
  readonly evidence: number;
  readonly total: { readonly before: Sums; readonly after: Sums };
}

/** Less of the change is not "most of it". */
const minShare = 0.5;
/**
 * How much of the way from its fair share to the whole change: a slice with 80 % of the traffic and 80 % of the change
 * explains nothing, one with 80 % and 98 % does.
 */
const minConcentration = 0.5;
/** Where nearly everything is in one slice, its share says little about the rest. */
const minShareAboveFair = 0.1;
/** Chi-squared of one degree of freedom at p = 0.001. */
const minEvidence = 10.83;
/** The same at p = 0.01, for whether there is a change at all. */
const minChange = 6.63;
/** Errors of other texts that are taken for granted before, when a text was never seen. */
const assumedBefore = 3;
const maxCauses = 3;

/**
 * Which values explain most of a change, the best first, at most one a dimension. Contributions of a dimension add up to
 * the change: what a slice had beyond its own part of the baseline, scaled to the incident's traffic (so that a shift of
 * traffic towards slices that were always bad is part of it).
 *
 * A text of errors tells what fails, not where: it comes first only when no place explains the change.
 */
export function attribute(dimensions: readonly Dimension[]): Attribution[] {
  const best = dimensions.flatMap((dimension) => {
    const [first] = dimension.slices
      .map((slice) => weigh(dimension, slice))
      .filter((found) => found !== undefined)
      .sort((a, b) => b.evidence - a.evidence);
    return first === undefined ? [] : [first];
  });
  return best.sort((a, b) => rank(a) - rank(b) || b.evidence - a.evidence).slice(0, maxCauses);
}

const rank = ({ dimension }: Attribution) => (dimension === 'error_message' ? 1 : 0);

/** @returns undefined for a slice that does not explain most of the change, or may do so by chance */
function weigh(dimension: Dimension, slice: Slice): Attribution | undefined {
  const { measure, total, valueCount, weight } = dimension;
  // Amounts that were nothing before give no shares to compare; a text of errors that fills all of them does say something.
  if (measure.kind === 'volume' && total.before.sum <= 0 && dimension.name !== 'error_message')
    return undefined;
  const fit = expectation(measure, total, slice);
  if (fit === undefined) return undefined;
  const { expected, expectedTotal, fairShares } = fit;
  const change = total.after.sum - expectedTotal;
  if (!isChange(dimension)) return undefined;
  const share = (slice.after.sum - expected) / change;
  if (!(share >= minShare)) return undefined;
  const fairShare = Math.max(...fairShares);
  if (!((share - fairShare) / (1 - fairShare) >= minConcentration)) return undefined;
  if (!(share - fairShare >= minShareAboveFair)) return undefined;
  const settled = Math.min(...fairShares.map((fair) => surpriseOf(dimension, slice, fit, fair)));
  const byChance = 2 * Math.log(Math.max(1, valueCount));
  if (!(settled - byChance >= minEvidence)) return undefined;
  return {
    ...slice,
    dimension: dimension.name,
    measure,
    share,
    trafficShare: total.after.n === 0 ? 0 : slice.after.n / total.after.n,
    evidence: settled * weight - byChance,
    total,
  };
}

/** Whether the two windows differ by more than chance: of no change nothing is a share. */
export function isChange({ measure, total: { before, after }, spread }: Dimension): boolean {
  if (after.n === 0 && measure.kind !== 'volume') return false;
  const scale = measure.kind === 'volume' ? measure.scale : before.n === 0 ? 0 : after.n / before.n;
  const change = after.sum - scale * before.sum;
  // Of sums of independent values; where there was nothing before, of what there is.
  const variance =
    measure.kind === 'mean'
      ? (varianceOf(before) * before.n * scale ** 2 + varianceOf(before) * after.n) * spread
      : (Math.max(before.sumSq, 1) * scale ** 2 +
          Math.max(before.sumSq * scale, before.n === 0 ? after.sumSq : 1)) *
        spread;
  return change ** 2 >= minChange * variance;
}

interface Expectation {
  /** The slice's and everything's sum in the incident if all had stayed as it was. */
  readonly expected: number;
  readonly expectedTotal: number;
  /** The slice's share of a change that is everywhere alike: added to each event, or multiplied. */
  readonly fairShares: readonly number[];
  /** Length of the incident in baselines. */
  readonly scale: number;
}

function expectation(
  measure: Measure,
  { before, after }: Dimension['total'],
  slice: Slice,
): Expectation | undefined {
  if (measure.kind === 'volume') {
    const { scale } = measure;
    const fair = before.sum > 0 ? slice.before.sum / before.sum : 0;
    return {
      expected: slice.before.sum * scale,
      expectedTotal: before.sum * scale,
      fairShares: [fair],
      scale,
    };
  }
  if (after.n === 0 || (before.n === 0 && measure.kind === 'mean')) return undefined;
  const scale = before.n === 0 ? 0 : after.n / before.n;
  const usual = before.n === 0 ? 0 : before.sum / before.n;
  const expected = usual * slice.after.n + scale * (slice.before.sum - usual * slice.before.n);
  const expectedTotal = usual * after.n;
  const byTraffic = slice.after.n / after.n;
  const byLevel = expectedTotal > 0 ? Math.min(1, Math.max(0, expected / expectedTotal)) : byTraffic;
  return { expected, expectedTotal, fairShares: [byTraffic, byLevel], scale };
}

/** Twice the log likelihood ratio against a change that gives the slice its fair share. */
function surpriseOf(
  { name, measure, total, spread }: Dimension,
  slice: Slice,
  { expected, expectedTotal, scale }: Expectation,
  fair: number,
): number {
  const { before, after } = total;
  const inside = slice.after.sum;
  if (measure.kind === 'volume') {
    // Both windows are samples: whether the slice's share of them differs.
    const dispersion = after.sum > 0 ? after.sumSq / after.sum : before.sumSq / before.sum;
    // Few before say little of what was usual; but a value that was never seen and is now nearly all there is does.
    const unseen = slice.before.sum === 0 && name === 'error_message' ? assumedBefore : 0;
    const surprise = sharesDiffer(slice.before.sum, before.sum + unseen, inside, after.sum);
    return surprise / dispersion / spread;
  }
  const change = after.sum - expectedTotal;
  const surprise =
    measure.kind === 'mean'
      ? gaussianSurprise(total, inside - expected - change * fair, fair, slice.after.n)
      : term(inside, expected + change * fair) +
        term(after.sum - inside, expectedTotal - expected + change * (1 - fair));
  // The baseline is a sample too: the shorter it is, the less a difference from it says.
  return surprise / (1 + scale) / spread;
}

/** The same for two shares of two totals. */
function sharesDiffer(a: number, allA: number, b: number, allB: number): number {
  const together = (a + b) / (allA + allB);
  return (
    term(a, allA * together) +
    term(allA - a, allA * (1 - together)) +
    term(b, allB * together) +
    term(allB - b, allB * (1 - together))
  );
}

/** Expectations near zero are held at a tenth of an event: the sums behind them are estimates. */
function term(count: number, expected: number): number {
  const held = Math.max(expected, 0.1);
  return 2 * ((count <= 0 ? 0 : count * Math.log(count / held)) - count + held);
}

/** The same for sums of values with the baseline's variance. */
function gaussianSurprise(
  { before, after }: Dimension['total'],
  surplus: number,
  fair: number,
  insideCount: number,
): number {
  const variance = varianceOf(before);
  const outsideCount = Math.max(0, after.n - insideCount);
  return surplus ** 2 / (variance * (insideCount * (1 - fair) ** 2 + outsideCount * fair ** 2 + 1));
}

function varianceOf({ n, sum, sumSq }: Sums): number {
  const mean = sum / n;
  return Math.max(sumSq / n - mean * mean, mean * mean * 1e-6, 1e-12);
}
