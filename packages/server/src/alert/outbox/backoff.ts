/** A channel that is back is noticed within this. */
const longestMs = 60_000;
const firstMs = 1_000;

/** How long to wait after the nth attempt in a row that failed. */
export type Backoff = (attempts: number) => number;

/**
 * Exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): many
 * deliveries that failed together do not come back together.
 */
export const fullJitter: Backoff = (attempts) =>
  Math.round(Math.random() * Math.min(longestMs, firstMs * 2 ** Math.min(attempts - 1, 20)));
