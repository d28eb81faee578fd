/**
 * Requests at a fixed rate, sent whether or not earlier ones are answered, to one service after the other in short turns:
 * what else the machine does meanwhile hits all of them alike.
 */
import { HttpConnection } from '../load/http-connection.ts';
import { Latencies } from '../load/latencies.ts';
import { serveTask } from '../load/task.ts';

export interface OpenLoad {
  readonly ports: readonly number[];
  readonly ratePerSecond: number;
  /** Of one turn, the first fifth of which is not measured. */
  readonly turnMs: number;
  readonly turns: number;
}

const connections = 32;
const request = Buffer.from('POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{}');

/** The p99 of each turn in milliseconds, by port in the order given. */
serveTask<OpenLoad, number[][]>(async ({ ports, ratePerSecond, turnMs, turns }) => {
  const services = await Promise.all(ports.map(openService));
  const p99s = ports.map((): number[] => []);
  for (let turn = 0; turn < turns; turn++) {
    for (let at = 0; at < services.length; at++) {
      // Nobody is always first.
      const index = (at + turn) % services.length;
      p99s[index]!.push(await services[index]!.turn(ratePerSecond, turnMs));
    }
  }
  for (const service of services) service.close();
  return p99s;
});

async function openService(port: number) {
  const free: HttpConnection[] = [];
  const due: number[] = [];
  let latencies = new Latencies(1);
  let measureFromMs = Number.POSITIVE_INFINITY;
  let lost: string | undefined;
  const send = (connection: HttpConnection, atMs: number) => {
    connection.sentAtMs = atMs;
    connection.send(request);
  };
  const answered = (connection: HttpConnection) => {
    if (connection.sentAtMs >= measureFromMs) latencies.record(performance.now() - connection.sentAtMs);
    const next = due.shift();
    if (next === undefined) free.push(connection);
    else send(connection, next);
  };
  for (let opened = 0; opened < connections; opened++)
    free.push(
      await HttpConnection.open(
        port,
        (status) => status === 200,
        answered,
        (reason) => {
          lost = reason;
        },
      ),
    );
  const throwIfLost = () => {
    if (lost !== undefined) throw new Error(`the service at ${port} broke off: ${lost}`);
  };

  return {
    async turn(ratePerSecond: number, turnMs: number): Promise<number> {
      const total = Math.floor((turnMs / 1_000) * ratePerSecond);
      const firstMs = performance.now();
      latencies = new Latencies(total);
      measureFromMs = firstMs + turnMs / 5;
      let sent = 0;
      while (sent < total) {
        throwIfLost();
        const nowMs = performance.now();
        for (; sent < total; sent++) {
          const dueMs = firstMs + (sent * 1_000) / ratePerSecond;
          if (dueMs > nowMs) break;
          const connection = free.shift();
          if (connection === undefined) due.push(dueMs);
          // The generator's own pace is not the service's latency; what waited for a connection is.
          else send(connection, performance.now());
        }
        // Asleep in between: a core that spins here would be missing there.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      while (free.length < connections) {
        throwIfLost();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      return latencies.summary().p99Ms;
    },
    close() {
      for (const connection of free) connection.close();
    },
  };
}
