import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** What was sent as JSON; undefined where nothing was. */
  readonly body: ReturnType<typeof JSON.parse>;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  /** The connection is cut instead of an answer. */
  readonly cut?: true;
  /** Nothing is answered. */
  readonly silent?: true;
}

export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** Resolves when something was received that fits; what came before counts too. */
  until(fits: (received: readonly Received[]) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** A service of others on loopback: keeps what it receives, answers as it is told. */
export async function startReceiver(answer: (request: Received) => Reply = () => ({})): Promise<Receiver> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const one: Received = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        text,
        body: text === '' ? undefined : JSON.parse(text),
      };
      const { status = 200, headers = {}, body = 'ok', cut, silent } = answer(one);
      received.push(one);
      if (cut) request.socket.destroy();
      else if (!silent) {
        response.writeHead(status, headers);
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
      }
      for (const look of waiting) look();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    until: (fits) =>
      new Promise((resolve) => {
        const look = () => {
          if (!fits(received)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
