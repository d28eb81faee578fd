/** The door itself: which HTTP upgrades become realtime sockets, and how the others are refused. */
import type { IncomingMessage, Server } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Vsn } from './wire.ts';

export interface Accept {
  readonly webSocket: WebSocket;
  readonly tcp: Socket;
  readonly vsn: Vsn;
  readonly key: string | undefined;
  readonly request: IncomingMessage;
}

export interface Refusal {
  readonly status: 401 | 403 | 404 | 500 | 503;
  readonly error: string;
}

const REALTIME_PATH = '/realtime/v1/websocket';

/** @returns how to stop listening */
export function acceptUpgrades(
  server: Server,
  options: {
    readonly maxPayloadBytes: number;
    check(key: string | undefined, request: IncomingMessage): Refusal | undefined;
    accept(accepted: Accept): void;
    onError(error: Error): void;
  },
): () => void {
  const webSocketServer = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: options.maxPayloadBytes,
    // Frames are encoded once for all receivers; compressed, each socket would need its own.
    perMessageDeflate: false,
  });
  const onUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    const url = parseUrl(request.url);
    if (url?.pathname !== REALTIME_PATH) {
      // Another listener may own that path; alone, it must be answered or the client waits for ever.
      if (server.listenerCount('upgrade') === 1) refuse(socket, { status: 404, error: 'no such WebSocket' });
      return;
    }
    const key = apiKey(url, request);
    let refusal: Refusal | undefined;
    try {
      refusal = options.check(key, request);
    } catch (cause) {
      options.onError(new Error('a realtime connection could not be checked', { cause }));
      refusal = { status: 500, error: 'internal error' };
    }
    if (refusal !== undefined) {
      refuse(socket, refusal);
      return;
    }
    const vsn: Vsn = url.searchParams.get('vsn') === '2.0.0' ? '2.0.0' : '1.0.0';
    webSocketServer.handleUpgrade(request, socket, head, (webSocket) => {
      options.accept({ webSocket, tcp: socket, vsn, key, request });
    });
  };
  server.on('upgrade', onUpgrade);
  return () => {
    server.off('upgrade', onUpgrade);
  };
}

function refuse(socket: Socket, refusal: Refusal): void {
  const body = JSON.stringify({ error: refusal.error });
  // A peer that is gone already must not become an uncaught error.
  socket.on('error', () => socket.destroy());
  socket.end(
    [
      `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(refusal.status === 503 ? ['Retry-After: 5'] : []),
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function apiKey(url: URL, request: IncomingMessage): string | undefined {
  const header = request.headers.apikey ?? request.headers['x-api-key'];
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  return url.searchParams.get('apikey') ?? (typeof header === 'string' ? header : undefined) ?? bearer;
}

function parseUrl(url: string | undefined): URL | undefined {
  try {
    return new URL(url ?? '', 'http://localhost');
  } catch {
    return undefined;
  }
}
