import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpTimings } from '../src/access/httpServer.ts';
import { PlainConnections } from '../src/access/plainConnections.ts';
import { WholeRequestReader } from '../src/access/wholeRequest.ts';

const path = '/telemetry/inference';

interface Seen {
  readonly way: 'plain' | 'node';
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

/** Answers every request with what it saw of it; plain ones a turn of the event loop later, as a commit does. */
async function startServer(timings = httpTimings): Promise<Server> {
  const server = createServer((request: IncomingMessage, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const seen: Seen = {
        way: 'node',
        headers: request.headers,
        body: Buffer.concat(pieces).toString('latin1'),
      };
      response.end(JSON.stringify({ ...seen, method: request.method, url: request.url }));
    });
  });
  PlainConnections.before(server, path, timings, ({ headers, body }, answer) => {
    if (headers['x-ordinary'] !== undefined) return false;
    const seen: Seen = { way: 'plain', headers, body: body.toString('latin1') };
    setImmediate(() => answer(200, { 'content-type': 'application/json' }, JSON.stringify(seen)));
    return true;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function open(to: Server = server): Socket {
  return connect({ host: '127.0.0.1', port: (to.address() as AddressInfo).port, noDelay: true });
}

function post(body: string, ...headers: string[]): string {
  return [`POST ${path} HTTP/1.1`, 'Host: x', ...headers, `Content-Length: ${body.length}`, '', body].join(
    '\r\n',
  );
}

/** Bodies of the next answers on a connection, in their order. */
async function answers(socket: Socket, count: number): Promise<(Seen & { url?: string })[]> {
  let text = '';
  const found: Seen[] = [];
  return await new Promise((resolve, reject) => {
    const done = (settle: () => void) => {
      socket.off('data', take).off('close', lost);
      settle();
    };
    const lost = () => done(() => reject(new Error(`the connection closed after: ${text}`)));
    const take = (piece: Buffer) => {
      text += piece.toString('latin1');
      for (;;) {
        const headEnd = text.indexOf('\r\n\r\n');
        const length = Number(/content-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1]);
        if (headEnd < 0 || !(text.length >= headEnd + 4 + length)) return;
        found.push(JSON.parse(text.slice(headEnd + 4, headEnd + 4 + length)) as Seen);
        text = text.slice(headEnd + 4 + length);
        if (found.length === count) return done(() => resolve(found));
      }
    };
    socket.on('data', take).on('close', lost);
  });
}

/** Sends each piece when the one before has been read: the server runs in the same event loop. */
async function sendApart(socket: Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise<void>((resolve) => socket.write(piece, 'latin1', () => resolve()));
    for (let turn = 0; turn < 4; turn += 1) await new Promise(setImmediate);
  }
}

describe('a connection', () => {
  test('is answered request by request, whole ones without Node’s HTTP server', async () => {
    const socket = open();
    for (const body of ['{"a":1}', '{"b":22}', '']) {
      socket.write(post(body, 'Authorization: Bearer k'));
      const [seen] = await answers(socket, 1);
      expect(seen).toMatchObject({ way: 'plain', body, headers: { host: 'x', authorization: 'Bearer k' } });
    }
    socket.destroy();
  });

  test('gets the same answers wherever its bytes are cut', async () => {
    const text = post('{"a":1}', 'Apikey: k');
    for (let cut = 1; cut < text.length; cut += 1) {
      const socket = open();
      const heard = answers(socket, 2);
      await sendApart(socket, [text.slice(0, cut), text.slice(cut)]);
      socket.write(post('{"second":2}'));
      const [first, second] = await heard;
      expect(first, String(cut)).toMatchObject({ body: '{"a":1}', headers: { apikey: 'k' } });
      expect(second, String(cut)).toMatchObject({ body: '{"second":2}' });
      socket.destroy();
    }
  });

  test('is answered in order when requests come without waiting, and other requests among them', async () => {
    const socket = open();
    const heard = answers(socket, 6);
    socket.write(post('{"n":1}'));
    socket.write(post('{"n":2}') + post('{"n":3}'));
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.write(post('{"n":4}', 'X-Ordinary: yes'));
    socket.write(post('{"n":5}'));
    expect((await heard).map(({ url, body }) => (url === '/health' ? url : body))).toEqual([
      '{"n":1}',
      '{"n":2}',
      '{"n":3}',
      '/health',
      '{"n":4}',
      '{"n":5}',
    ]);
    socket.destroy();
  });

  test('that ends after its request is answered and closed', async () => {
    const socket = open();
    const heard = answers(socket, 1);
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.end(post('{"last":1}'));
    expect(await heard).toMatchObject([{ body: '{"last":1}' }]);
    await closed;
  });

  test('that is idle or silent is closed in time, one under way and one that waits for its answer is not', async () => {
    const brief = await startServer({ ...httpTimings, keepAliveTimeoutMs: 1_000, checkIntervalMs: 20 });
    const socket = open(brief);
    socket.write(post('{"a":1}'));
    await answers(socket, 1);
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const other = open(brief);
    other.write(post('{"b":1}'));
    await answers(other, 1);
    const closed = new Promise<void>((resolve) => other.once('close', () => resolve()));
    const serverClosed = new Promise<void>((resolve) => brief.close(() => resolve()));
    brief.closeIdleConnections();
    await closed;
    await serverClosed;
  });
});

