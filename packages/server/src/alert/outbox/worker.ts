import type pg from 'pg';
import type { Logger } from 'pino';
import { type Channel, DeliveryError } from '../channels/channel.ts';
import type { ChannelRegistry } from '../channels/registry.ts';
import { type Backoff, fullJitter } from './backoff.ts';
import { claim, type Delivery, giveUp, readOpenNews, recordDelivered, recordFailure } from './deliveries.ts';
import { type Next, next } from './next.ts';
import { defaultPace, type Pace } from './plan.ts';

export interface WorkerTimings {
  readonly pace: Pace;
  readonly backoff: Backoff;
  /** Looks by itself at least this often: silences end by the clock, and a lost connection brings no wake-up. */
  readonly lookIntervalMs: number;
  /** A storm of wake-ups is one look. */
  readonly gatherMs: number;
  /** A message that takes longer has failed. */
  readonly sendTimeoutMs: number;
  /** A server that ends in the middle of a message leaves it alone for this long. */
  readonly leaseMs: number;
  /** Instead of each service's own. */
  readonly gapMs?: number;
}

export const workerTimings: WorkerTimings = {
  pace: defaultPace,
  backoff: fullJitter,
  lookIntervalMs: 5_000,
  gatherMs: 50,
  sendTimeoutMs: 15_000,
  leaseMs: 25_000,
};

export type SendResult = 'sent' | 'failed' | 'refused';

export interface WorkerOptions {
  readonly pool: pg.Pool;
  readonly registry: ChannelRegistry;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  readonly publicUrl: () => string;
  readonly onResult: (channel: Channel, result: SendResult) => void;
  readonly timings?: WorkerTimings;
}

type Due = { readonly delivery: Delivery; readonly send: Extract<Next, { do: 'send' }> };

/**
 * Tells the channels what they have to be told. It keeps nothing in memory that must not be lost: each look decides anew
 * from the database, so it does not matter which server looks, or when it was started. Channels go side by side, each
 * with one message at a time.
 */
