/** Collectors of every temper, in one process of their own; the parent hears their ports and may ask for bytes. */
import net from 'node:net';

export const tempers = ['stores', 'hangs', 'fails', 'dribbles', 'resets'] as const;
export type Temper = (typeof tempers)[number] | 'dead';

export type Ports = Readonly<Record<Temper, number>>;

const dribbleMs = 50;
const answer =
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"rejected":0}';
const failure = 'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n';

let received = 0;

/** Just enough of HTTP/1.1: requests come one after the other, each with its length. */
function collector(temper: (typeof tempers)[number]): net.Server {
  return net.createServer((socket) => {
    let waiting = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (part: Buffer) => {
      if (temper === 'stores') received += part.length;
      if (temper === 'hangs') return;
      if (temper === 'resets') {
        socket.resetAndDestroy();
        return;
      }
      waiting = Buffer.concat([waiting, part]);
      for (let length = lengthOf(waiting); length <= waiting.length; length = lengthOf(waiting)) {
        waiting = waiting.subarray(length);
        if (temper === 'dribbles') dribble(socket);
        else socket.write(temper === 'fails' ? failure : answer);
      }
    });
  });
}

/** @returns the length of the first request, head and body; infinite while its head is incomplete */
function lengthOf(bytes: Buffer): number {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return Number.POSITIVE_INFINITY;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, headEnd + 2));
  return headEnd + 4 + Number(length?.[1] ?? 0);
}

function dribble(socket: net.Socket): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed || at === answer.length) clearInterval(timer);
    else socket.write(answer[at++]!);
  }, dribbleMs);
}

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as net.AddressInfo).port;
}

const ports: Partial<Record<Temper, number>> = {};
for (const temper of tempers) ports[temper] = await listen(collector(temper));
const closing = net.createServer();
ports.dead = await listen(closing);
await new Promise((resolve) => closing.close(resolve));
process.on('message', (asked) => {
  if (asked === 'received') process.send?.(received);
});
process.on('disconnect', () => process.exit(0));
process.send?.(ports);