describe('what is taken as whole', () => {
  /** Pieces of HTTP, right and wrong, put together at random. */
  const line = fc.oneof(
    fc.constantFrom(
      'Host: x',
      'Content-Length: 4',
      'Content-Length: 04',
      'content-length: 5',
      'Content-Length: +4',
      'Content-Length : 4',
      'Content-Length: 4, 4',
      'Transfer-Encoding: chunked',
      'Connection: close',
      'Connection: keep-alive',
      'Connection: upgrade',
      'Expect: 100-continue',
      ' folded: yes',
      'X-Tab:\ta\t',
      'X-Empty:',
      'X-Latin: \xe9',
      'X-Nul: \0',
      'no colon',
      ': no name',
    ),
    fc.stringMatching(/^[A-Za-z-]{1,8}: ?[ -~]{0,12}$/),
  );
  const message = fc.record({
    first: fc.constantFrom(
      // As often as all that are not taken.
      ...new Array<string>(4).fill(`POST ${path} HTTP/1.1`),
      `POST ${path} HTTP/1.0`,
      `POST ${path}?a HTTP/1.1`,
      `GET ${path} HTTP/1.1`,
      `POST  ${path} HTTP/1.1`,
    ),
    lines: fc.array(line, { maxLength: 5 }),
    end: fc.constantFrom('\r\n', '\n', '\r'),
    body: fc.constantFrom('abcd', 'abc', 'abcde', '\r\n\r\n', ''),
    /** With the two headers that a whole request needs. */
    isSure: fc.boolean(),
  });

  test('means the same to Node’s parser, whatever is sent', async () => {
    let taken = 0;
    const bare = createServer((request: IncomingMessage, response) => {
      let body = '';
      request.setEncoding('latin1').on('data', (piece: string) => {
        body += piece;
      });
      request.on('end', () => response.end(JSON.stringify({ headers: request.headers, body, way: 'node' })));
    });
    await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve));
    await fc.assert(
      fc.asyncProperty(message, async ({ first, lines, end, body, isSure }) => {
        const sure = isSure ? ['Host: x', `Content-Length: ${body.length}`] : [];
        const text =
          [
            first,
            ...sure,
            ...lines.filter((each) => sure.length === 0 || !/^(host|content-length)/i.test(each)),
            '',
            '',
          ].join(end === '\r' ? '\r\n' : end) + body;
        const whole = new WholeRequestReader(path).read(Buffer.from(text, 'latin1'));
        if (whole === undefined) return;
        taken += 1;
        const socket = open(bare);
        socket.write(text, 'latin1');
        const [seen] = await answers(socket, 1);
        socket.destroy();
        expect(seen!.body).toBe(whole.body.toString('latin1'));
        expect(seen!.headers).toEqual({ ...whole.headers });
      }),
      { numRuns: 1_500 },
    );
    expect(taken).toBeGreaterThan(50);
    bare.close();
  });
});
