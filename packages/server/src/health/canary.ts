import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { hashKey } from '../access/keys.ts';
import type { RealtimeHub } from '../deliver/realtime/hub.ts';
import { advance, judge, type Progress, type Run, type Stage, type Verdict } from './canaryRun.ts';
import { CanarySocket } from './canarySocket.ts';

/** A transaction and a frame every five seconds cost nothing that can be measured. */
export const defaultCanaryIntervalMs = 5_000;
/** Longer than the writer lets anybody wait. */
const answerTimeoutMs = 10_000;

export interface CanaryOptions {
  readonly hub: Pick<RealtimeHub, 'send'>;
  readonly log: Logger;
  /**
   * Sends the event of this id to our own server like any client.
   *
   * @param url `http://host:port`
   * @returns resolves when it is committed
   */
  readonly post: (url: string, key: string, id: string, timeoutMs: number) => Promise<void>;
  readonly onArrival: (seconds: number) => void;
  /** Time between two runs and, with it, the time that one has. */
  readonly intervalMs: number;
  /** Calls once after so many milliseconds; what it returns calls that off. The system's clock where it is left out. */
  readonly after?: (milliseconds: number, call: () => void) => () => void;
}

export interface CanaryReport {
  readonly status: 'starting' | 'ok' | 'failed';
  /** Since the last one that arrived was sent: as old as what a dashboard shows is at most. */
  readonly age_seconds: number | null;
  /** Of the last one that arrived, from before its transaction to the socket. */
  readonly latency_ms: number | null;
  readonly broken_stage: Stage | null;
}

/**
 * Sends a synthetic event the whole way every few seconds: an HTTP request to our own door, the writer's transaction with
 * whatever else it holds, the feed, the hub, a real WebSocket. It leaves a row in the feed and nothing that users see, and
 * goes to a topic that nobody can guess.
 */
export class Canary {
  readonly #options: CanaryOptions;
  readonly #key = randomBytes(24).toString('base64url');
  readonly #keyHash = hashKey(this.#key);
  readonly #topic = `realtime:canary-${randomBytes(24).toString('base64url')}`;
  #socket: CanarySocket | undefined;
  #callOff: (() => void) | undefined;
  #stopped = false;
  #run: Run | undefined;
  #verdict: Verdict = { status: 'starting', brokenStage: null };
  #arrived: { readonly startedAtMs: number; readonly latencyMs: number } | undefined;
  #url = '';
  /** While the database stands still one request waits, not one more each time. */
  #posting: Promise<void> | undefined;
  /** Whose request that is, and whether the door has taken it. */
  #posted: { readonly id: string; taken: boolean } | undefined;

  constructor(options: CanaryOptions) {
    this.#options = options;
  }

  /** @param url `http://host:port` of our own server */
  start(url: string): void {
    this.#url = url;
    this.#socket = new CanarySocket({
      url: url.replace('http', 'ws'),
      key: this.#key,
      topic: this.#topic,
      // One that was sent before cannot arrive.
      onJoined: () => this.#begin(),
      onMessage: (id) => this.#reached(id, 'received'),
    });
    this.#begin();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#callOff?.();
    this.#socket?.close();
    await this.#posting;
  }

  /** Opens the canary's door and WebSocket of this very process and nothing else. */
  isOwnKey(key: string | undefined): boolean {
    return key !== undefined && hashKey(key) === this.#keyHash;
  }

  get sockets(): number {
    return this.#socket?.isOpen === true ? 1 : 0;
  }

  /** The door has understood it. */
  taken(id: string): void {
    if (this.#posted?.id === id) this.#posted.taken = true;
    this.#reached(id, 'taken');
  }

  /** The feed has met a canary's row: ours, or another server's. */
  followed(id: unknown): void {
    if (typeof id !== 'string' || this.#run?.id !== id) return;
    this.#reached(id, 'followed');
    this.#options.hub.send(this.#topic, 'canary', { id });
  }

  report(): CanaryReport {
    const arrived = this.#arrived;
    return {
      status: this.#verdict.status,
      age_seconds: arrived === undefined ? null : Math.round(performance.now() - arrived.startedAtMs) / 1000,
      latency_ms: arrived === undefined ? null : Math.round(arrived.latencyMs * 10) / 10,
      broken_stage: this.#verdict.brokenStage,
    };
  }

  #begin(): void {
    if (this.#stopped) return;
    const { intervalMs, after = afterByTheClock } = this.#options;
    this.#callOff?.();
    this.#callOff = after(intervalMs, () => this.#timeIsUp());
    this.#socket?.keep();
    // Behind a request that waits for the writer, this one waits for the writer too.
    const progress = this.#posting !== undefined && this.#posted?.taken === true ? 'taken' : 'sent';
    this.#run = { id: randomUUID(), startedAtMs: performance.now(), progress };
    this.#posting ??= this.#postCurrent().finally(() => {
      this.#posting = undefined;
    });
  }

  #timeIsUp(): void {
    this.#conclude(judge(this.#run!));
    this.#begin();
  }

  async #postCurrent(): Promise<void> {
    let posted: string | undefined;
    // Another run may have begun while the database stood still.
    while (this.#run !== undefined && this.#run.id !== posted && !this.#stopped) {
      posted = this.#run.id;
      this.#posted = { id: posted, taken: false };
      await this.#post(posted);
    }
  }

  async #post(id: string): Promise<void> {
    try {
      await this.#options.post(this.#url, this.#key, id, answerTimeoutMs);
      this.#reached(id, 'stored');
    } catch (error) {
      // The verdict says it, once, when the time is up.
      this.#options.log.debug({ err: error }, 'the canary was not stored');
    }
  }

  #reached(id: string, progress: Progress): void {
    if (this.#run?.id !== id) return;
    this.#run = advance(this.#run, progress);
    if (progress !== 'received') return;
    const { startedAtMs } = this.#run;
    const latencyMs = performance.now() - startedAtMs;
    this.#arrived = { startedAtMs, latencyMs };
    this.#options.onArrival(latencyMs / 1000);
    // Good news does not wait until the time is up.
    if (this.#verdict.status !== 'ok') this.#conclude(judge(this.#run));
  }

  #conclude(verdict: Verdict): void {
    const before = this.#verdict;
    this.#verdict = verdict;
    if (verdict.brokenStage !== null && verdict.brokenStage !== before.brokenStage) {
      this.#options.log.warn(
        { stage: verdict.brokenStage },
        `the canary did not arrive: the stage ${verdict.brokenStage} does not work`,
      );
    } else if (verdict.status === 'ok' && before.status === 'failed') {
      this.#options.log.info('the canary arrives again');
    }
  }
}

function afterByTheClock(milliseconds: number, call: () => void): () => void {
  const timer = setTimeout(call, milliseconds).unref();
  return () => clearTimeout(timer);
}
