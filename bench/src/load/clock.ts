/** Milliseconds of the machine's monotonic clock: the same in every process, unlike `performance.now()`. */
const [seconds, nanoseconds] = process.hrtime();
const ORIGIN_MS = seconds * 1e3 + nanoseconds / 1e6 - performance.now();

export function monotonicMs(): number {
  return ORIGIN_MS + performance.now();
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
