import WebSocket from 'ws';

const handshakeTimeoutMs = 4_000;

export interface CanarySocketOptions {
  /** `ws://host:port` of our own server. */
  readonly url: string;
  readonly key: string;
  readonly topic: string;
  readonly onJoined: () => void;
  readonly onMessage: (id: string) => void;
}

/** A client like any other, on our own server's WebSocket: joins a topic and hears what is sent to it. */
export class CanarySocket {
  readonly #options: CanarySocketOptions;
  #socket: WebSocket | undefined;

  constructor(options: CanarySocketOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects where it is not, and shows that it is alive where it is. */
  keep(): void {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(heartbeat);
      return;
    }
    if (this.#socket === undefined) this.#connect();
  }

  close(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  #connect(): void {
    const { url, key, topic, onJoined, onMessage } = this.#options;
    const socket = new WebSocket(`${url}/realtime/v1/websocket?vsn=1.0.0`, {
      headers: { apikey: key },
      handshakeTimeout: handshakeTimeoutMs,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    socket.on('open', () =>
      socket.send(JSON.stringify({ topic, event: 'phx_join', payload: {}, ref: joinRef, join_ref: joinRef })),
    );
    socket.on('message', (data) => {
      const { event, payload, ref } = JSON.parse(String(data));
      if (event === 'phx_reply' && ref === joinRef && payload?.status === 'ok') onJoined();
      if (event === 'broadcast' && typeof payload?.payload?.id === 'string') onMessage(payload.payload.id);
    });
    // What is wrong shows in the next run, which does not arrive; `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
  }
}

const joinRef = '1';
const heartbeat = JSON.stringify({ topic: 'phoenix', event: 'heartbeat', payload: {}, ref: '2' });
