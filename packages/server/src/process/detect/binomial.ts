/** -log10 of the chance of so many (`isUp`) or so few bad ones among all; counts may be fractions. At most 300. */
export function binomialSurprise(bad: number, total: number, share: number, isUp: boolean): number {
  const [count, chance] = isUp ? [bad, share] : [total - bad, 1 - share];
  if (count <= 0 || chance >= 1) return 0;
  if (chance <= 0) return 300;
  return Math.min(300, Math.max(0, -logBeta(chance, count, total - count + 1) / Math.LN10));
}

/**
 * The same where the share itself wavers from window to window, as errors that come in clusters do: `wavering` is the
 * squared coefficient of variation of the share. Its distribution is taken for a gamma, which makes that of the counts
 * a negative binomial; 0 is the binomial distribution.
 */
export function clusteredSurprise(
  bad: number,
  total: number,
  share: number,
  wavering: number,
  isUp: boolean,
): number {
  const byChance = binomialSurprise(bad, total, share, isUp);
  const expected = total * share;
  if (byChance === 0 || wavering < leastWavering || !(expected > 0)) return byChance;
  const shape = 1 / wavering;
  const log = isUp
    ? logBeta(expected / (expected + shape), bad, shape)
    : logBeta(shape / (expected + shape), shape, bad + 1);
  return Math.min(byChance, Math.max(0, -log / Math.LN10));
}

/** How much the shares of equal windows waver beyond chance, by moments. Sums of these two; their ratio is the wavering. */
export function waveringOf(bad: number, total: number, share: number): { excess: number; square: number } {
  const expected = total * share;
  return { excess: (bad - expected) ** 2 - expected * (1 - share), square: expected * expected };
}

/** Below, nothing wavers, and the series would only converge slowly. */
const leastWavering = 1e-4;

/** Logarithm of the regularised incomplete beta function, by Lentz's continued fraction (DLMF 8.17.22). */
function logBeta(x: number, a: number, b: number): number {
  const front = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x);
  if (x < (a + 1) / (a + b + 2)) return front + Math.log(fraction(x, a, b) / a);
  const other = Math.exp(front + Math.log(fraction(1 - x, b, a) / b));
  return Math.log1p(-Math.min(1 - Number.EPSILON, other));
}

function fraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  let c = 1;
  let d = 1 / avoidZero(1 - ((a + b) * x) / (a + 1), tiny);
  let product = d;
  // Converges within about sqrt(max(a, b)) steps; bounded, for a count may be a million millions.
  for (let m = 1; m <= 300; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / avoidZero(1 + even * d, tiny);
    c = avoidZero(1 + even / c, tiny);
    product *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / avoidZero(1 + odd * d, tiny);
    c = avoidZero(1 + odd / c, tiny);
    product *= d * c;
    if (Math.abs(d * c - 1) < 1e-10) break;
  }
  return Math.max(tiny, product);
}

const avoidZero = (value: number, tiny: number) => (Math.abs(value) < tiny ? tiny : value);

/** Stirling's series, shifted up to where it is exact to 1e-10. */
function logGamma(z: number): number {
  let shift = 0;
  let x = z;
  while (x < 10) {
    shift -= Math.log(x);
    x++;
  }
  const inverse = 1 / (x * x);
  return (
    shift +
    (x - 0.5) * Math.log(x) -
    x +
    0.5 * Math.log(2 * Math.PI) +
    (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / x
  );
}
