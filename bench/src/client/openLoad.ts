/** Requests at a fixed rate, due whether or not earlier ones are answered: a service that stalls is seen to. */
import { HttpConnection } from '../load/http-connection.ts';
import { Latencies, type LatencySummary } from '../load/latencies.ts';
import { serveTask } from '../load/task.ts';

export interface OpenLoad {
  readonly port: number;
  readonly ratePerSecond: number;
  readonly warmUpMs: number;
  readonly measuredMs: number;
}

const connections = 64;
const request = Buffer.from('POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{}');

serveTask<OpenLoad, LatencySummary>(async ({ port, ratePerSecond, warmUpMs, measuredMs }) => {
  const latencies = new Latencies((measuredMs / 1_000) * ratePerSecond + 10_000);
  let lost: string | undefined;
  const free: HttpConnection[] = [];
  const due: number[] = [];
  let measureFromMs = Number.POSITIVE_INFINITY;
  const send = (connection: HttpConnection, dueMs: number) => {
    connection.sentAtMs = dueMs;
    connection.send(request);
  };
  for (let opened = 0; opened < connections; opened++)
    free.push(
      await HttpConnection.open(
        port,
        (status) => status === 200,
        (connection) => {
          if (connection.sentAtMs >= measureFromMs) latencies.record(performance.now() - connection.sentAtMs);
          const next = due.shift();
          if (next === undefined) free.push(connection);
          else send(connection, next);
        },
        (reason) => {
          lost = reason;
        },
      ),
    );
  let sent = 0;
  const total = ((warmUpMs + measuredMs) / 1_000) * ratePerSecond;
  const firstMs = performance.now();
  measureFromMs = firstMs + warmUpMs;
  while (sent < total && lost === undefined) {
    const nowMs = performance.now();
    for (; sent < total; sent++) {
      const dueMs = firstMs + (sent * 1_000) / ratePerSecond;
      if (dueMs > nowMs) break;
      const connection = free.pop();
      if (connection === undefined) due.push(dueMs);
      // The generator's own pace is not the service's latency; what waited for a connection is.
      else send(connection, performance.now());
    }
    // Asleep in between: a core that spins here would be missing there.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (free.length < connections && lost === undefined)
    await new Promise((resolve) => setImmediate(resolve));
  for (const connection of free) connection.close();
  if (lost !== undefined) throw new Error(`the service broke off: ${lost}`);
  return latencies.summary();
});
