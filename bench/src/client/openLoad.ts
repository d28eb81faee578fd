/**
 * Requests that come by chance at a given mean rate, sent whether or not earlier ones are answered, to one service after
 * the other in short turns: what else the machine does meanwhile hits all of them alike.
 */
import { random } from '../detect/random.ts';
import { HttpConnection } from '../load/http-connection.ts';
import { Latencies } from '../load/latencies.ts';
import { serveTask } from '../load/task.ts';
import type { Usage } from './host.ts';

export interface OpenLoad {
  readonly ports: readonly number[];
  readonly ratePerSecond: number;
  /** Of one turn, the first fifth of which is not measured. */
  readonly turnMs: number;
  /** In each of which every service has one turn. */
  readonly rounds: number;
  readonly seed: number;
}

/** What one service did in one turn. */
export interface Turn {
  readonly p99Ms: number;
  readonly cpuUsPerRequest: number;
  readonly pausedUsPerRequest: number;
}

const connections = 64;
/** A generator that was late goes on from where it is: its own pauses are no bursts for the service. */
const maxStepMs = 2;
const predict = Buffer.from('POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{}');
const askUsage = Buffer.from('GET /usage HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');

/** The turns of each service, by port in the order given. */
serveTask<OpenLoad, Turn[][]>(async ({ ports, ratePerSecond, turnMs, rounds, seed }) => {
  const services = await Promise.all(ports.map(openService));
  const turns = ports.map((): Turn[] => []);
  const chance = random(seed);
  let order: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // By chance, and then the other way round: nobody always comes before or after the same one.
    order = round % 2 === 0 ? shuffled(ports.length, chance.integer) : order.toReversed();
    // The same requests come to each of them.
    const arrivals = arrivalsMs(ratePerSecond, turnMs, chance.uniform);
    for (const index of order) turns[index]!.push(await services[index]!.turn(arrivals, turnMs / 5));
  }
  for (const service of services) service.close();
  return turns;
});

function shuffled(count: number, integer: (below: number) => number): number[] {
  const order = Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at--) {
    const other = integer(at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}

/** A Poisson process: milliseconds since the turn began. */
function arrivalsMs(ratePerSecond: number, turnMs: number, uniform: () => number): number[] {
  const arrivals: number[] = [];
  for (let atMs = 0; ; ) {
    atMs -= (Math.log(1 - uniform()) * 1_000) / ratePerSecond;
    if (atMs >= turnMs) return arrivals;
    arrivals.push(atMs);
  }
}

async function openService(port: number) {
  const free: HttpConnection[] = [];
  let latencies = new Latencies(1);
  let measureFromMs = Number.POSITIVE_INFINITY;
  let lost: string | undefined;
  const waiting: number[] = [];
  const send = (connection: HttpConnection, atMs: number) => {
    connection.sentAtMs = atMs;
    connection.send(predict);
  };
  const answered = (connection: HttpConnection) => {
    if (connection.sentAtMs >= measureFromMs) latencies.record(performance.now() - connection.sentAtMs);
    const next = waiting.shift();
    if (next === undefined) free.push(connection);
    else send(connection, next);
  };
  const whenLost = (reason: string) => {
    lost = reason;
  };
  for (let opened = 0; opened < connections; opened++)
    free.push(await HttpConnection.open(port, (status) => status === 200, answered, whenLost));
  let told: (usage: Usage) => void = () => undefined;
  const asking = await HttpConnection.open(
    port,
    () => true,
    (_connection, { text }) => told(JSON.parse(text.slice(text.indexOf('{')))),
    whenLost,
  );
  const throwIfLost = () => {
    if (lost !== undefined) throw new Error(`the service at ${port} broke off: ${lost}`);
  };
  const usage = () =>
    new Promise<Usage>((resolve) => {
      told = resolve;
      asking.send(askUsage);
    });

  return {
    async turn(arrivals: readonly number[], warmUpMs: number): Promise<Turn> {
      const before = await usage();
      latencies = new Latencies(arrivals.length);
      let sent = 0;
      let turnMs = 0;
      measureFromMs = Number.POSITIVE_INFINITY;
      for (let lastMs = performance.now(); sent < arrivals.length; ) {
        throwIfLost();
        const nowMs = performance.now();
        turnMs += Math.min(nowMs - lastMs, maxStepMs);
        lastMs = nowMs;
        if (turnMs >= warmUpMs && measureFromMs > nowMs) measureFromMs = nowMs;
        for (; sent < arrivals.length && arrivals[sent]! <= turnMs; sent++) {
          const connection = free.shift();
          // What waits for a connection waits for the service.
          if (connection === undefined) waiting.push(nowMs);
          else send(connection, performance.now());
        }
        // Asleep in between: a core that spins here would be missing there.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      while (free.length < connections) {
        throwIfLost();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const after = await usage();
      return {
        p99Ms: latencies.summary().p99Ms,
        cpuUsPerRequest: (after.cpuUs - before.cpuUs) / arrivals.length,
        pausedUsPerRequest: ((after.pausedMs - before.pausedMs) * 1_000) / arrivals.length,
      };
    },
    close() {
      for (const connection of [...free, asking]) connection.close();
    },
  };
}
