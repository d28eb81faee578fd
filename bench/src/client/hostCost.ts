/** What a client adds to its host's requests: services without and with one, loaded in short turns. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { random } from '../detect/random.ts';
import { startTask } from '../load/task.ts';
import type { Handler } from './host.ts';
import type { OpenLoad, Turn } from './openLoad.ts';

export const ratePerSecond = 2_000;

/** Processes have luck of their own, with their memory and their compiled code: each session has new ones. */
const sessions = 4;
/** Of each session; the first are not measured. */
const warmUpRounds = 2;
const roundsOfSession = 14;
const turnMs = 300;
const loadLimitMs = 120_000;
const resamples = 2_000;

/** A figure and the interval in which it lies with 95 %. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface HostCost {
  /** Of the services without a client. */
  readonly plainP99Ms: number;
  readonly plainCpuUs: number;
  /** A second service without a client to the first: what chance makes of no difference. */
  readonly chance: Estimate;
  /** In the order of the URLs. */
  readonly clients: readonly ClientCost[];
}

interface ClientCost {
  /** p99 with a client to p99 without one. */
  readonly p99Ratio: Estimate;
  /** CPU time of all threads that it adds to a request. */
  readonly addedCpuUs: Estimate;
  /** Garbage collection that it adds to a request. */
  readonly addedPauseUs: number;
}

/** One round: the turns of the two services without a client, and of each with one. */
type Round = readonly [Turn, Turn, ...Turn[]];

/** @param urls of the collectors, each of which gets a service with a client */
export async function hostCost(handler: Handler, urls: readonly string[]): Promise<HostCost> {
  const bySession: Round[][] = [];
  for (let session = 0; session < sessions; session++)
    bySession.push(await roundsOf(handler, [undefined, undefined, ...urls], session));
  const plain = (of: (turn: Turn) => number) =>
    median(bySession.flat().flatMap(([one, other]) => [of(one), of(other)]));
  return {
    plainP99Ms: plain((turn) => turn.p99Ms),
    plainCpuUs: plain((turn) => turn.cpuUsPerRequest),
    chance: estimate(bySession, ([one, other]) => other.p99Ms / one.p99Ms),
    clients: urls.map((_, at) => ({
      // Chance favours neither of the services without a client: both together are what a client is compared with.
      p99Ratio: estimate(
        bySession,
        (round) => round[at + 2]!.p99Ms / Math.sqrt(round[0].p99Ms * round[1].p99Ms),
      ),
      addedCpuUs: estimate(bySession, (round) => added(round, at + 2, (turn) => turn.cpuUsPerRequest)),
      addedPauseUs: mean(
        bySession.flat().map((round) => added(round, at + 2, (turn) => turn.pausedUsPerRequest)),
      ),
    })),
  };
}

function added(round: Round, at: number, of: (turn: Turn) => number): number {
  return of(round[at]!) - (of(round[0]) + of(round[1])) / 2;
}

async function roundsOf(
  handler: Handler,
  urls: readonly (string | undefined)[],
  session: number,
): Promise<Round[]> {
  const hosts: ChildProcess[] = [];
  try {
    const ports: number[] = [];
    // Nobody is always started first.
    for (const at of urls.map((_, index) => (index + session) % urls.length)) {
      const url = urls[at];
      const host = fork(new URL('./host.js', import.meta.url), [
        handler,
        ...(url === undefined ? [] : [url]),
      ]);
      hosts.push(host);
      [ports[at]] = (await once(host, 'message')) as [number];
    }
    const rounds = warmUpRounds + roundsOfSession;
    const spec: OpenLoad = { ports, ratePerSecond, turnMs, rounds, seed: session + 1 };
    const load = new URL('./openLoad.js', import.meta.url);
    const turns = await startTask<OpenLoad, Turn[][]>(load, spec, { limitMs: loadLimitMs }).result;
    return Array.from({ length: roundsOfSession }, (_, round) => {
      const [one, other, ...others] = turns.map((each) => each[warmUpRounds + round]!);
      return [one!, other!, ...others];
    });
  } finally {
    for (const host of hosts) host.disconnect();
  }
}

/**
 * The median over all rounds. The machine's mood changes from second to second, so only turns of one round are compared;
 * the interval is a bootstrap's that draws sessions and then their rounds, because those of a session share their luck.
 */
function estimate(bySession: readonly Round[][], of: (round: Round) => number): Estimate {
  const values = bySession.map((rounds) => rounds.map(of));
  const { integer } = random(1);
  const draw = <Item>(items: readonly Item[]) => items.map(() => items[integer(items.length)]!);
  const medians = Float64Array.from({ length: resamples }, () =>
    median(draw(values).flatMap((rounds) => draw(rounds))),
  ).sort();
  return {
    value: median(values.flat()),
    low: medians[Math.floor(0.025 * resamples)]!,
    high: medians[Math.floor(0.975 * resamples)]!,
  };
}

function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
