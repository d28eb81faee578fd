import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ProviderRequest {
  readonly path: string;
  readonly body: Record<string, unknown>;
}

/** What a provider answers: JSON, or server-sent events one by one. */
export interface ProviderAnswer {
  readonly status?: number;
  readonly json?: unknown;
  readonly events?: readonly (ServerEvent | Promise<unknown> | 'hang' | 'reset')[];
}

interface ServerEvent {
  readonly event?: string;
  readonly data: unknown;
}

export interface Provider {
  readonly url: string;
  readonly requests: readonly ProviderRequest[];
  close(): Promise<void>;
}

/**
 * A model provider on loopback, in the wire format of the caller's choice.
 *
 * @param answer to the request of this number, from 0; an event `hang` keeps the answer open, `reset` breaks it off,
 *   with what was not read yet: a promise before it is waited for
 */
export async function startProvider(
  answer: (request: ProviderRequest, number: number) => ProviderAnswer,
): Promise<Provider> {
  const requests: ProviderRequest[] = [];
  const server = http.createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const received = { path: request.url ?? '', body: JSON.parse(Buffer.concat(parts).toString()) };
    requests.push(received);
    const { status = 200, json, events } = answer(received, requests.length - 1);
    if (events === undefined) {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      return;
    }
    response.writeHead(status, { 'content-type': 'text/event-stream' });
    for (const event of events) {
      if (event === 'hang') return;
      if (event === 'reset') {
        response.socket?.resetAndDestroy();
        return;
      }
      if (event instanceof Promise) {
        await event;
        continue;
      }
      const data = typeof event.data === 'string' ? event.data : JSON.stringify(event.data);
      await new Promise<void>((written) =>
        response.write(`${event.event ? `event: ${event.event}\n` : ''}data: ${data}\n\n`, () => written()),
      );
    }
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
