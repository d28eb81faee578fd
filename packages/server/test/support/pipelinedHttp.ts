import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface RawAnswer {
  readonly status: number;
  readonly body: string;
}

/** HTTP/1.1 on one kept connection: all requests at once, their answers in order. For many small requests in little time. */
export class PipelinedHttp {
  readonly #host: string;
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);

  private constructor(host: string, socket: Socket) {
    this.#host = host;
    this.#socket = socket;
  }

  static async to(url: string): Promise<PipelinedHttp> {
    const { host, hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new PipelinedHttp(host, socket);
  }

  /** @throws when the server closes the connection before it has answered all */
  async post(requests: readonly RawRequest[]): Promise<RawAnswer[]> {
    const parts: Uint8Array[] = [];
    for (const { path, headers, body } of requests) {
      const lines = Object.entries({ ...headers, 'content-length': body.length }).map(
        ([name, value]) => `${name}: ${value}\r\n`,
      );
      parts.push(
        Buffer.from(`POST ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n${lines.join('')}\r\n`, 'latin1'),
      );
      parts.push(body);
    }
    const answers: RawAnswer[] = [];
    const answered = new Promise<void>((resolve, reject) => {
      const closed = () => reject(new Error(`closed after ${answers.length} of ${requests.length} answers`));
      const onData = (chunk: Buffer) => {
        this.#received = Buffer.concat([this.#received, chunk]);
        for (let answer = this.#next(); answer !== undefined; answer = this.#next()) answers.push(answer);
        if (answers.length < requests.length) return;
        this.#socket.off('data', onData).off('close', closed);
        resolve();
      };
      this.#socket.on('data', onData).on('close', closed);
    });
    this.#socket.write(Buffer.concat(parts));
    await answered;
    return answers;
  }

  close(): void {
    this.#socket.destroy();
  }

  #next(): RawAnswer | undefined {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const head = this.#received.toString('latin1', 0, end);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    const bodyAt = end + 4;
    if (this.#received.length < bodyAt + length) return undefined;
    const body = this.#received.toString('utf8', bodyAt, bodyAt + length);
    this.#received = this.#received.subarray(bodyAt + length);
    return { status: Number(head.slice(9, 12)), body };
  }
}
