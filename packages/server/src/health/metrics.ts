import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RealtimeHub } from '../deliver/realtime/hub.ts';
import { PUBLISHED_TABLES } from '../deliver/realtime/subscription.ts';
import type { Fate } from './ledger.ts';
import { PlainHistogram, type Series } from './plainHistogram.ts';

/** Seconds; a commit takes milliseconds on a good disk, and half a second is where people notice. */
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const eventsBuckets = [1, 10, 50, 100, 500, 1_000, 5_000, 10_000];
/** Senders name the reasons of what they dropped themselves: beyond these they go to one name. */
const maxReasons = 100;

/** Figures that other parts keep themselves. */
export interface WatchedParts {
  readonly pendingBytes: () => number;
  readonly bodyBytes: () => number;
  readonly feedLagSeconds: () => number;
  readonly deliveries: () => readonly {
    readonly kind: string;
    readonly result: string;
    readonly messages: number;
  }[];
  readonly hub: Pick<RealtimeHub, 'stats' | 'subscriberCount'>;
  /** Sockets of the canary, each with one channel: nobody watches by them. */
  readonly ownSockets: () => number;
}

/**
 * The monitor's own figures. What happens per event is counted in plain numbers and handed over when somebody asks:
 * the library's labelled counters would cost the hot path more than the validation.
 */
export class SelfMetrics {
  readonly #registry = new Registry();
  readonly #events: Record<Fate, number> = {
    stored: 0,
    sampled_out: 0,
    duplicate: 0,
    rejected: 0,
    dropped: 0,
    refused: 0,
  };
  /** By fate and reason: what was not stored. */
  readonly #lost = new Map<string, { readonly fate: Fate; readonly reason: string; events: number }>();
  readonly #requestSeconds: PlainHistogram;
  readonly #commitSeconds: Series;
  readonly #transactionEvents: Series;
  readonly #endToEndSeconds: Series;
  readonly #evaluationSeconds: Series;

  constructor() {
    const registry = this.#registry;
    collectDefaultMetrics({ register: registry, prefix: 'nowcast_' });
    this.#requestSeconds = new PlainHistogram(
      registry,
      'nowcast_request_seconds',
      'Time from the headers of a request to its answer, by route and class of status.',
      secondsBuckets,
    );
    this.#commitSeconds = new PlainHistogram(
      registry,
      'nowcast_commit_seconds',
      'Time from the start of a transaction to its commit.',
      secondsBuckets,
    ).series();
    this.#transactionEvents = new PlainHistogram(
      registry,
      'nowcast_transaction_events',
      'Events of one transaction.',
      eventsBuckets,
    ).series();
    this.#endToEndSeconds = new PlainHistogram(
      registry,
      'nowcast_end_to_end_seconds',
      'Time that a synthetic event took through the database and the feed to a subscribed socket.',
      secondsBuckets,
    ).series();
    this.#evaluationSeconds = new PlainHistogram(
      registry,
      'nowcast_rule_evaluation_seconds',
      'Time of one look at all alert rules, reads and writes included.',
      secondsBuckets,
    ).series();
    this.#counter('nowcast_events_total', 'Events received, by what became of them.', ['reason'], () =>
      Object.entries(this.#events).map(([reason, value]) => ({ labels: { reason }, value })),
    );
    this.#counter('nowcast_events_not_stored_total', 'Events not stored, by why.', ['fate', 'reason'], () =>
      [...this.#lost.values()].map(({ fate, reason, events }) => ({
        labels: { fate, reason },
        value: events,
      })),
    );
  }

  count(fate: Fate, reason: string, events: number): void {
    this.#events[fate] += events;
    this.#countLost(fate, reason, events);
  }

  committed(seconds: number, events: number): void {
    this.#events.stored += events;
    this.#commitSeconds.observe(seconds);
    this.#transactionEvents.observe(events);
  }

  /** @returns counts answers of this route; to be kept, where requests are many */
  answersOf(route: string): (statusCode: number, milliseconds: number) => void {
    const classes: (Series | undefined)[] = [];
    return (statusCode, milliseconds) => {
      const hundreds = Math.trunc(statusCode / 100);
      classes[hundreds] ??= this.#requestSeconds.series({ route, status: `${hundreds}xx` });
      classes[hundreds].observe(milliseconds / 1000);
    };
  }

  endToEnd(seconds: number): void {
    this.#endToEndSeconds.observe(seconds);
  }

  evaluated(seconds: number): void {
    this.#evaluationSeconds.observe(seconds);
  }

  /** Times the requests of every route. To be called before the routes are registered. */
  observe(app: FastifyInstance): void {
    const routes = new Map<string, ReturnType<SelfMetrics['answersOf']>>();
    app.addHook('onResponse', (request, reply, done) => {
      const route = request.routeOptions.url ?? 'none';
      let answered = routes.get(route);
      if (answered === undefined) {
        answered = this.answersOf(route);
        routes.set(route, answered);
      }
      answered(reply.statusCode, reply.elapsedTime);
      done();
    });
  }

  watch({ pendingBytes, bodyBytes, feedLagSeconds, deliveries, hub, ownSockets }: WatchedParts): void {
    this.#gauge('nowcast_pending_bytes', 'Events waiting for the database or in flight.', pendingBytes);
    this.#gauge('nowcast_body_bytes', 'Requests being received, decompressed or read.', bodyBytes);
    this.#gauge(
      'nowcast_feed_lag_seconds',
      'How long a commit has been waiting to be delivered.',
      feedLagSeconds,
    );
    this.#counter(
      'nowcast_alert_messages_total',
      'Messages to channels by kind of channel: sent, failed (an attempt that is repeated), refused (for good).',
      ['kind', 'result'],
      () => deliveries().map(({ kind, result, messages }) => ({ labels: { kind, result }, value: messages })),
    );
    this.#gauge('nowcast_realtime_sockets', 'Open WebSockets.', () => hub.stats().sockets - ownSockets());
    this.#gauge('nowcast_realtime_channels', 'Joined channels.', () => hub.stats().channels - ownSockets());
    this.#gauge('nowcast_realtime_queued_bytes', 'Held for slow clients.', () => hub.stats().queuedBytes);
    new Gauge({
      name: 'nowcast_realtime_subscribers',
      help: 'Channels that follow a table.',
      labelNames: ['table'],
      registers: [this.#registry],
      collect() {
        for (const table of PUBLISHED_TABLES) this.set({ table }, hub.subscriberCount(table));
      },
    });
    this.#counter(
      'nowcast_realtime_dropped_messages_total',
      'Messages that slow clients missed, and were told so.',
      ['reason'],
      () => [{ labels: { reason: 'slow_client' }, value: hub.stats().droppedMessages }],
    );
  }

  /** `GET /metrics` in Prometheus' text format. */
  register(app: FastifyInstance): void {
    app.get('/metrics', async (_request, reply) =>
      reply.type(this.#registry.contentType).send(await this.#registry.metrics()),
    );
  }

  #countLost(fate: Fate, reason: string, events: number): void {
    const key = `${fate}\0${reason}`;
    const known = this.#lost.get(key);
    if (known !== undefined) known.events += events;
    else if (this.#lost.size < maxReasons || reason === 'other')
      this.#lost.set(key, { fate, reason, events });
    else this.#countLost(fate, 'other', events);
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  #counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    read: () => { readonly labels: Partial<Record<Label, string>>; readonly value: number }[],
  ) {
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of read()) this.inc(labels, value);
      },
    });
  }
}
