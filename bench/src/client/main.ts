/** `npm run bench:client [-- track|wire|memory|exit|host]`: what instrumenting a service costs it, whatever the collector does. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { startTask } from '../load/task.ts';
import type { Ports, Temper } from './collector.ts';
import type { OpenLoad } from './openLoad.ts';
import type { Figures, Job } from './subject.ts';

/** Half a second each, for each of seven hosts; the first are not measured. */
const turns = 50;
const warmUpTurns = 4;
const bad: readonly Temper[] = ['dead', 'hangs', 'fails', 'dribbles', 'resets'];
const MiB = 1024 * 1024;
let failed = 0;

const parts = {
  track: measureTrack,
  wire: measureWire,
  memory: measureHeld,
  exit: measureExit,
  host: measureHost,
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

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
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
  const { medianUs, p999Us, retainedBytes } = await subject({ kind: 'track', url: urlOf('stores') });
  print('`track()`, median', `${medianUs!.toFixed(2)} µs`, { text: '2 µs', isMet: medianUs! <= 2 });
  print('`track()`, p99.9', `${p999Us!.toFixed(2)} µs`, { text: '10 µs', isMet: p999Us! <= 10 });
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

/** One host without a client, a second one to show what chance does, and one for each bad collector, in turns. */
async function measureHost(): Promise<void> {
  const urls = [undefined, undefined, ...bad.map(urlOf)];
  const hosts = urls.map((url) =>
    fork(new URL('./host.js', import.meta.url), url === undefined ? [] : [url]),
  );
  const ports = await Promise.all(hosts.map(async (host) => ((await once(host, 'message')) as [number])[0]));
  const spec: OpenLoad = { ports, ratePerSecond: 2_000, turnMs: 500, turns: warmUpTurns + turns };
  const load = new URL('./openLoad.js', import.meta.url);
  const p99s = await startTask<OpenLoad, number[][]>(load, spec, { limitMs: 230_000 }).result;
  for (const host of hosts) host.disconnect();
  const [plain, again, ...instrumented] = p99s.map((each) => each.slice(warmUpTurns)) as [
    number[],
    number[],
    ...number[][],
  ];
  print('p99 of a host at 2,000 requests/s without a client', `${median(plain).toFixed(2)} ms`);
  // The machine's mood changes from second to second: only turns of the same round are compared.
  const ratiosTo = (without: readonly number[], p99: readonly number[]) =>
    p99.map((ms, turn) => ms / without[turn]!);
  print('a second host without a client, to the first', withSpread(ratiosTo(plain, again)));
  // Chance favours neither: the two hosts without a client together are what the others are compared with.
  const without = plain.map((ms, turn) => Math.sqrt(ms * again[turn]!));
  for (const [at, p99] of instrumented.entries()) {
    const ratios = ratiosTo(without, p99);
    print(`with a client, collector ${bad[at]}, to without`, withSpread(ratios), {
      text: '1.05',
      isMet: median(ratios) <= 1.05,
    });
  }
}

/** The median, and between which values it lies with a probability of 95 %, by the binomial distribution of the ranks. */
function withSpread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const reach = 0.98 * Math.sqrt(sorted.length);
  const low = sorted[Math.max(0, Math.floor(sorted.length / 2 - reach))]!;
  const high = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + reach))]!;
  return `${median(values).toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}
