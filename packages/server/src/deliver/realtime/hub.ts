/**
 * The Realtime door at `/realtime/v1/websocket`: supabase-js clients subscribe to table changes, the
 * feed publishes them here. The protocol is Phoenix channels as supabase-js 2.109.0 speaks it.
 *
 * Reading order: upgrade → connection (socket) → wire (frames) → channels → channel (state machine) →
 * join → subscription → filter; and for what is published: fanout → audience → encode → segment → outbox.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Catalog, Relation } from '../catalog.ts';
import type { Scope } from '../published.ts';
import { Audience, type Registration } from './audience.ts';
import type { Change } from './change.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { FanOut, type Receiver } from './fanout.ts';
import { type JoinRequest, prepareJoin } from './join.ts';
import { DEFAULT_LIMITS, type RealtimeLimits } from './limits.ts';
import { Backlog } from './outbox.ts';
import { SegmentBuilder } from './segment.ts';
import { type Accept, acceptUpgrades, type Refusal } from './upgrade.ts';
import { type Broadcast, encodeBroadcast, type Vsn } from './wire.ts';

export type { Change } from './change.ts';

export interface RealtimeHub {
  /** In commit order. Never throws and never waits for a socket. */
  publish(changes: readonly Change[]): void;
  /** Every subscriber of the table gets a visible `system` error naming the number missed (null: unknown). */
  publishGap(table: string, missed: number | null, reason: string): void;
  /** Channels with a subscription to the table, over all sockets. */
  subscriberCount(table: string): number;
  onSubscriptionsChanged(listener: (table: string, count: number) => void): void;
  /** A broadcast from the server itself to whoever has joined the topic, behind everything published before. */
  send(topic: string, event: string, payload: object): void;
  /** Keys were revoked: sockets that hold one are closed at once instead of at the next look. */
  recheckKeys(): void;
  /** queuedBytes: what is held in memory for slow clients; bytes that several wait for count once. */
  stats(): { sockets: number; channels: number; queuedBytes: number; droppedMessages: number };
  /** Closes every socket with 1012 (the clients reconnect by themselves); bounded in time. */
  close(): Promise<void>;
}

export interface RealtimeDeps {
  readonly catalog: Pick<Catalog, 'relation' | 'refresh'>;
  /** undefined: the key opens nothing; asked again for each join and every few seconds. */
  scopeOf(apikey: string | undefined, request: IncomingMessage): Scope | undefined;
  readableColumns(scope: Scope, relation: Relation): readonly string[] | undefined;
  originAllowed(request: IncomingMessage): boolean;
  readonly limits?: Partial<RealtimeLimits>;
  /** Resolves when everything committed before the call has been published; a join waits for it. */
  settle?(): Promise<void>;
  /** What went wrong inside without a caller to tell; by default a process warning. */
  onError?(error: Error): void;
}

export function registerRealtime(server: Server, deps: RealtimeDeps): RealtimeHub {
  return new Hub(server, deps);
}

class Hub implements RealtimeHub {
  readonly #deps: RealtimeDeps;
  readonly #limits: RealtimeLimits;
  readonly #connections = new Set<Connection>();
  readonly #members = new Map<string, Set<Connection>>();
  readonly #audience: Audience<Receiver>;
  readonly #fanOut: FanOut;
  readonly #backlog = new Backlog();
  readonly #listeners: ((table: string, count: number) => void)[] = [];
  readonly #sweep: NodeJS.Timeout;
  readonly #stopAccepting: () => void;
  #droppedOfClosed = 0;
  #closing: Promise<void> | undefined;
  #onLastClosed: (() => void) | undefined;

