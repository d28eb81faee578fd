/**
 * One client's socket: the edge between bytes and the pure parts (wire, channel, outbox).
 *
 * Control frames are written at once. Data waits in the outbox while the socket has more than its high
 * water mark unsent, so that a heartbeat's answer never stands behind megabytes of rows.
 */
import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import type { Scope } from '../published.ts';
import type { Registration } from './audience.ts';
import { Channels } from './channels.ts';
import { overflowFrame } from './encode.ts';
import type { JoinRequest, Prepared } from './join.ts';
import type { RealtimeLimits } from './limits.ts';
import { type Backlog, Outbox } from './outbox.ts';
import type { Segment } from './segment.ts';
import { TEXT, webSocketFrame } from './websocket-frame.ts';
import {
  type Broadcast,
  decodeBinary,
  decodeText,
  encodeText,
  type Inbound,
  type Outbound,
  type Vsn,
} from './wire.ts';

/** What a connection asks of the hub. */
export interface ConnectionHost {
  readonly limits: RealtimeLimits;
  readonly backlog: Backlog;
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /** undefined: the key is not (or no longer) valid. */
  scopeOf(key: string | undefined): Scope | undefined;
  prepareJoin(join: JoinRequest): Prepared;
  /** Resolves when everything committed so far has been published; undefined where nothing needs to be waited for. */
  settle(): Promise<void> | undefined;
  register(connection: Connection, channel: Registration): void;
  unregister(connection: Connection, channel: Registration): void;
  broadcast(from: Connection, topic: string, broadcast: Broadcast, toSelf: boolean): void;
  closed(connection: Connection): void;
  onError(error: Error): void;
}

/** A peer that sends but does not read its answers is read no further until it does. */
const MAX_UNSENT_CONTROL_BYTES = 256 * 1024;

interface Held {
  readonly message: Inbound;
  readonly bytes: number;
}

export class Connection {
  readonly vsn: Vsn;
  readonly outbox: Outbox;
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #channels: Channels;
  #lastMessageAt: number;
  #lastPingAt: number;
  #awaitsPong = false;
  /** Messages in their order behind a join that waits to be settled; undefined while none does. */
  #held: Held[] | undefined;

