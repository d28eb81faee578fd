import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { readSettings } from '../settings.ts';
import { assertReachable } from './replay/sender.ts';
import { Instrumented } from './simulate/instrumented.ts';
import { parseDurationMs, parseIncident, parsePositive, parseSeed } from './simulate/options.ts';
import { makeRandom } from './simulate/random.ts';
import { type IncidentKind, traffic } from './simulate/traffic.ts';

interface SimulateOptions {
  readonly rate: string;
  readonly duration?: string;
  readonly history?: string;
  readonly incident?: string[];
  readonly seed?: string;
  readonly url?: string;
  readonly key?: string;
}

/** How often it looks whose time has come: short against a second. */
const tickMs = 50;
/** It waits when the server is busy; beyond this a laptop makes no more either. */
const maxRatePerSecond = 50_000;
const collect = (value: string, before: string[] = []) => [...before, value];

export function addSimulateCommand(program: Command): void {
  program
    .command('simulate')
    .description(
      'send lifelike traffic to a running Nowcast by its client: several models, features and users',
    )
    .option('--rate <events>', 'events a second, averaged over a week of days and nights', '20')
    .option('--duration <time>', 'stop after 90s, 10m, 2h or 1d (default: at Ctrl+C)')
    .option('--history <time>', 'first send what would have come in the time before, such as 1d')
    .option(
      '--incident <kind>',
      'errors, latency, drop or new-version; errors@2m+5m begins after two minutes and lasts five',
      collect,
    )
    .option('--seed <number>', 'draw the same traffic again')
    .option('--url <url>', 'the Nowcast to send to (default: this machine, PORT)')
    .option('--key <key>', 'an ingest key (default: NOWCAST_INGEST_KEY)')
    .addHelpText(
      'after',
      `
Incidents: errors: 30 % of the calls of gpt-4o-2024-08-06 fail. latency: they take five times as long. drop: traffic
falls to 5 %. new-version: ocr-v1.5 takes over 30 % of ocr-v1.4, slower, with more errors and less confidence.

Example:
  nowcast simulate --history 1d --rate 50 --incident errors@1m+3m`,
    )
    .action(simulate);
}

async function simulate(options: SimulateOptions): Promise<void> {
  const settings = readSettings(process.env);
  const ratePerSecond = parsePositive('--rate', options.rate, maxRatePerSecond);
  const historyMs = options.history === undefined ? 0 : parseDurationMs('--history', options.history);
  const durationMs =
    options.duration === undefined
      ? Number.POSITIVE_INFINITY
      : parseDurationMs('--duration', options.duration);
  const incidents = (options.incident ?? []).map(parseIncident);
  const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : parseSeed(options.seed);
  const url = options.url ?? `http://127.0.0.1:${settings.port}`;
  await assertReachable(url);
  const application = await Instrumented.create(url, options.key ?? settings.ingestKey);
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const progress = await startProgress(application);
  const startMs = Date.now() - historyMs;
  // Incidents and the duration begin when the history has caught up with now.
  let liveSinceMs = historyMs === 0 ? startMs : Number.POSITIVE_INFINITY;
  const incidentsAt = (atMs: number) =>
    incidents
      .filter(({ afterMs, lastingMs }) => {
        const sinceMs = atMs - liveSinceMs - afterMs;
        return sinceMs >= 0 && sinceMs < lastingMs;
      })
      .map(({ kind }) => kind);
  try {
    for (const event of traffic({ random: makeRandom(seed), ratePerSecond, startMs, incidentsAt })) {
      const dueMs = Date.parse(event.timestamp);
      if (dueMs > Date.now()) liveSinceMs = Math.min(liveSinceMs, Date.now());
      if (stopping.signal.aborted || dueMs - liveSinceMs >= durationMs) break;
      while (dueMs > Date.now() && !stopping.signal.aborted) {
        application.assertDelivered();
        progress.live(Date.now() - liveSinceMs, durationMs, incidentsAt(Date.now()));
        await pause(Math.max(1, Math.min(tickMs, dueMs - Date.now())), stopping.signal);
      }
      if (!Number.isFinite(liveSinceMs)) progress.history(dueMs - startMs, Date.now() - startMs);
      await application.track(event);
    }
    await application.drain();
  } finally {
    progress.stop();
    await application.close();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
  const { sent, dropped } = application.stats;
  const { rejected = 0 } = dropped;
  console.log(`${sent} events stored, ${rejected} rejected. The same again: --seed ${seed}`);
  if (application.trouble !== undefined) console.log(`First trouble: ${application.trouble}`);
  if (rejected > 0) process.exitCode = 1;
}

/** Ends early at a signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface Progress {
  history(doneMs: number, totalMs: number): void;
  live(doneMs: number, totalMs: number, incidents: readonly IncidentKind[]): void;
  stop(): void;
}

async function startProgress(application: Instrumented): Promise<Progress> {
  const { SingleBar } = (await import('cli-progress')).default;
  const bar = new SingleBar({
    format: 'Simulating {bar} {phase} | {events} events | {rejected} rejected',
    // Without a terminal a line now and then is progress enough.
    noTTYOutput: true,
    notTTYSchedule: 5_000,
  });
  const told = (phase: string) => {
    const { sent, dropped } = application.stats;
    return { phase, events: sent, rejected: dropped.rejected ?? 0 };
  };
  bar.start(1, 0, told('starting'));
  const show = (share: number, phase: string) => bar.update(Math.min(share, 1), told(phase));
  let last = { share: 0, phase: 'starting' };
  return {
    history(doneMs, totalMs) {
      last = { share: doneMs / totalMs, phase: 'history' };
      show(last.share, last.phase);
    },
    live(doneMs, totalMs, incidents) {
      const phase = incidents.length > 0 ? `incident: ${incidents.join(', ')}` : 'all well';
      last = { share: Number.isFinite(totalMs) ? doneMs / totalMs : 1, phase };
      show(last.share, last.phase);
    },
    stop() {
      show(last.share, last.phase);
      bar.stop();
    },
  };
}
