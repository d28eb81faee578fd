/**
 * The product's own page, as far as time goes: subscribed to `metrics_pulse`, it shows an event once the counts
 * of its rows include it. Events leave at a fixed pace, so the n-th event's time of sending is known.
 */
import type { MetricsCount } from '../side/metrics.ts';
import { monotonicMs, sleep } from './clock.ts';
import { Latencies, type LatencySummary } from './latencies.ts';
import { RealtimeSocket } from './realtime-socket.ts';
import { serveTask } from './task.ts';

export interface PulseWatch {
  port: number;
  settleLimitMs: number;
}

export type PulseTold =
  /** What was counted before the load began. */
  | { kind: 'baseline'; rows: MetricsCount[] }
  | {
      kind: 'ended';
      events: number;
      startedAtMs: number;
      eventsPerSecond: number;
      openedAtMs: number;
      closedAtMs: number;
    };

export interface PulseWatchResult extends LatencySummary {
  messages: number;
  /** Events that the counts never included. */
  lost: number;
}

serveTask<PulseWatch, PulseWatchResult>(async (spec, task) => {
  /** The counts of each row; what was there before the load (the first messages tell it too) is no news. */
  const counts = new Map<string, number>();
  /** How many of the load's events the page showed, and since when. */
  const shown: { events: number; atMs: number }[] = [];
  let events = 0;
  let messages = 0;
  const subscription = { port: spec.port, channel: 'pulse', table: 'metrics_pulse', event: '*' };
  const socket = await RealtimeSocket.join(subscription, (bytes, from, to) => {
    const row = pulseRow(bytes.toString('utf8', from, to));
    if (row === undefined) return;
    messages++;
    const key = keyOf(row);
    const before = counts.get(key) ?? 0;
    counts.set(key, row.request_count);
    events += row.request_count - before;
    shown.push({ events, atMs: monotonicMs() });
  });
  const ended = new Promise<PulseTold & { kind: 'ended' }>((resolve) => {
    task.onTold((message) => {
      const told = message as PulseTold;
      if (told.kind === 'ended') resolve(told);
      else {
        for (const row of told.rows) counts.set(keyOf(row), row.request_count);
        events = 0;
        shown.length = 0;
      }
    });
  });
  task.ready();
  const load = await ended;
  const endMs = monotonicMs() + spec.settleLimitMs;
  while (events < load.events && monotonicMs() < endMs) await sleep(10);
  socket.close();
  const latencies = new Latencies(load.events);
  let next = 0;
  for (const { events: until, atMs } of shown) {
    for (; next < Math.min(until, load.events); next++) {
      const sentAtMs = load.startedAtMs + (next * 1_000) / load.eventsPerSecond;
      if (sentAtMs >= load.openedAtMs && sentAtMs <= load.closedAtMs) latencies.record(atMs - sentAtMs);
    }
  }
  return { ...latencies.summary(), messages, lost: load.events - next };
});

function pulseRow(frame: string): MetricsCount | undefined {
  const [, , , event, payload] = JSON.parse(frame) as [
    null,
    null,
    string,
    string,
    { data?: { record?: MetricsCount } },
  ];
  return event === 'postgres_changes' ? payload.data?.record : undefined;
}

function keyOf(row: MetricsCount): string {
  return `${Date.parse(row.minute)} ${row.model_version}`;
}
