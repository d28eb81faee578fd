/**
 * Open dashboards, as many as asked for, in one process: counts every message, and takes the time from the
 * POST to the message from the stamp that an event carries.
 */
import { monotonicMs, sleep } from './clock.ts';
import { Latencies, type LatencySummary } from './latencies.ts';
import { RealtimeSocket } from './realtime-socket.ts';
import { readStamp } from './stamp.ts';
import { serveTask } from './task.ts';

export interface Subscribers {
  port: number;
  sockets: number;
  /** How long to wait, after the load has ended, for messages that are still to come. */
  settleLimitMs: number;
}

/** Told when the load has ended. */
export interface Expected {
  /** Events that each socket should have received. */
  events: number;
  /** Monotonic time of the window: only events sent inside of it are timed. */
  openedAtMs: number;
  closedAtMs: number;
}

export interface SubscribersResult extends LatencySummary {
  /** Messages over all sockets. */
  messages: number;
  /** Of the window alone, all sockets together. */
  messagesPerSecond: number;
  /** Messages that should have come and did not. */
  lost: number;
  /** What the server said about it, if it did. */
  notice: string | null;
}

/** Opening them all at once would be a test of the listen queue. */
const JOINS_AT_ONCE = 50;
/** One socket is timed: the others get the same bytes, and timing each would make this process the bottleneck. */
const MAX_TIMED = 1_000_000;

/** What every message of a row has, and no control frame. */
const CHANGE = Buffer.from('"postgres_changes"');
const SAMPLE_MS = 100;

serveTask<Subscribers, SubscribersResult>(async (spec, task) => {
  const inbox = new Inbox();
  const sockets: RealtimeSocket[] = [];
  while (sockets.length < spec.sockets) {
    const more = Math.min(JOINS_AT_ONCE, spec.sockets - sockets.length);
    const subscription = { port: spec.port, channel: 'bench', table: 'inference_logs' };
    const joins = Array.from({ length: more }, (_, index) =>
      RealtimeSocket.join(subscription, sockets.length + index === 0 ? inbox.time : inbox.count),
    );
    sockets.push(...(await Promise.all(joins)));
  }
  const told = new Promise<Expected>((resolve) => task.onTold((message) => resolve(message as Expected)));
  inbox.startSampling();
  task.ready();
  const expected = await told;
  const all = expected.events * spec.sockets;
  const endMs = monotonicMs() + spec.settleLimitMs;
  while (inbox.messages < all && monotonicMs() < endMs) await sleep(10);
  inbox.stopSampling();
  for (const socket of sockets) socket.close();
  return {
    ...inbox.during(expected),
    messages: inbox.messages,
    lost: Math.max(0, all - inbox.messages),
    notice: inbox.notice,
  };
});

class Inbox {
  messages = 0;
  /** The first control message, such as the server's word that it left something out. */
  notice: string | null = null;
  readonly #sentAtMs = new Float64Array(MAX_TIMED);
  readonly #tookMs = new Float64Array(MAX_TIMED);
  #timed = 0;
  /** Messages so far at each sample: the window's edges are known only afterwards. */
  readonly #samples: { atMs: number; messages: number }[] = [];
  #sampler: NodeJS.Timeout | undefined;

  readonly count = (bytes: Buffer, from: number, to: number): boolean => {
    const at = bytes.indexOf(CHANGE, from);
    const isChange = at >= 0 && at < to;
    if (isChange) this.messages++;
    else this.#control(bytes.toString('utf8', from, to));
    return isChange;
  };

  readonly time = (bytes: Buffer, from: number, to: number): void => {
    if (!this.count(bytes, from, to)) return;
    const stamp = readStamp(bytes, from, to);
    if (Number.isNaN(stamp) || this.#timed === MAX_TIMED) return;
    this.#sentAtMs[this.#timed] = stamp;
    this.#tookMs[this.#timed++] = monotonicMs() - stamp;
  };

  #control(text: string): void {
    if (text.includes('"system"') && !text.includes('"status":"ok"')) this.notice ??= text.slice(0, 300);
  }

  startSampling(): void {
    this.#sample();
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  stopSampling(): void {
    clearInterval(this.#sampler);
    this.#sample();
  }

  #sample(): void {
    this.#samples.push({ atMs: monotonicMs(), messages: this.messages });
  }

  during({ openedAtMs, closedAtMs }: Expected): LatencySummary & { messagesPerSecond: number } {
    const latencies = new Latencies(this.#timed);
    for (let index = 0; index < this.#timed; index++) {
      const sent = this.#sentAtMs[index]!;
      if (sent >= openedAtMs && sent <= closedAtMs) latencies.record(this.#tookMs[index]!);
    }
    // The samples around the window: a process that is busy with messages takes few of them.
    const first = this.#samples.findLast(({ atMs }) => atMs <= openedAtMs) ?? this.#samples[0]!;
    const last = this.#samples.find(({ atMs }) => atMs >= closedAtMs) ?? this.#samples.at(-1)!;
    const messagesPerSecond = ((last.messages - first.messages) * 1_000) / (last.atMs - first.atMs);
    return { ...latencies.summary(), messagesPerSecond };
  }
}
