/** A wait is cut into so many pieces: of a standstill of our own, at most one of them counts. */
const pieces = 5;

/**
 * Calls once, when this process has waited for so long and run meanwhile. One that stood still, as its machine was suspended
 * or had no time for it, was kept waiting by nobody: what it waits for may lie in its sockets, and timers go first.
 *
 * @returns calls it off
 */
export function afterWaiting(milliseconds: number, call: () => void): () => void {
  let left = pieces;
  const next = () => {
    if (left === 0) return call();
    left -= 1;
    timer = setTimeout(next, milliseconds / pieces);
  };
  let timer: NodeJS.Timeout | undefined;
  next();
  return () => clearTimeout(timer);
}
