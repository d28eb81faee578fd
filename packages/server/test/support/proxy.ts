import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy to PostgreSQL that can cut the line at a chosen moment. */
export class CuttableProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Called with what the database sends; true cuts the line before it reaches the client. */
  cutBefore: ((data: Buffer) => boolean) | undefined;
  /** While true, new connections are closed at once. */
  refusing = false;
  url = '';

  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((client) => {
      if (this.refusing) {
        client.destroy();
        return;
      }
      const upstream = connect(Number(port), hostname);
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          client.destroy();
          // The database is left to finish what it has received.
          upstream.end();
        });
      }
      client.on('data', (data) => upstream.write(data));
      upstream.on('data', (data) => {
        if (this.cutBefore?.(data)) client.destroy();
        else client.write(data);
      });
    });
  }

  static async to(target: string): Promise<CuttableProxy> {
    const proxy = new CuttableProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    const url = new URL(target);
    const address = proxy.#server.address();
    url.port = String(typeof address === 'object' ? address?.port : '');
    proxy.url = url.href;
    return proxy;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
