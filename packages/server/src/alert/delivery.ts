import type pg from 'pg';
import type { Logger } from 'pino';
import { type Channel, DeliveryError } from './channels/channel.ts';
import { AddressGuard } from './channels/http/addressGuard.ts';
import { realServices, type ServiceUrls } from './channels/make.ts';
import { ChannelRegistry } from './channels/registry.ts';
import type { ChannelSpec } from './channels/spec.ts';
import { testMessage } from './message/test.ts';
import { DeliveryWorker, type SendResult, type WorkerTimings, workerTimings } from './outbox/worker.ts';

interface DeliveryOptions {
  readonly pool: pg.Pool;
  readonly log: Logger;
  /** Of the environment and of the configuration file, in this order. */
  readonly channels: readonly ChannelSpec[];
  /** Hosts and CIDRs that may be reached although they are private. */
  readonly allow: readonly string[];
  readonly publicUrl: () => string;
  readonly services?: ServiceUrls | undefined;
  readonly timings?: WorkerTimings | undefined;
}

interface ChannelReport {
  readonly name: string;
  readonly kind: string;
  readonly enabled: boolean;
  readonly source: Channel['source'];
  readonly state: 'working' | 'failing' | 'untried';
  /** Messages that were tried and have not arrived. */
  readonly waiting: number;
  readonly sent: number;
  /** Attempts. */
  readonly failed: number;
  readonly refused: number;
  /** Messages that were given up for their age. */
  readonly expired: number;
  readonly last_delivered_at: string | null;
  readonly last_error: string | null;
  readonly last_error_at: string | null;
}

export interface ChannelSummary {
  readonly working: number;
  readonly failing: number;
  readonly untried: number;
  /** Messages that were tried and have not arrived. */
  readonly waiting: number;
}

/** Delivery of alerts: the channels there are, the worker that tells them, and how they fare. */
export class AlertDelivery {
  readonly #pool: pg.Pool;
  readonly #registry: ChannelRegistry;
  readonly #worker: DeliveryWorker;
  readonly #publicUrl: () => string;
  readonly #counts = new Map<string, { kind: string; result: SendResult; messages: number }>();

  /** @throws Error naming the entry of `allow` that is no host and no CIDR */
  constructor(options: DeliveryOptions) {
    const { pool, log, channels, allow, publicUrl, services = realServices, timings } = options;
    this.#pool = pool;
    this.#publicUrl = publicUrl;
    this.#registry = new ChannelRegistry(pool, channels, new AddressGuard(allow), services);
    this.#worker = new DeliveryWorker({
      pool,
      registry: this.#registry,
      log,
      publicUrl,
      onResult: ({ kind }, result) => this.#count(kind, result),
      ...(timings === undefined ? {} : { timings }),
    });
  }

  start(): void {
    this.#worker.start();
  }

  /** Something is to be delivered, perhaps. */
  wake(): void {
    this.#worker.wake();
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  /** Messages of this process by kind of channel and result, for the metrics. */
  counts(): readonly { readonly kind: string; readonly result: SendResult; readonly messages: number }[] {
    return [...this.#counts.values()];
  }

  /** How each channel fares, over all servers. No secret is in it. */
  async report(): Promise<ChannelReport[]> {
    const known = await this.#registry.read();
    const { rows } = await this.#pool.query<StateRow>(
      `select s.channel, s.sent::double precision, s.failed::double precision, s.refused::double precision,
         s.expired::double precision, s.consecutive_failures, s.last_delivered_at, s.last_error, s.last_error_at,
         (select count(*)::integer from nowcast.alert_deliveries d
          where d.channel = s.channel and not d.done and d.owes is not null) as waiting
       from nowcast.alert_channel_states s`,
    );
    const states = new Map(rows.map((row) => [row.channel, row]));
    return known.map(({ name, kind, source, enabled, broken }): ChannelReport => {
      const state = broken === undefined ? states.get(name) : undefined;
      const failing = broken !== undefined || (state?.consecutive_failures ?? 0) > 0;
      const tried = state !== undefined && (state.sent > 0 || failing);
      return {
        name,
        kind,
        enabled,
        source,
        state: failing ? 'failing' : tried ? 'working' : 'untried',
        waiting: state?.waiting ?? 0,
        sent: state?.sent ?? 0,
        failed: state?.failed ?? 0,
        refused: state?.refused ?? 0,
        expired: state?.expired ?? 0,
        last_delivered_at: state?.last_delivered_at?.toISOString() ?? null,
        last_error: broken ?? state?.last_error ?? null,
        last_error_at: state?.last_error_at?.toISOString() ?? null,
      };
    });
  }

  /** How many channels work and fail, without their names: for `/health`, which anybody may ask. */
  async summary(): Promise<ChannelSummary> {
    const reports = (await this.report()).filter(({ enabled }) => enabled);
    const count = (state: ChannelReport['state']) =>
      reports.filter((report) => report.state === state).length;
    return {
      working: count('working'),
      failing: count('failing'),
      untried: count('untried'),
      waiting: reports.reduce((sum, { waiting }) => sum + waiting, 0),
    };
  }

  /** Sends a test at once. @returns undefined when there is no such channel */
  async test(name: string): Promise<{ delivered: boolean; error?: string } | undefined> {
    const known = (await this.#registry.read()).find((channel) => channel.name === name);
    if (known === undefined) return undefined;
    const { broken, channel } = known;
    if (channel === undefined) return { delivered: false, error: broken ?? 'it is not set up' };
    const now = new Date();
    const message = testMessage(name, now, this.#publicUrl());
    let problem: string | undefined;
    try {
      await channel.send(message, {
        idempotencyKey: message.key,
        reference: null,
        maybeDelivered: false,
        signal: AbortSignal.timeout(workerTimings.sendTimeoutMs),
      });
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      problem = error.message;
    }
    const result = problem === undefined ? 'sent' : 'failed';
    this.#count(channel.kind, result);
    await this.#pool.query('select nowcast.channel_tested($1, $2)', [name, problem ?? null]);
    this.wake();
    return problem === undefined ? { delivered: true } : { delivered: false, error: problem };
  }

  #count(kind: string, result: SendResult): void {
    const key = `${kind} ${result}`;
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { kind, result, messages: 1 });
    else known.messages += 1;
  }
}

interface StateRow {
  readonly channel: string;
  readonly sent: number;
  readonly failed: number;
  readonly refused: number;
  readonly expired: number;
  readonly consecutive_failures: number;
  readonly last_delivered_at: Date | null;
  readonly last_error: string | null;
  readonly last_error_at: Date | null;
  readonly waiting: number;
}
