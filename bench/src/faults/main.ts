/** `npm run faults`: strikes a running Nowcast and counts what was lost. */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Fault, seededRandom } from './nemesis.ts';
import { summarize } from './report.ts';
import { type Plan, type RunReport, runFaults } from './run.ts';
import { SmallDisk } from './smallDisk.ts';

const usage = `Usage: npm run faults -- [options]

  --short           a minute instead of ten
  --seed N          strike as that run did (default: the time)
  --only own|given|disk  only with the server's own PostgreSQL, only with a given one behind a line that is cut, or only
                    with the server's own on a small disk that is filled
  --history FILE    where every request and answer is written (default: in the temporary directory)
  --help            this text
`;

const places: Record<Plan['database'], string> = {
  own: "the server's own PostgreSQL",
  given: 'a given PostgreSQL',
  'small disk': "the server's own PostgreSQL on a small disk",
};

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string' },
    history: { type: 'string', default: path.join(tmpdir(), 'nowcast-faults-history.jsonl') },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(usage);
} else {
  process.exitCode = await main(Number(values.seed), values.short, values.only, path.resolve(values.history));
}

async function main(
  seed: number,
  short: boolean,
  only: string | undefined,
  history: string,
): Promise<number> {
  const say = (line: string) => process.stdout.write(`${line}\n`);
  say(`seed ${seed}, history in ${history}`);
  rmSync(history, { force: true });
  const runs: RunReport[] = [];
  for (const plan of plans(seed, short)) {
    if (only !== undefined && !plan.database.endsWith(only)) continue;
    say(`\n${places[plan.database]}`);
    const missing = plan.database === 'small disk' ? SmallDisk.missing() : undefined;
    if (missing !== undefined) {
      say(`left out: ${missing}`);
      continue;
    }
    runs.push(await runFaults({ ...plan, historyFile: history, say }));
  }
  const { lines, broken } = summarize(runs);
  say(`\n${lines.join('\n')}`);
  for (const what of broken) say(`BROKEN: ${what}`);
  return broken.length === 0 ? 0 : 1;
}

function plans(seed: number, short: boolean): Omit<Plan, 'historyFile' | 'say'>[] {
  const times = short ? 1 : 7;
  const own: Fault[] = [
    ...repeated(times, [
      'kill server',
      'kill writer backend',
      'kill PostgreSQL',
      'stop PostgreSQL',
      'restart server',
    ]),
    ...repeated(short ? 0 : 8, ['kill writer backend']),
    ...repeated(short ? 1 : 4, ['set the clock', 'hold a batch id']),
  ];
  const given: Fault[] = repeated(short ? 2 : 14, [
    'kill server',
    'cut the answer to a commit',
    'kill writer backend',
    'terminate writer backend',
  ]);
  given.push(
    ...repeated(short ? 1 : 3, ['hold a batch id', 'use up the connections', 'make PostgreSQL read-only']),
  );
  const stopMs: readonly [number, number] = short ? [1_000, 2_000] : [1_000, 8_000];
  const common = {
    seed,
    stopMs,
    floodMs: short ? 10_000 : 60_000,
    deliveryLagMs: 3_000,
  };
  return [
    {
      ...common,
      database: 'own',
      faults: [...shuffled(own, seed), 'stop PostgreSQL under 10,000 events/s'],
      minAcknowledged: short ? 0 : 600_000,
    },
    { ...common, database: 'given', faults: shuffled(given, seed), minAcknowledged: short ? 0 : 450_000 },
    {
      ...common,
      database: 'small disk',
      faults: repeated(short ? 1 : 4, ['fill the disk', 'kill server']),
      minAcknowledged: 0,
    },
  ];
}

function repeated(times: number, faults: readonly Fault[]): Fault[] {
  return Array.from({ length: times }, () => faults).flat();
}

function shuffled(faults: readonly Fault[], seed: number): Fault[] {
  const random = seededRandom(seed);
  return faults
    .map((fault) => ({ fault, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ fault }) => fault);
}
