/**
 * The load generator, a process of its own: every connection keeps one request in flight (closed loop), or,
 * with a pace, requests leave at fixed times and their latency counts from the time they were due, so that
 * a stalled server cannot hide its stall.
 */
import { type BenchEvent, type EventPool, makeEvents } from '../events.ts';
import { monotonicMs, sleep } from './clock.ts';
import { type Answer, HttpConnection, type Judge } from './http-connection.ts';
import { Latencies, type LatencySummary } from './latencies.ts';
import { STAMP_PLACEHOLDER, stampOffsets, writeStamp } from './stamp.ts';
import { serveTask, type TaskSide } from './task.ts';

export interface HttpLoad {
  port: number;
  path: string;
  connections: number;
  /** Events in one request; null posts the bare event object. */
  batchSize: number | null;
  events: EventPool;
  warmUpMs: number;
  measureMs: number;
  /** Requests a second over all connections; null goes as fast as the answers come. */
  requestsPerSecond: number | null;
  /** Each event carries the time of its sending. */
  stamped: boolean;
}

export interface HttpLoadResult extends LatencySummary {
  seconds: number;
  /** Acknowledged events a second in the measured window. */
  eventsPerSecond: number;
  /** Answers that were not the expected 200, in the window and outside of it. */
  failures: number;
  firstFailure: string | null;
  /** Events acknowledged over the whole run, warm-up included. */
  acknowledged: number;
  /** Time of the first request, edges of the window and time of the last answer, monotonic ms. */
  startedAtMs: number;
  openedAtMs: number;
  closedAtMs: number;
  endedAtMs: number;
}

/** A run of this many answers ends early; at 8 bytes each the buffer stays small. */
const MAX_ANSWERS = 2_000_000;
const DRAIN_LIMIT_MS = 10_000;

serveTask<HttpLoad, HttpLoadResult>(async (load, side) => new Run(load, side).result());

class Run {
  readonly #load: HttpLoad;
  readonly #side: TaskSide;
  readonly #requests: Buffer[];
  readonly #stamps: number[][];
  readonly #latencies: Latencies;
  readonly #idle: HttpConnection[] = [];
  #next = 0;
  #inFlight = 0;
  #phase: 'warm-up' | 'measure' | 'drain' = 'warm-up';
  #acknowledged = 0;
  #startedAtMs = 0;
  #endedAtMs = 0;
  #failures = 0;
  #firstFailure: string | null = null;
  #drained: (() => void) | null = null;

  constructor(load: HttpLoad, side: TaskSide) {
    this.#load = load;
    this.#side = side;
    this.#requests = makeRequests(load);
    this.#stamps = this.#requests.map((request) => (load.stamped ? stampOffsets(request) : []));
    this.#latencies = new Latencies(MAX_ANSWERS);
  }

  async result(): Promise<HttpLoadResult> {
    const load = this.#load;
    const judge = load.batchSize === null ? judgeSingle : judgeBatch(load.batchSize);
    const lost = (reason: string) => {
      this.#fail(reason);
      this.#inFlight--;
    };
    const connections = await Promise.all(
      Array.from({ length: load.connections }, () =>
        HttpConnection.open(load.port, judge, this.#onAnswer, lost),
      ),
    );
    const stopPace = this.#start(connections);
    await sleep(load.warmUpMs);
    this.#phase = 'measure';
    this.#side.window('open');
    const openedAtMs = monotonicMs();
    await sleep(load.measureMs);
    const closedAtMs = monotonicMs();
    const seconds = (closedAtMs - openedAtMs) / 1000;
    this.#side.window('close');
    this.#phase = 'drain';
    stopPace();
    await this.#drain();
    for (const connection of connections) connection.close();
    const summary = this.#latencies.summary();
    return {
      ...summary,
      seconds,
      eventsPerSecond: (summary.count * (load.batchSize ?? 1)) / seconds,
      failures: this.#failures,
      firstFailure: this.#firstFailure,
      acknowledged: this.#acknowledged,
      startedAtMs: this.#startedAtMs,
      openedAtMs,
      closedAtMs,
      endedAtMs: this.#endedAtMs,
    };
  }

  #start(connections: HttpConnection[]): () => void {
    const { requestsPerSecond } = this.#load;
    const now = monotonicMs();
    this.#startedAtMs = now;
    if (requestsPerSecond === null) {
      for (const connection of connections) this.#send(connection, now);
      return () => {};
    }
    this.#idle.push(...connections);
    let sent = 0;
    // A millisecond's worth at a time; what finds no idle connection stays due and is late.
    const timer = setInterval(() => {
      const elapsed = monotonicMs() - now;
      const due = Math.floor((elapsed / 1000) * requestsPerSecond);
      while (sent < due && this.#idle.length > 0) {
        // In turn: a connection that never says a word is told 408 by the server.
        this.#send(this.#idle.shift()!, now + (sent * 1000) / requestsPerSecond);
        sent++;
      }
    }, 1);
    return () => clearInterval(timer);
  }

  #send(connection: HttpConnection, atMs: number): void {
    connection.sentAtMs = atMs;
    const request = this.#requests[this.#next]!;
    if (this.#load.stamped) writeStamp(request, this.#stamps[this.#next]!, atMs);
    connection.send(request);
    this.#next = this.#next + 1 === this.#requests.length ? 0 : this.#next + 1;
    this.#inFlight++;
  }

  readonly #onAnswer = (connection: HttpConnection, answer: Answer): void => {
    const now = monotonicMs();
    this.#endedAtMs = now;
    this.#inFlight--;
    if (answer.ok) this.#acknowledged += this.#load.batchSize ?? 1;
    else this.#fail(answer.text);
    if (this.#phase === 'drain') {
      if (this.#inFlight === 0) this.#drained?.();
      return;
    }
    if (this.#phase === 'measure' && answer.ok && !this.#latencies.record(now - connection.sentAtMs)) {
      throw new Error(`more than ${MAX_ANSWERS} answers in one window: shorten it`);
    }
    if (this.#load.requestsPerSecond === null) this.#send(connection, now);
    else this.#idle.push(connection);
  };

  #fail(reason: string): void {
    this.#failures++;
    this.#firstFailure ??= reason;
  }

  /** What is in flight at the end must still be answered: an unanswered request is a failure. */
  async #drain(): Promise<void> {
    if (this.#inFlight <= 0) return;
    const answered = new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    await Promise.race([answered, sleep(DRAIN_LIMIT_MS)]);
    if (this.#inFlight > 0)
      this.#fail(`${this.#inFlight} requests had no answer ${DRAIN_LIMIT_MS} ms after the end`);
  }
}

function makeRequests(load: HttpLoad): Buffer[] {
  const events = makeEvents(load.events);
  if (load.stamped) for (const event of events) event.session_id = STAMP_PLACEHOLDER;
  const bodies: (BenchEvent | BenchEvent[])[] =
    load.batchSize === null ? events : chunk(events, load.batchSize);
  return bodies.map((body) => {
    const bytes = Buffer.from(JSON.stringify(body));
    const head =
      `POST ${load.path} HTTP/1.1\r\nHost: 127.0.0.1:${load.port}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), bytes]);
  });
}

const judgeSingle: Judge = (status, body) => status === 200 && body.includes('logged');

const judgeBatch =
  (size: number): Judge =>
  (status, body) =>
    status === 200 && (JSON.parse(body) as { accepted?: number }).accepted === size;

function chunk<T>(values: T[], size: number): T[][] {
  return Array.from({ length: Math.floor(values.length / size) }, (_, index) =>
    values.slice(index * size, (index + 1) * size),
  );
}
