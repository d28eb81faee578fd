import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** In the answer to COMMIT: the command tag that PostgreSQL sends once the commit is on disk. */
const commitTag = Buffer.from('COMMIT\0');

/** A TCP line to PostgreSQL that loses the answer to a commit of the writer when it is told to. */
export class CommitCutter {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut: (() => void) | undefined;
  url = '';

  private constructor(target: URL) {
    this.#server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      let isWriter = false;
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          client.destroy();
          upstream.end();
        });
      }
      client.once('data', (startup) => {
        isWriter = startup.includes('nowcast writer');
      });
      client.on('data', (data) => upstream.write(data));
      upstream.on('data', (data) => {
        const cut = this.#cut;
        if (isWriter && cut !== undefined && data.includes(commitTag)) {
          this.#cut = undefined;
          client.destroy();
          cut();
        } else {
          client.write(data);
        }
      });
    });
  }

  static async to(target: string): Promise<CommitCutter> {
    const url = new URL(target);
    const cutter = new CommitCutter(new URL(target));
    cutter.#server.listen(0, '127.0.0.1');
    await once(cutter.#server, 'listening');
    const address = cutter.#server.address();
    url.port = String(typeof address === 'object' ? address?.port : '');
    cutter.url = url.href;
    return cutter;
  }

  /** Cuts the line at the writer's next commit, after PostgreSQL has committed and before the answer arrives. */
  cutNextCommit(): Promise<void> {
    return new Promise((resolve) => {
      this.#cut = resolve;
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
