/**
 * One keep-alive HTTP/1.1 connection that costs as little CPU as Node allows, because generator, server and
 * PostgreSQL share the machine: requests are bytes made beforehand, reads land in one buffer per connection
 * (`onread`, no stream in between), and an answer is compared with the previous one before it is parsed.
 */
import { connect, type Socket } from 'node:net';

/** Judges an answer once: everything but status 200, or a body that says otherwise, is a failure. */
export type Judge = (status: number, body: string) => boolean;

export interface Answer {
  ok: boolean;
  /** Status line and body of the latest answer that was parsed, for messages. */
  text: string;
}

const READ_BUFFER_BYTES = 16 * 1024;

export class HttpConnection {
  readonly #socket: Socket;
  readonly #judge: Judge;
  readonly #onAnswer: (connection: HttpConnection, answer: Answer) => void;
  #pending: Buffer | null = null;
  /** The latest complete answer that came in one read, and its verdict. */
  readonly #previous = Buffer.alloc(READ_BUFFER_BYTES);
  #previousLength = 0;
  #answer: Answer = { ok: false, text: '' };
  /** When the request in flight was sent (or due); set by the caller. */
  sentAtMs = 0;

  private constructor(
    port: number,
    judge: Judge,
    onAnswer: (connection: HttpConnection, answer: Answer) => void,
    onLost: (reason: string) => void,
  ) {
    this.#judge = judge;
    this.#onAnswer = onAnswer;
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
        callback: (length, buffer) => {
          this.#read(buffer as Buffer, length);
          return true;
        },
      },
    });
    let reason = 'the server closed the connection';
    this.#socket.on('error', (error) => {
      reason = error.message;
    });
    this.#socket.once('close', () => onLost(reason));
  }

  static open(
    port: number,
    judge: Judge,
    onAnswer: (connection: HttpConnection, answer: Answer) => void,
    onLost: (reason: string) => void,
  ): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const connection = new HttpConnection(port, judge, onAnswer, (reason) => {
        reject(new Error(reason));
        onLost(reason);
      });
      connection.#socket.once('connect', () => resolve(connection));
    });
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #read(buffer: Buffer, length: number): void {
    const same =
      this.#pending === null &&
      length === this.#previousLength &&
      buffer.compare(this.#previous, 0, length, 0, length) === 0;
    if (!same && !this.#parse(buffer, length)) return;
    this.#onAnswer(this, this.#answer);
  }

  /** False while the answer is incomplete. */
  #parse(buffer: Buffer, length: number): boolean {
    const piece = buffer.subarray(0, length);
    const bytes: Buffer = this.#pending === null ? piece : Buffer.concat([this.#pending, piece]);
    const text = bytes.toString('latin1');
    const headEnd = text.indexOf('\r\n\r\n');
    const bodyLength = headEnd < 0 ? undefined : contentLength(text.slice(0, headEnd));
    if (bodyLength === undefined || bytes.length < headEnd + 4 + bodyLength) {
      this.#pending = Buffer.from(bytes);
      return false;
    }
    const whole = this.#pending === null;
    this.#pending = null;
    const body = text.slice(headEnd + 4);
    this.#answer = {
      ok: this.#judge(Number(text.slice(9, 12)), body),
      text: `${text.slice(0, text.indexOf('\r'))} ${body.slice(0, 300)}`,
    };
    this.#previousLength = whole ? length : 0;
    if (whole) buffer.copy(this.#previous, 0, 0, length);
    return true;
  }
}

function contentLength(head: string): number {
  const match = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (match === null) throw new Error(`the load generator needs a Content-Length, got: ${head}`);
  return Number(match[1]);
}
