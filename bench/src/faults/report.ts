import type { FaultRecord } from './nemesis.ts';
import type { RunReport } from './run.ts';

export interface Summary {
  readonly lines: readonly string[];
  /** What breaks a promise; empty when all is well. */
  readonly broken: readonly string[];
}

/** Adds runs up and says what they found. */
export function summarize(runs: readonly RunReport[]): Summary {
  const sum = (of: (run: RunReport) => number) => runs.reduce((total, run) => total + of(run), 0);
  const faults = runs.flatMap((run) => run.faults);
  const kills = faults.filter(({ isKill }) => isKill);
  const inTransaction = kills.filter((kill) => kill.inTransaction).length;
  const lost = sum(({ storage }) => storage.lost);
  const doubled = sum(({ storage }) => storage.doubled);
  const torn = runs.flatMap(({ storage }) => storage.torn);
  const mismatches = sum(({ storage }) => storage.summaryMismatches);
  const missing = runs.flatMap(({ delivery }) => delivery.missing);
  const twice = runs.flatMap(({ delivery }) => delivery.doubled);
  const unexpected = runs.flatMap((run) => run.unexpected);
  const share = kills.length === 0 ? 0 : Math.round((100 * inTransaction) / kills.length);
  const lines = [
    `events sent            ${sum((run) => run.sent)}`,
    `events acknowledged    ${sum((run) => run.acknowledged)}`,
    `rows stored            ${sum(({ storage }) => storage.rows)}`,
    `lost                   ${lost}`,
    `doubled                ${doubled}`,
    `summaries that differ  ${mismatches}`,
    `answers                ${sum(({ outcomes }) => outcomes.acknowledged)} acknowledged (${sum(({ outcomes }) => outcomes.duplicate)} as repeats), ${sum(({ outcomes }) => outcomes.later)} 503, ${sum(({ outcomes }) => outcomes.unknown)} none, ${unexpected.length} unexpected`,
    `delivered              ${sum(({ delivery }) => delivery.received)} in ${sum(({ delivery }) => delivery.periods)} connections, ${missing.length} missing, ${twice.length} twice, ${sum(({ delivery }) => delivery.gaps)} gaps told`,
    `kills                  ${kills.length}, ${inTransaction} (${share} %) with a transaction in flight`,
    ...byKind(faults),
    `took                   ${Math.round(sum((run) => run.durationMs) / 1000)} s`,
  ];
  const broken = [
    ...(lost > 0 ? [`${lost} acknowledged events are lost`] : []),
    ...(doubled > 0 ? [`${doubled} rows are stored twice`] : []),
    ...torn.map((what) => `torn: ${what}`),
    ...(mismatches > 0 ? [`${mismatches} summaries differ from their rows`] : []),
    ...(missing.length > 0
      ? [`${missing.length} rows were not delivered, such as ${missing.slice(0, 5).join(', ')}`]
      : []),
    ...(twice.length > 0
      ? [`${twice.length} rows were delivered twice, such as ${twice.slice(0, 5).join(', ')}`]
      : []),
    ...(unexpected.length > 0
      ? [`${unexpected.length} unexpected answers, such as ${unexpected.slice(0, 3).join(' | ')}`]
      : []),
  ];
  return { lines, broken };
}

function byKind(faults: readonly FaultRecord[]): string[] {
  const kinds = [...new Set(faults.map(({ fault }) => fault))];
  return kinds.map((kind) => {
    const those = faults.filter(({ fault }) => fault === kind);
    const recoveries = those.map(({ recoveryMs }) => recoveryMs).sort((a, b) => a - b);
    const inFlight =
      those.reduce((total, { requestsInFlight }) => total + requestsInFlight, 0) / those.length;
    const peak = Math.max(...those.map(({ peakBytes }) => peakBytes)) / 2 ** 20;
    return `  ${kind}: ${those.length}, ${inFlight.toFixed(0)} requests in flight, recovery ${recoveries[recoveries.length >>> 1]} ms (longest ${recoveries.at(-1)}), memory of the server at most ${peak.toFixed(0)} MB`;
  });
}
