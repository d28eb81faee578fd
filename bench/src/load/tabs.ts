/**
 * Browser tabs that run the article's own component: it subscribes to INSERT on `inference_logs` and asks for
 * the whole metrics view again on every message. A browser sends at most six requests to a host at a time and
 * queues the rest, so the queue of a tab grows as long as messages come faster than answers.
 */
import { gunzipSync } from 'node:zlib';
import type { MetricsCount } from '../side/metrics.ts';
import { monotonicMs, sleep } from './clock.ts';
import { HttpConnection } from './http-connection.ts';
import { RealtimeSocket } from './realtime-socket.ts';
import { serveTask } from './task.ts';

export interface Tabs {
  port: number;
  tabs: number;
  settleLimitMs: number;
}

/** Told when the load has ended: first that it has, then what a tab must show to be right. */
export type TabsTold = { kind: 'ended'; endedAtMs: number } | { kind: 'expected'; rows: MetricsCount[] };

export interface TabsResult {
  messages: number;
  answers: number;
  failures: number;
  firstFailure: string | null;
  /** For each tab, from the last event's acknowledgement to the first right answer; null: never. */
  rightAfterMs: (number | null)[];
  /** Requests that were still queued over all tabs when the load ended. */
  queuedAtEnd: number;
}

const REQUESTS_AT_ONCE = 6;
const PATH = '/rest/v1/inference_metrics_hourly?select=*&order=minute.desc&limit=60';

serveTask<Tabs, TabsResult>(async (spec, task) => {
  let expectedRows: (rows: MetricsCount[]) => void;
  const expected = new Promise<MetricsCount[]>((resolve) => {
    expectedRows = resolve;
  });
  const tabs = await Promise.all(Array.from({ length: spec.tabs }, () => Tab.open(spec.port)));
  let endedAtMs = Number.NaN;
  let queuedAtEnd = 0;
  task.onTold((message) => {
    const told = message as TabsTold;
    if (told.kind === 'expected') expectedRows(told.rows);
    else {
      endedAtMs = told.endedAtMs;
      queuedAtEnd = tabs.reduce((sum, tab) => sum + tab.queued, 0);
      for (const tab of tabs) tab.keepAnswers();
    }
  });
  task.ready();
  const rows = await expected;
  const rightAt = () => tabs.map((tab) => tab.rightAtMs(rows));
  const endMs = monotonicMs() + spec.settleLimitMs;
  while (rightAt().includes(null) && monotonicMs() < endMs) await sleep(50);
  const rightAfterMs = rightAt().map((atMs) => atMs && Math.max(0, atMs - endedAtMs));
  for (const tab of tabs) tab.close();
  const sum = (figure: (tab: Tab) => number) => tabs.reduce((total, tab) => total + figure(tab), 0);
  return {
    messages: sum((tab) => tab.messages),
    answers: sum((tab) => tab.answers),
    failures: sum((tab) => tab.failures),
    firstFailure: tabs.find((tab) => tab.firstFailure !== null)?.firstFailure ?? null,
    rightAfterMs,
    queuedAtEnd,
  };
});

class Tab {
  messages = 0;
  answers = 0;
  failures = 0;
  firstFailure: string | null = null;
  queued = 0;
  readonly #idle: HttpConnection[] = [];
  readonly #connections: HttpConnection[] = [];
  readonly #sockets: RealtimeSocket[] = [];
  readonly #request: Buffer;
  /** Distinct answers since the load ended, and when each came: judged once it is known what is right. */
  #kept: { atMs: number; body: string }[] | null = null;
  #latest = { atMs: 0, body: '' };

  private constructor(port: number) {
    this.#request = Buffer.from(
      `GET ${PATH} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\napikey: bench\r\nAuthorization: Bearer bench\r\n` +
        'Accept: */*\r\nAccept-Encoding: gzip\r\nAccept-Profile: public\r\nX-Client-Info: nowcast-bench\r\n\r\n',
    );
  }

  static async open(port: number): Promise<Tab> {
    const tab = new Tab(port);
    const judge = (status: number, body: string) => {
      tab.#latest = { atMs: monotonicMs(), body };
      return status === 200;
    };
    for (let count = 0; count < REQUESTS_AT_ONCE; count++) {
      const connection = await HttpConnection.open(port, judge, tab.#onAnswer, (reason) => tab.#fail(reason));
      tab.#connections.push(connection);
      tab.#idle.push(connection);
    }
    const inserts = await RealtimeSocket.join(
      { port, channel: 'inference-logs', table: 'inference_logs' },
      (bytes, from, to) => {
        const at = bytes.indexOf('"postgres_changes"', from);
        if (at < 0 || at >= to) return;
        tab.messages++;
        tab.#load();
      },
    );
    tab.#sockets.push(inserts);
    tab.#load();
    return tab;
  }

  keepAnswers(): void {
    this.#kept = [];
  }

  rightAtMs(expected: MetricsCount[]): number | null {
    const right = (this.#kept ?? []).find(({ body }) => shows(body, expected));
    return right?.atMs ?? null;
  }

  close(): void {
    for (const part of [...this.#connections, ...this.#sockets]) part.close();
  }

  #load(): void {
    const connection = this.#idle.pop();
    if (connection === undefined) this.queued++;
    else connection.send(this.#request);
  }

  readonly #onAnswer = (connection: HttpConnection, answer: { ok: boolean; text: string }): void => {
    this.answers++;
    if (!answer.ok) this.#fail(answer.text);
    if (this.#kept !== null && this.#kept.at(-1)?.body !== this.#latest.body) {
      this.#kept.push({ ...this.#latest, atMs: monotonicMs() });
    }
    if (this.queued === 0) this.#idle.push(connection);
    else {
      this.queued--;
      connection.send(this.#request);
    }
  };

  #fail(reason: string): void {
    this.failures++;
    this.firstFailure ??= reason;
  }
}

function shows(body: string, expected: MetricsCount[]): boolean {
  const bytes = Buffer.from(body, 'latin1');
  const json = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes).toString() : bytes.toString();
  const rows = JSON.parse(json) as MetricsCount[];
  const counts = new Map(rows.map((row) => [keyOf(row), row.request_count]));
  return expected.every((row) => counts.get(keyOf(row)) === row.request_count);
}

function keyOf(row: MetricsCount): string {
  return `${Date.parse(row.minute)} ${row.model_version}`;
}
