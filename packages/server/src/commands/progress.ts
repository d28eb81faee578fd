import type { SingleBar } from 'cli-progress';

/** A progress bar on stderr; without a terminal a line now and then. */
export async function progressBar(what: string, unit: string): Promise<SingleBar> {
  const { SingleBar } = (await import('cli-progress')).default;
  return new SingleBar({
    format: `${what} {bar} {percentage}% | {value}/{total} ${unit} | {eta_formatted} left`,
    stream: process.stderr,
    noTTYOutput: true,
    notTTYSchedule: 5_000,
  });
}
