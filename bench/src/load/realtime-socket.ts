/**
 * A subscriber that costs little: it speaks just enough WebSocket (RFC 6455) and Supabase Realtime (vsn 2.0.0)
 * to join a channel, and then only walks over frame headers, so that a thousand of them fit beside the server.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** Payload of one text frame: `bytes[from..to)`; valid only during the call. */
export type OnFrame = (bytes: Buffer, from: number, to: number) => void;

export interface Subscription {
  port: number;
  channel: string;
  table: string;
  /** INSERT unless it says otherwise. */
  event?: string;
}

const READ_BUFFER_BYTES = 64 * 1024;
const HEARTBEAT_MS = 20_000;
const FIN_TEXT = 0x81;
const PING_OR_CLOSE = 0x08;
const REPLY_OK = '"status":"ok"';

export class RealtimeSocket {
  readonly #socket: Socket;
  readonly #onFrame: OnFrame;
  readonly #heartbeat: NodeJS.Timeout;
  /** Bytes of a frame (or of the handshake) that has not come in full. */
  #rest: Buffer = Buffer.alloc(0);
  #upgraded = false;
  #joined: ((error?: Error) => void) | null;

  private constructor(subscription: Subscription, onFrame: OnFrame, joined: (error?: Error) => void) {
    this.#onFrame = onFrame;
    this.#joined = joined;
    this.#socket = connect({
      host: '127.0.0.1',
      port: subscription.port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
        callback: (length, buffer) => {
          this.#read((buffer as Buffer).subarray(0, length), subscription);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#fail(error.message));
    this.#socket.once('close', () => this.#fail('the server closed the WebSocket'));
    this.#socket.write(
      'GET /realtime/v1/websocket?apikey=bench&vsn=2.0.0 HTTP/1.1\r\n' +
        `Host: 127.0.0.1:${subscription.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    );
    this.#heartbeat = setInterval(() => this.#send([null, '2', 'phoenix', 'heartbeat', {}]), HEARTBEAT_MS);
  }

  /** Resolves when the server has confirmed the subscription. */
  static join(subscription: Subscription, onFrame: OnFrame): Promise<RealtimeSocket> {
    return new Promise((resolve, reject) => {
      const socket = new RealtimeSocket(subscription, onFrame, (error) => {
        if (error === undefined) resolve(socket);
        else reject(error);
      });
    });
  }

  close(): void {
    clearInterval(this.#heartbeat);
    this.#socket.destroy();
  }

  #read(piece: Buffer, subscription: Subscription): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let at = 0;
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0 && !bytes.toString('latin1', 0, end).startsWith('HTTP/1.1 101')) {
        this.#fail(bytes.toString('latin1', 0, 300));
        return;
      }
      if (end >= 0) {
        this.#upgraded = true;
        this.#sendJoin(subscription);
        at = end + 4;
      }
    }
    if (this.#upgraded) at = this.#walk(bytes, at);
    this.#rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  }

  /** Calls back for each whole frame; returns where the first incomplete one begins. */
  #walk(bytes: Buffer, start: number): number {
    let at = start;
    while (at + 2 <= bytes.length) {
      let length = bytes[at + 1]!;
      let from = at + 2;
      if (length === 126) {
        if (at + 4 > bytes.length) return at;
        length = bytes.readUInt16BE(at + 2);
        from = at + 4;
      } else if (length === 127) {
        if (at + 10 > bytes.length) return at;
        length = Number(bytes.readBigUInt64BE(at + 2));
        from = at + 10;
      }
      const to = from + length;
      if (to > bytes.length) return at;
      if (bytes[at] === FIN_TEXT) this.#text(bytes, from, to);
      else if ((bytes[at]! & PING_OR_CLOSE) === 0)
        throw new Error('a fragmented or binary frame is not expected');
      at = to;
    }
    return at;
  }

  #text(bytes: Buffer, from: number, to: number): void {
    if (this.#joined === null) {
      this.#onFrame(bytes, from, to);
      return;
    }
    const text = bytes.toString('utf8', from, to);
    if (!text.includes('"phx_reply"')) return;
    const joined = this.#joined;
    this.#joined = null;
    joined(text.includes(REPLY_OK) ? undefined : new Error(`join refused: ${text}`));
  }

  #sendJoin({ channel, table, event = 'INSERT' }: Subscription): void {
    const changes = [{ event, schema: 'public', table }];
    const broadcast = { ack: false, self: false };
    const config = {
      broadcast,
      presence: { key: '', enabled: false },
      postgres_changes: changes,
      private: false,
    };
    this.#send(['1', '1', `realtime:${channel}`, 'phx_join', { config }]);
  }

  /** Client frames are masked (RFC 6455, 5.3); a mask of zeros is a valid one and costs nothing. */
  #send(message: unknown): void {
    const payload = Buffer.from(JSON.stringify(message));
    const head =
      payload.length < 126
        ? Buffer.from([FIN_TEXT, 0x80 | payload.length, 0, 0, 0, 0])
        : Buffer.from([FIN_TEXT, 0x80 | 126, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  #fail(reason: string): void {
    clearInterval(this.#heartbeat);
    this.#joined?.(new Error(reason));
    this.#joined = null;
  }
}