export class DeliveryWorker {
  readonly #options: WorkerOptions;
  readonly #timings: WorkerTimings;
  readonly #busy = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #started = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#timings = options.timings ?? workerTimings;
  }

  start(): void {
    this.#started = true;
    this.wake();
  }

  /** Lets messages under way arrive. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#looking;
    await Promise.all(this.#busy.values());
  }

  /** Something happened. */
  wake(): void {
    this.#lookIn(this.#timings.gatherMs);
  }

  #lookIn(delayMs: number): void {
    if (!this.#started || this.#stopping.signal.aborted) return;
    if (this.#looking !== undefined) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
        const again = this.#again;
        this.#again = false;
        if (again) this.wake();
      });
    }, delayMs);
  }

  async #look(): Promise<void> {
    let waitMs = this.#timings.lookIntervalMs;
    try {
      waitMs = await this.#dispatch();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'looking for news to deliver failed; it is tried again');
    }
    clearTimeout(this.#timer);
    if (this.#stopping.signal.aborted) return;
    this.#timer = setTimeout(() => this.wake(), Math.max(0, waitMs - this.#timings.gatherMs));
  }

  /** @returns after how many milliseconds to look again */
  async #dispatch(): Promise<number> {
    const { pool, registry, publicUrl } = this.#options;
    const { lookIntervalMs, pace } = this.#timings;
    const channels = (await registry.read()).flatMap(({ channel, enabled }) =>
      channel !== undefined && enabled ? [channel] : [],
    );
    if (channels.length === 0) return lookIntervalMs;
    const { nowMs, deliveries, incidents, pausedUntilMs } = await readOpenNews(pool, channels);
    let lookAtMs = nowMs + lookIntervalMs;
    for (const channel of channels) {
      if (this.#busy.has(channel.name)) continue;
      const pausedMs = pausedUntilMs.get(channel.name) ?? 0;
      const due: Due[] = [];
      for (const delivery of deliveries) {
        if (delivery.channel !== channel.name) continue;
        const incident = delivery.incidentId === null ? undefined : incidents.get(delivery.incidentId);
        const decided = next(delivery, { incident, channel, publicUrl: publicUrl(), pace, nowMs });
        if (decided.do === 'give up') await giveUp(pool, delivery, decided.expired);
        else if (decided.do === 'send') due.push({ delivery, send: decided });
        else if (decided.untilMs !== undefined) lookAtMs = Math.min(lookAtMs, decided.untilMs);
      }
      if (due.length === 0) continue;
      if (pausedMs > nowMs) lookAtMs = Math.min(lookAtMs, pausedMs);
      else this.#run(channel, due);
    }
    return Math.max(0, lookAtMs - nowMs);
  }

  #run(channel: Channel, due: readonly Due[]): void {
    const running = this.#sendAll(channel, due)
      .catch((error: unknown) =>
        this.#options.log.warn(
          { err: error, channel: channel.name },
          'delivering alerts failed; it is tried again',
        ),
      )
      .finally(() => {
        this.#busy.delete(channel.name);
        this.wake();
      });
    this.#busy.set(channel.name, running);
  }

  async #sendAll(channel: Channel, due: readonly Due[]): Promise<void> {
    const gapMs = this.#timings.gapMs ?? channel.gapMs;
    for (const [index, { delivery, send }] of due.entries()) {
      if (index > 0 && gapMs > 0) await this.#rest(gapMs);
      if (this.#stopping.signal.aborted) return;
      // What comes after was decided before this took its time: the next look decides anew.
      if ((await this.#send(channel, delivery, send)) !== 'sent' || index >= 20) return;
    }
  }

  /** @returns 'sent' too when another server had it */
  async #send(
    channel: Channel,
    delivery: Delivery,
    { step, compose, outcome }: Due['send'],
  ): Promise<SendResult> {
    const { pool, log, onResult } = this.#options;
    const { backoff, leaseMs, sendTimeoutMs } = this.#timings;
    const claimed = await claim(pool, delivery, step, leaseMs);
    if (claimed === undefined) return 'sent';
    const message = compose();
    try {
      const { reference } = await channel.send(message, {
        idempotencyKey: `${message.key}-${step}-${delivery.notifiedAtMs ?? 0}${step === 'update' ? `-${outcome.hash}` : ''}`,
        reference: delivery.reference,
        maybeDelivered: claimed.maybeDelivered,
        signal: AbortSignal.timeout(sendTimeoutMs),
      });
      const late = message.late !== '';
      if (!(await recordDelivered(pool, delivery, claimed, { ...outcome, reference, late }))) {
        log.warn(
          { channel: channel.name, step },
          'a message took longer than its lease and may be sent again',
        );
      }
      onResult(channel, 'sent');
      return 'sent';
    } catch (thrown) {
      const error = this.#failureOf(thrown, channel);
      const retryInMs = Math.max(backoff(claimed.attempts), error.retryAfterMs ?? 0);
      await recordFailure(pool, delivery, claimed, error, {
        retryInMs,
        // A refusal says something of this message, a failure of the channel.
        pauseMs: error.retry ? retryInMs : 0,
        refusedBy: error.retry ? null : channel.fingerprint,
      });
      // Each attempt at a channel that is away would fill the log.
      if (claimed.attempts === 1 || !error.retry) {
        log.warn({ channel: channel.name, step, problem: error.message }, 'a channel did not take a message');
      }
      onResult(channel, error.retry ? 'failed' : 'refused');
      return error.retry ? 'failed' : 'refused';
    }
  }

  /** What we did not think of must not take the channel's other messages with it. */
  #failureOf(thrown: unknown, { name }: Channel): DeliveryError {
    if (thrown instanceof DeliveryError) return thrown;
    this.#options.log.warn({ err: thrown, channel: name }, 'sending an alert failed for a reason of our own');
    return new DeliveryError('failed for a reason of Nowcast itself; its log has it', {
      retry: true,
      maybeDelivered: true,
    });
  }

  async #rest(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#stopping.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
