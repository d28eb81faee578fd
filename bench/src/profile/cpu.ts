/** Who used the processors while the window was open: server, PostgreSQL, load generator. */
import type { WindowEdge } from '../load/task.ts';
import { cpuSeconds, machineBusySeconds } from '../side/process-tree.ts';

export interface CpuUse {
  events: number;
  wallSeconds: number;
  /** CPU seconds; the server is null where there is none (bare COPY). */
  serverSeconds: number | null;
  postgresSeconds: number;
  generatorSeconds: number;
  /** What the machine did for nobody of this benchmark: the more, the less the figures mean. */
  strangerSeconds: number;
}

export class CpuWatch {
  readonly #postgresPid: number;
  readonly #serverPid: number | null;
  readonly #readings: number[][] = [];

  constructor(postgresPid: number, serverPid: number | null) {
    this.#postgresPid = postgresPid;
    this.#serverPid = serverPid;
  }

  edge(_edge: WindowEdge, generatorPid: number): void {
    this.#readings.push([
      performance.now() / 1000,
      this.#serverPid === null ? 0 : cpuSeconds(this.#serverPid),
      cpuSeconds(this.#postgresPid),
      cpuSeconds(generatorPid),
      // Everything the benchmark started is its child, except for the backends, which are the postmaster's.
      machineBusySeconds() - cpuSeconds(process.pid) - cpuSeconds(this.#postgresPid),
    ]);
  }

  use(events: number): CpuUse {
    const [open, close] = this.#readings;
    const used = (index: number) => close![index]! - open![index]!;
    return {
      events,
      wallSeconds: used(0),
      serverSeconds: this.#serverPid === null ? null : used(1),
      postgresSeconds: used(2),
      generatorSeconds: used(3),
      strangerSeconds: Math.max(0, used(4)),
    };
  }
}

export function describeCpu(use: CpuUse): string {
  const part = (name: string, seconds: number) =>
    `${name} ${seconds.toFixed(2)} s (${((seconds / use.events) * 1e6).toFixed(1)} µs/event)`;
  return [
    `${use.wallSeconds.toFixed(1)} s wall`,
    ...(use.serverSeconds === null ? [] : [part('server', use.serverSeconds)]),
    part('postgres', use.postgresSeconds),
    part('generator', use.generatorSeconds),
  ].join(', ');
}
