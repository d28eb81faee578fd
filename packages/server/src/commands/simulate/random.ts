/** Draws of one seed: the same seed gives the same traffic. */
export interface Random {
  /** From 0 up to 1. */
  uniform(): number;
  /** Around a median, long to the right: latencies, token counts. */
  logNormal(median: number, sigma: number): number;
  /** Until the next of events that come `perMs` in a millisecond. */
  waitMs(perMs: number): number;
  /** One of these by their weights. */
  pick<T extends { readonly weight: number }>(choices: readonly T[]): T;
  hex(digits: number): string;
}

export function makeRandom(seed: number): Random {
  let state = seed >>> 0;
  // mulberry32: 32 bits of state, good enough for traffic.
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  /** Box-Muller; the logarithm of 0 is kept out. */
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return {
    uniform,
    logNormal: (median, sigma) => median * Math.exp(sigma * normal()),
    waitMs: (perMs) => -Math.log(1 - uniform()) / perMs,
    pick(choices) {
      let rest = uniform() * choices.reduce((sum, { weight }) => sum + weight, 0);
      for (const choice of choices) {
        rest -= choice.weight;
        if (rest < 0) return choice;
      }
      return choices.at(-1)!;
    },
    hex: (digits) => Array.from({ length: digits }, () => Math.floor(uniform() * 16).toString(16)).join(''),
  };
}