  constructor(server: Server, deps: RealtimeDeps) {
    this.#deps = deps;
    this.#limits = { ...DEFAULT_LIMITS, ...deps.limits };
    this.#audience = new Audience((table, count) => this.#countChanged(table, count));
    this.#fanOut = new FanOut({
      audience: this.#audience,
      maxPendingChanges: this.#limits.maxPendingChanges,
      afterSlice: () => this.#boundBacklog(),
      onError: (error) => this.#onError(error),
    });
    this.#stopAccepting = acceptUpgrades(server, {
      maxPayloadBytes:
        Math.max(this.#limits.maxBroadcastBytes, this.#limits.maxMessageBytes) + FRAME_OVERHEAD,
      check: (key, request) => this.#check(key, request),
      accept: (accepted) => this.#accept(accepted),
      onError: (error) => this.#onError(error),
    });
    const { idleMs, pingMs } = this.#limits;
    this.#sweep = setInterval(() => this.#sweepConnections(), Math.min(idleMs, pingMs) / 4).unref();
  }

  publish(changes: readonly Change[]): void {
    if (this.#closing === undefined) this.#fanOut.publish(changes);
  }

  publishGap(table: string, missed: number | null, reason: string): void {
    if (this.#closing === undefined) this.#fanOut.publishGap({ table, missed, reason });
  }

  subscriberCount(table: string): number {
    return this.#audience.channelCount(table);
  }

  onSubscriptionsChanged(listener: (table: string, count: number) => void): void {
    this.#listeners.push(listener);
  }

  send(topic: string, event: string, payload: object): void {
    const broadcast: Broadcast = { event, encoding: 'json', json: JSON.stringify(payload) };
    this.#fanOut
      .drained()
      .then(() => this.#broadcast(undefined, topic, broadcast, true))
      .catch((cause: unknown) => this.#onError(new Error('a message could not be sent', { cause })));
  }

  recheckKeys(): void {
    for (const connection of this.#connections) connection.closeIfRevoked();
  }

  stats(): ReturnType<RealtimeHub['stats']> {
    let channels = 0;
    let droppedMessages = this.#droppedOfClosed;
    for (const connection of this.#connections) {
      channels += connection.channelCount;
      droppedMessages += connection.outbox.dropped;
    }
    return {
      sockets: this.#connections.size,
      channels,
      queuedBytes: this.#backlog.bytes,
      droppedMessages,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    clearInterval(this.#sweep);
    // What was published before is sent before; what a slow client has not taken by then is not waited for.
    this.#fanOut.flush();
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onLastClosed = resolve;
        for (const connection of this.#connections) connection.close(1012, 'service restart');
      });
    }
    this.#stopAccepting();
    this.#fanOut.stop();
  }

  #check(key: string | undefined, request: IncomingMessage): Refusal | undefined {
    if (this.#closing !== undefined) return { status: 503, error: 'the server is restarting' };
    if (!this.#deps.originAllowed(request)) return { status: 403, error: 'this origin is not allowed' };
    if (this.#deps.scopeOf(key, request) === undefined) {
      const problem = key === undefined ? 'no API key (?apikey=… or header apikey)' : 'invalid API key';
      return { status: 401, error: problem };
    }
    if (this.#connections.size >= this.#limits.maxSockets) {
      return { status: 503, error: 'ConnectionRateLimitReached: Too many connected users' };
    }
    return undefined;
  }

  #accept({ webSocket, tcp, vsn, key, request }: Accept): void {
    const host: ConnectionHost = {
      limits: this.#limits,
      backlog: this.#backlog,
      now: () => performance.now(),
      scopeOf: (candidate) => this.#deps.scopeOf(candidate, request),
      prepareJoin: (join) => this.#prepareJoin(join),
      settle: () => this.#settle(),
      register: (connection, channel) => this.#register(connection, channel),
      unregister: (connection, channel) => this.#unregister(connection, channel),
      broadcast: (from, topic, broadcast, toSelf) => this.#broadcast(from, topic, broadcast, toSelf),
      closed: (connection) => this.#closed(connection),
      onError: (error) => this.#onError(error),
    };
    this.#connections.add(new Connection({ webSocket, tcp, vsn, key }, host));
  }

  #settle(): Promise<void> | undefined {
    return this.#deps
      .settle?.()
      .catch((error: Error) => {
        // A feed that cannot catch up keeps nobody out: the join goes on, and may be given earlier rows as well.
        this.#onError(error);
      })
      .then(() => this.#fanOut.drained());
  }

  #prepareJoin(join: JoinRequest): ReturnType<typeof prepareJoin> {
    const prepared = prepareJoin(join, this.#deps, this.#limits.maxBindingsPerChannel);
    // The client tries again by itself: a table or column that appeared meanwhile is found then.
    if ('refused' in prepared) this.#deps.catalog.refresh().catch((error: Error) => this.#onError(error));
    return prepared;
  }

  #register(connection: Connection, channel: Registration): void {
    const members = this.#members.get(channel.topic) ?? new Set();
    members.add(connection);
    this.#members.set(channel.topic, members);
    this.#audience.add(connection, channel);
  }

  #unregister(connection: Connection, channel: Registration): void {
    const members = this.#members.get(channel.topic);
    members?.delete(connection);
    if (members?.size === 0) this.#members.delete(channel.topic);
    this.#audience.remove(connection, channel);
  }

  #broadcast(from: Connection | undefined, topic: string, broadcast: Broadcast, toSelf: boolean): void {
    const segments = { '1.0.0': segment('1.0.0'), '2.0.0': segment('2.0.0') };
    for (const member of this.#members.get(topic) ?? []) {
      if (member !== from || toSelf) member.deliver(segments[member.vsn]);
    }
    this.#boundBacklog();

    function segment(vsn: Vsn): ReturnType<SegmentBuilder['finish']> {
      const frame = encodeBroadcast(vsn, topic, broadcast);
      const builder = new SegmentBuilder();
      if (frame !== undefined) builder.add(topic, frame);
      return builder.finish();
    }
  }

  #closed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#droppedOfClosed += connection.outbox.dropped;
    if (this.#connections.size === 0) this.#onLastClosed?.();
  }

  #sweepConnections(): void {
    const now = performance.now();
    for (const connection of this.#connections) connection.sweep(now);
  }

  /** All slow clients together hold no more than their bound: the oldest segment of all goes first. */
  #boundBacklog(): void {
    while (this.#backlog.bytes > this.#limits.maxTotalQueuedBytes) {
      let oldest = Number.POSITIVE_INFINITY;
      for (const { outbox } of this.#connections)
        oldest = Math.min(oldest, outbox.oldest?.sequence ?? oldest);
      for (const { outbox } of this.#connections) {
        if (outbox.oldest?.sequence === oldest) outbox.dropOldest();
      }
    }
  }

  #countChanged(table: string, count: number): void {
    for (const listener of this.#listeners) {
      try {
        listener(table, count);
      } catch (cause) {
        this.#onError(new Error('a subscription listener failed', { cause }));
      }
    }
  }

  #onError(error: Error): void {
    if (this.#deps.onError) this.#deps.onError(error);
    else process.emitWarning(error);
  }
}

/** A broadcast's frame is its payload, its topic and its event. */
const FRAME_OVERHEAD = 1024;
