import type { SingleBar } from 'cli-progress';

/** Of bytes, for a bar that counts them. */
export function wholeMegabytes(bytes: number): number {
  return Math.ceil(bytes / 1e6);
}

/** A progress bar on stderr; without a terminal a line now and then. */
export async function progressBar(what: string, unit: string): Promise<SingleBar> {
  const { Format, SingleBar } = (await import('cli-progress')).default;
  return new SingleBar({
    // Where nothing moves there is no telling, for which it has words that it cuts.
    formatTime: (seconds, ...how) => (Number.isFinite(seconds) ? Format.TimeFormat(seconds, ...how) : '?'),
    format: `${what} {bar} {percentage}% | {value}/{total} ${unit} | {eta_formatted} left`,
    stream: process.stderr,
    noTTYOutput: true,
    notTTYSchedule: 5_000,
  });
}
