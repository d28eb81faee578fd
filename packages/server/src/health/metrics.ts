import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { RealtimeHub } from '../deliver/realtime/hub.ts';
import type { Fate } from './ledger.ts';

/** Seconds; a commit takes milliseconds on a good disk, and half a second is where people notice. */
const commitBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const groupBuckets = [1, 10, 50, 100, 500, 1_000, 5_000, 10_000];

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
  readonly #commitSeconds: Histogram;
  readonly #groupEvents: Histogram;

  constructor() {
    collectDefaultMetrics({ register: this.#registry, prefix: 'nowcast_' });
    this.#commitSeconds = new Histogram({
      name: 'nowcast_commit_seconds',
      help: 'Time from the start of a transaction to its commit.',
      buckets: commitBuckets,
      registers: [this.#registry],
    });
    this.#groupEvents = new Histogram({
      name: 'nowcast_transaction_events',
      help: 'Events of one transaction.',
      buckets: groupBuckets,
      registers: [this.#registry],
    });
    this.#counter(
      'nowcast_events_total',
      'Events received, by what became of them.',
      Object.keys(this.#events) as Fate[],
      (fate) => this.#events[fate],
    );
  }

  count(fate: Fate, events: number): void {
    this.#events[fate] += events;
  }

  committed(seconds: number, events: number): void {
    this.#events.stored += events;
    this.#commitSeconds.observe(seconds);
    this.#groupEvents.observe(events);
  }

  /** Figures that other parts keep themselves. */
  watch(parts: {
    readonly pendingBytes: () => number;
    readonly feedLagSeconds: () => number;
    readonly hub: Pick<RealtimeHub, 'stats'>;
  }): void {
    this.#gauge('nowcast_pending_bytes', 'Events waiting for the database or in flight.', parts.pendingBytes);
    this.#gauge(
      'nowcast_feed_lag_seconds',
      'How long a commit has been waiting to be delivered.',
      parts.feedLagSeconds,
    );
    this.#gauge('nowcast_realtime_sockets', 'Open WebSockets.', () => parts.hub.stats().sockets);
    this.#gauge('nowcast_realtime_channels', 'Joined channels.', () => parts.hub.stats().channels);
    this.#gauge(
      'nowcast_realtime_queued_bytes',
      'Held for slow clients.',
      () => parts.hub.stats().queuedBytes,
    );
    this.#counter(
      'nowcast_realtime_dropped_messages_total',
      'Messages that slow clients missed, and were told so.',
      ['slow_client'],
      () => parts.hub.stats().droppedMessages,
    );
  }

  /** `GET /metrics` in Prometheus' text format. */
  register(app: FastifyInstance): void {
    app.get('/metrics', async (_request, reply) =>
      reply.type(this.#registry.contentType).send(await this.#registry.metrics()),
    );
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
    labels: readonly Label[],
    read: (label: Label) => number,
  ) {
    new Counter({
      name,
      help,
      labelNames: ['reason'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const label of labels) this.inc({ reason: label }, read(label));
      },
    });
  }
}
