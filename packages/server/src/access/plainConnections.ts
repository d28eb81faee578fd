import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpTimings } from './httpServer.ts';
import { type WholeRequest, WholeRequestReader } from './wholeRequest.ts';

/** Ends the exchange: once a request. */
export type Answer = (statusCode: number, headers: Readonly<Record<string, string>>, body: string) => void;

/** Returns false, and answers nothing, where the request is for the ordinary way. */
export type WholeRequestHandler = (request: WholeRequest, answer: Answer) => boolean;

/**
 * Connections that have sent nothing but whole, plain requests to one path (see `WholeRequestReader`). The first piece that
 * is anything else goes to Node's HTTP server with its connection, which stays there: limits, timeouts and errors of HTTP
 * are Node's. A silent or idle connection waits here; one that has never said a word is Node's too.
 */
export class PlainConnections {
  readonly #server: Server;
  readonly #accept: (socket: Socket) => void;
  readonly #connections = new Set<PlainConnection>();
  readonly #handle: WholeRequestHandler;
  readonly #path: string;
  readonly #timings: HttpTimings;

  private constructor(server: Server, path: string, timings: HttpTimings, handle: WholeRequestHandler) {
    this.#server = server;
    this.#path = path;
    this.#timings = timings;
    this.#handle = handle;
    const [accept] = server.listeners('connection') as [(socket: Socket) => void];
    this.#accept = accept;
  }

  /** Puts itself in front of a server that does not listen yet. */
  static before(server: Server, path: string, timings: HttpTimings, handle: WholeRequestHandler): void {
    const plain = new PlainConnections(server, path, timings, handle);
    server.removeListener('connection', plain.#accept);
    server.on('connection', (socket: Socket) => plain.#add(socket));
    const sweep = setInterval(() => plain.#sweep(), timings.checkIntervalMs).unref();
    server.once('close', () => clearInterval(sweep));
    // Whoever stops the server means these connections too.
    const { closeIdleConnections, closeAllConnections } = server;
    server.closeIdleConnections = () => {
      for (const connection of plain.#connections) connection.closeIfIdle();
      closeIdleConnections.call(server);
    };
    server.closeAllConnections = () => {
      for (const connection of plain.#connections) connection.close();
      closeAllConnections.call(server);
    };
  }

  #add(socket: Socket): void {
    const connection: PlainConnection = new PlainConnection(socket, {
      reader: new WholeRequestReader(this.#path),
      handle: this.#handle,
      keepAlive: `timeout=${Math.floor(this.#timings.keepAliveTimeoutMs / 1000)}`,
      handOver: () => {
        this.#connections.delete(connection);
        this.#accept.call(this.#server, socket);
      },
      closed: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
  }

  #sweep(): void {
    const latest = performance.now() - this.#timings.keepAliveTimeoutMs;
    for (const connection of this.#connections) {
      if (connection.silent) connection.handOver(undefined);
      else if (connection.idleSinceMs < latest) connection.close();
    }
  }
}

interface ConnectionOptions {
  readonly reader: WholeRequestReader;
  readonly handle: WholeRequestHandler;
  readonly keepAlive: string;
  readonly handOver: () => void;
  readonly closed: () => void;
}

class PlainConnection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  /** Nothing has come yet. */
  silent = true;
  /** Infinity while a request is being answered. */
  idleSinceMs = performance.now();
  /** What came before the answer was out; nothing more is read until then. */
  #next: Buffer | undefined;
  /** The peer sends no more. */
  #ended = false;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError);
    socket.on('close', options.closed);
  }

  close(): void {
    this.#socket.destroy();
  }

  closeIfIdle(): void {
    if (this.idleSinceMs !== Number.POSITIVE_INFINITY && this.#socket.writableLength === 0) this.close();
  }

  /** To Node's HTTP server, with what has been received of the next request. */
  handOver(piece: Buffer | undefined): void {
    const socket = this.#socket;
    socket.pause();
    socket.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onError);
    socket.off('close', this.#options.closed);
    if (piece !== undefined) socket.unshift(piece);
    this.#options.handOver();
    process.nextTick(() => socket.resume());
  }

  readonly #onData = (piece: Buffer): void => {
    this.silent = false;
    if (this.idleSinceMs === Number.POSITIVE_INFINITY) {
      this.#socket.pause();
      this.#next = this.#next === undefined ? piece : Buffer.concat([this.#next, piece]);
      return;
    }
    this.#take(piece);
  };

  #take(piece: Buffer): void {
    const request = this.#options.reader.read(piece);
    if (request === undefined) {
      this.handOver(piece);
      return;
    }
    this.idleSinceMs = Number.POSITIVE_INFINITY;
    if (this.#options.handle(request, this.#answer)) return;
    this.idleSinceMs = performance.now();
    this.handOver(piece);
  }

  readonly #answer: Answer = (statusCode, headers, body): void => {
    const socket = this.#socket;
    this.idleSinceMs = performance.now();
    if (socket.destroyed) return;
    const flowing = socket.write(messageOf(statusCode, headers, body, this.#options.keepAlive));
    if (!flowing) {
      // It sends and does not read: no further request until it does.
      socket.pause().once('drain', () => this.#goOn());
    } else if (this.#next !== undefined) {
      // Not here: answers of a long row of requests must not pile up on the stack.
      setImmediate(() => this.#goOn());
    } else if (this.#ended) {
      socket.end();
    }
  };

  #goOn(): void {
    const next = this.#next;
    this.#next = undefined;
    if (this.#socket.destroyed) return;
    this.#socket.resume();
    if (next !== undefined) this.#onData(next);
    else if (this.#ended) this.#socket.end();
  }

  readonly #onEnd = (): void => {
    this.#ended = true;
    if (this.idleSinceMs !== Number.POSITIVE_INFINITY) this.#socket.end();
  };

  readonly #onError = (): void => {
    // The connection is gone, and `close` follows; what it sent is stored all the same.
  };
}

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  413: 'Payload Too Large',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

/** The same answer goes out thousands of times a second. */
let last: { atSecond: number; headers: object; body: string; keepAlive: string; message: Buffer } | undefined;

function messageOf(
  statusCode: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  keepAlive: string,
): Buffer {
  const nowMs = Date.now();
  const atSecond = Math.floor(nowMs / 1000);
  if (
    statusCode === 200 &&
    last?.atSecond === atSecond &&
    last.body === body &&
    last.headers === headers &&
    last.keepAlive === keepAlive
  )
    return last.message;
  const lines = [`HTTP/1.1 ${statusCode} ${reasons[statusCode] ?? 'Error'}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  lines.push(`content-length: ${Buffer.byteLength(body)}`, `Date: ${new Date(nowMs).toUTCString()}`);
  lines.push('Connection: keep-alive', `Keep-Alive: ${keepAlive}`, '', body);
  const message = Buffer.from(lines.join('\r\n'), 'utf8');
  if (statusCode === 200) last = { atSecond, headers, body, keepAlive, message };
  return message;
}
