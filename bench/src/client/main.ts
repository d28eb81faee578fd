/** `npm run bench:client [-- track|wire|memory|exit|host|bare]`: what instrumenting a service costs it, whatever the collector does. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { startTask } from '../load/task.ts';
import type { Ports, Temper } from './collector.ts';
import type { Handler } from './host.ts';
import { type Estimate, type HostCost, hostCost, ratePerSecond } from './hostCost.ts';
import type { Figures, Job } from './subject.ts';

const bad: readonly Temper[] = ['dead', 'hangs', 'fails', 'dribbles', 'resets'];
const hostTempers: readonly Temper[] = [...bad, 'stores'];
const MiB = 1024 * 1024;
let failed = 0;

const parts = {
  track: measureTrack,
  wire: measureWire,
  memory: measureHeld,
  exit: measureExit,
  host: measureHost,
  bare: measureBare,
} as const;
type Part = keyof typeof parts;
const named = process.argv.slice(2);
const unknown = named.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
const chosen = (named.length > 0 ? named : Object.keys(parts)) as Part[];

function print(what: string, figure: string, target?: { text: string; isMet: boolean }): void {
  if (target?.isMet === false) failed++;
  const verdict = target === undefined ? '' : target.isMet ? 'met' : 'MISSED';
  console.log(`| ${what} | ${figure} | ${target?.text ?? ''} | ${verdict} |`);
}

const subject = (job: Job) =>
  startTask<Job, Figures>(new URL('./subject.js', import.meta.url), job, { limitMs: 120_000 }).result;

const collector = fork(new URL('./collector.js', import.meta.url));
const [ports] = (await once(collector, 'message')) as [Ports];
const urlOf = (temper: Temper) => `http://127.0.0.1:${ports[temper]}`;
console.log('| what | figure | target | |\n|---|---|---|---|');
try {
  for (const part of chosen) await parts[part]();
} finally {
  collector.disconnect();
}
process.exitCode = failed > 0 ? 1 : 0;

async function measureTrack(): Promise<void> {
  const { medianUs, p999Us, burstUs, retainedBytes } = await subject({ kind: 'track', url: urlOf('stores') });
  print('`track()`, median', `${medianUs!.toFixed(2)} µs`, { text: '2 µs', isMet: medianUs! <= 2 });
  print('`track()`, p99.9', `${p999Us!.toFixed(2)} µs`, { text: '10 µs', isMet: p999Us! <= 10 });
  print('`track()`, mean of 60,000 in one turn', `${burstUs!.toFixed(2)} µs`, {
    text: '2 µs',
    isMet: burstUs! <= 2,
  });
  // A tenth of a byte is the heap's own noise, divided by the events.
  print('kept of a delivered event', `${retainedBytes!.toFixed(2)} bytes`, {
    text: '0',
    isMet: retainedBytes! < 0.1,
  });
}

async function measureWire(): Promise<void> {
  const events = 1_000;
  const bytesOf = async (how: 'batches' | 'single') => {
    const before = await received();
    await subject({ kind: 'wire', url: urlOf('stores'), how, events });
    return ((await received()) - before) / events;
  };
  const batched = await bytesOf('batches');
  const single = await bytesOf('single');
  const ratio = batched / single;
  print(
    'bytes on the wire of an event in batches of 50, to those of a single POST',
    `${batched.toFixed(0)} / ${single.toFixed(0)} = ${ratio.toFixed(2)}`,
    { text: '0.2', isMet: ratio <= 0.2 },
  );
}

async function received(): Promise<number> {
  collector.send('received');
  const [bytes] = await once(collector, 'message');
  return bytes;
}

async function measureHeld(): Promise<void> {
  for (const temper of bad) {
    const { heldBytes, closeMs } = await subject({ kind: 'held', url: urlOf(temper) });
    print(`held after 200,000 events, collector ${temper}`, `${(heldBytes! / MiB).toFixed(1)} MiB`, {
      text: '8 MB',
      isMet: heldBytes! <= 8e6,
    });
    print(`close() takes, collector ${temper}`, `${closeMs!.toFixed(0)} ms`, {
      text: '1 s',
      isMet: closeMs! <= 1_000,
    });
  }
}

async function measureExit(): Promise<void> {
  for (const temper of bad) {
    const program = fork(new URL('./exit.js', import.meta.url), [urlOf(temper)]);
    await once(program, 'message');
    const closedMs = performance.now();
    await once(program, 'exit');
    const ms = performance.now() - closedMs;
    print(`process ends after close(), collector ${temper}`, `${ms.toFixed(0)} ms`, {
      text: '1 s',
      isMet: ms <= 1_000,
    });
  }
}

/** A service as one is, which waits for a model: what a client may add to its slowest requests is a target. */
async function measureHost(): Promise<void> {
  const { chance, clients } = await printHost('lifelike');
  print('a second service without a client, to the first', withInterval(chance, 3), {
    text: '0.97 to 1.03',
    isMet: Math.abs(chance.value - 1) <= 0.03,
  });
  for (const [at, { p99Ratio }] of clients.entries())
    print(`p99 with a client, collector ${hostTempers[at]}, to without`, withInterval(p99Ratio, 3), {
      text: '1.05',
      isMet: p99Ratio.value <= 1.05,
    });
}

/** A service that does next to nothing: what a client adds to it is seen best, and is nobody's service. */
async function measureBare(): Promise<void> {
  const { chance, clients } = await printHost('bare');
  print('a second bare service without a client, to the first', withInterval(chance, 2));
  for (const [at, { p99Ratio }] of clients.entries())
    print(`p99 of a bare service with a client, collector ${hostTempers[at]}`, withInterval(p99Ratio, 2));
}

async function printHost(handler: Handler): Promise<HostCost> {
  const cost = await hostCost(handler, hostTempers.map(urlOf));
  const { plainP99Ms, plainCpuUs, clients } = cost;
  print(
    `p99 and CPU of a ${handler} service without a client, at ${ratePerSecond} requests/s`,
    `${plainP99Ms.toFixed(2)} ms, ${plainCpuUs.toFixed(0)} µs`,
  );
  for (const [at, { addedCpuUs, addedPauseUs }] of clients.entries())
    print(
      `CPU and garbage collection that a client adds to a request, collector ${hostTempers[at]}`,
      `${withInterval(addedCpuUs, 0)} µs, ${addedPauseUs.toFixed(1)} µs`,
    );
  return cost;
}

function withInterval({ value, low, high }: Estimate, digits: number): string {
  return `${value.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}