  constructor(
    client: {
      readonly webSocket: WebSocket;
      readonly tcp: Socket;
      readonly vsn: Vsn;
      readonly key: string | undefined;
    },
    host: ConnectionHost,
  ) {
    this.vsn = client.vsn;
    this.outbox = new Outbox(host.limits.maxQueuedBytes, host.backlog);
    this.#webSocket = client.webSocket;
    this.#socket = client.tcp;
    this.#host = host;
    this.#lastMessageAt = host.now();
    this.#lastPingAt = this.#lastMessageAt;
    this.#channels = new Channels({
      vsn: client.vsn,
      key: client.key,
      limits: host.limits,
      scopeOf: (key) => host.scopeOf(key),
      prepareJoin: (join) => host.prepareJoin(join),
      send: (message) => this.#sendControl(message),
      register: (channel) => host.register(this, channel),
      unregister: (channel) => host.unregister(this, channel),
      broadcast: (topic, broadcast, toSelf) => host.broadcast(this, topic, broadcast, toSelf),
      forget: (topic) => this.outbox.forget(topic),
    });
    this.#webSocket.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    this.#webSocket.on('pong', () => {
      this.#awaitsPong = false;
    });
    // ws answers protocol errors with the right close code itself; 'close' follows.
    this.#webSocket.on('error', () => {});
    this.#webSocket.on('close', () => this.#onClose());
    this.#socket.on('drain', () => this.#onDrain());
  }

  get channelCount(): number {
    return this.#channels.count;
  }

  /** Data in order; what the socket cannot take now waits in the outbox. */
  deliver(segments: readonly Segment[]): void {
    if (!this.#isOpen) return;
    for (const segment of segments) {
      if (this.outbox.isEmpty && this.#mayWrite) this.#socket.write(segment.bytes);
      else this.outbox.push(segment);
    }
    if (!this.outbox.isEmpty) this.#pump();
  }

  /** Called every few seconds: closes what is dead, idle, or connected with a key that was revoked. */
  sweep(now: number): void {
    const { idleMs, pingMs } = this.#host.limits;
    if (!this.#isOpen) return;
    const pingDue = now - this.#lastPingAt >= pingMs;
    if (pingDue && this.#awaitsPong) {
      this.#webSocket.terminate();
    } else if (now - this.#lastMessageAt >= idleMs) {
      this.close(1000, 'idle');
    } else if (!this.closeIfRevoked() && pingDue) {
      this.#lastPingAt = now;
      this.#awaitsPong = true;
      this.#webSocket.ping();
    }
  }

  /** @returns whether it was */
  closeIfRevoked(): boolean {
    const revoked = this.#channels.keys().some((key) => this.#host.scopeOf(key) === undefined);
    if (revoked && this.#isOpen) this.close(1008, 'key revoked');
    return revoked;
  }

  close(code: number, reason: string): void {
    this.#webSocket.close(code, reason);
    // The peer that does not answer the close frame is not waited for.
    setTimeout(() => this.#webSocket.terminate(), this.#host.limits.closeMs).unref();
  }

  get #isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }

  /**
   * Compared with the high water mark, because only a write that reaches it is followed by 'drain'.
   * A write that the kernel takes at once leaves writableLength at 0.
   */
  get #mayWrite(): boolean {
    return this.#socket.writableLength < this.#socket.writableHighWaterMark;
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    this.#lastMessageAt = this.#host.now();
    // Any message shows that the peer lives, also when its pong is stuck behind data it has not read.
    this.#awaitsPong = false;
    try {
      const bytes = data as Buffer;
      const message = isBinary ? decodeBinary(bytes) : decodeText(this.vsn, bytes.toString());
      if (message !== undefined) this.#receive({ message, bytes: bytes.length });
    } catch (cause) {
      this.#fail(cause);
    }
  }

  /**
   * A subscription begins at its join: what was committed before it is published to the others first, and reaches
   * this one by its first reading. Messages behind the join wait for it, since their order matters.
   */
  #receive(held: Held): void {
    if (this.#held !== undefined) {
      this.#held.push(held);
      return;
    }
    const settled = held.message.event === 'phx_join' ? this.#host.settle() : undefined;
    if (settled === undefined) {
      this.#channels.receive(held.message, held.bytes);
      return;
    }
    this.#held = [];
    this.#webSocket.pause();
    settled
      .then(() => {
        const behind = this.#held!;
        this.#held = undefined;
        if (this.#isOpen) this.#channels.receive(held.message, held.bytes);
        for (const next of behind) if (this.#isOpen) this.#receive(next);
        if (this.#held === undefined && this.#webSocket.isPaused) this.#webSocket.resume();
      })
      .catch((cause: unknown) => this.#fail(cause));
  }

  #fail(cause: unknown): void {
    this.#host.onError(new Error('a realtime message could not be handled', { cause }));
    this.close(1011, 'internal error');
  }

  #sendControl(message: Outbound): void {
    if (!this.#isOpen) return;
    this.#socket.write(webSocketFrame(TEXT, [Buffer.from(encodeText(this.vsn, message))]));
    if (this.#socket.writableLength > MAX_UNSENT_CONTROL_BYTES) this.#webSocket.pause();
  }

  #onDrain(): void {
    // Not while a join is being settled: what is read then has to be held in memory.
    if (this.#held === undefined && this.#webSocket.isPaused) this.#webSocket.resume();
    this.#pump();
  }

  #pump(): void {
    while (this.#isOpen && this.#mayWrite && !this.outbox.isEmpty) {
      // A gap lies before the oldest message that is left: told there, it stands in its place in time.
      for (const [topic, missed] of this.outbox.takeMissed()) {
        this.#socket.write(overflowFrame(this.vsn, topic, missed));
      }
      const segment = this.outbox.shift();
      if (segment !== undefined) this.#socket.write(segment.bytes);
    }
  }

  #onClose(): void {
    this.#channels.disconnect();
    this.outbox.clear();
    this.#host.closed(this);
  }
}
