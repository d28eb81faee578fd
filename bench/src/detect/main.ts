/**
 * `npm run bench:detect`: how often the detectors cry wolf on clean traffic, how soon they see an incident and Slack hears
 * of it. `-- live` runs one part.
 */
import { SeriesDetector } from 'nowcast/dist/process/detect/index.js';
import { printExplanations } from './explanations.ts';
import { apply, labelledSeries } from './incidents.ts';
import { printLive } from './live.ts';
import { printLooks } from './looks.ts';
import { random } from './random.ts';
import { rateAlarms, rateDelay, rateName, rates } from './rates.ts';
import { printRules } from './rules.ts';
import { cleanSeries, type Shape, shapes, startMs } from './shapes.ts';

const cleanDays = 30;
const seeds = [1, 2, 3];
const minuteMs = 60_000;

function printFalseAlarms(): void {
  console.log(
    `False alarms a series and week on ${cleanDays} clean days, ${seeds.length} seeds, at the budget of 1:\n`,
  );
  console.log('| series | mean | worst seed |\n|---|---:|---:|');
  for (const shape of shapes) {
    printRow(
      shape.name,
      seeds.map((seed) => alarmsOf(cleanSeries(shape, seed * 31, cleanDays)).length),
    );
  }
  for (const rate of rates)
    printRow(
      rateName(rate),
      seeds.map((seed) => rateAlarms(rate, seed, cleanDays)),
    );
}

function printRow(name: string, alarms: number[]): void {
  const perWeek = alarms.map((count) => (count * 7) / cleanDays);
  const mean = perWeek.reduce((sum, count) => sum + count, 0) / perWeek.length;
  console.log(`| ${name} | ${mean.toFixed(2)} | ${Math.max(...perWeek).toFixed(2)} |`);
}

/** Incidents of known size, each alone at the end of ten clean days: points until the alarm. */
function printDelays(): void {
  const sizes = [4, 8, 16];
  console.log(
    '\nPoints until the alarm (median of seen ones, and how many of 10 were seen) for a shift up in spreads:\n',
  );
  console.log(
    `| series | ${sizes.map((size) => `+${size}`).join(' | ')} |\n|---|${sizes.map(() => '---:|').join('')}`,
  );
  for (const shape of shapes) {
    console.log(
      `| ${shape.name} | ${sizes.map((size) => describe(Array.from({ length: 10 }, (_, seed) => delayOf(shape, size, seed)))).join(' | ')} |`,
    );
  }
  const shares = [0.05, 0.1, 0.3, 1];
  console.log(
    `\nThe same for error shares that jump:\n\n| series | ${shares.map((share) => `to ${share * 100} %`).join(' | ')} |\n|---|${shares.map(() => '---:|').join('')}`,
  );
  for (const rate of rates) {
    console.log(
      `| ${rateName(rate)} | ${shares.map((share) => (share <= rate.bad ? '' : describe(Array.from({ length: 10 }, (_, seed) => rateDelay(rate, share, seed))))).join(' | ')} |`,
    );
  }
}

function describe(delays: (number | undefined)[]): string {
  const seen = delays.filter((delay) => delay !== undefined).sort((a, b) => a - b);
  return seen.length === 0 ? 'none' : `${seen[Math.floor(seen.length / 2)]} (${seen.length})`;
}

function delayOf(shape: Shape, size: number, seed: number): number | undefined {
  const points = cleanSeries(shape, 1000 + seed, 10.5);
  const from = Math.round(points.length * 0.952) + seed;
  apply(points, shape, (value) => value + size * shape.spread, from, points.length - from);
  const alarm = alarmsOf(points.slice(0, from + 30)).find((index) => index >= from);
  return alarm === undefined ? undefined : alarm - from + 1;
}

function alarmsOf(points: readonly { timestampMs: number; value: number }[]): number[] {
  const detector = SeriesDetector.restore(undefined);
  return points.flatMap((point, index) =>
    detector.push(point.timestampMs, point.value).anomaly ? [index] : [],
  );
}

/** Mixed incidents of every kind, most of them small: how many raise an alarm before they end. */
function printLabelled(): void {
  const found = new Map<string, { seen: number; all: number }>();
  let strays = 0;
  let pointCount = 0;
  for (const shape of shapes) {
    for (let seed = 1; seed <= 5; seed++) {
      const { points, incidents } = labelledSeries(
        shape,
        seed * 101 + shape.name.length,
        shape.intervalMs >= 3_600_000 ? 1600 : 4000,
      );
      const alarms = alarmsOf(points);
      const isIn = (alarm: number, incident: { from: number; to: number }) =>
        alarm >= incident.from && alarm < incident.to + 20;
      for (const incident of incidents) {
        const entry = found.get(incident.kind) ?? { seen: 0, all: 0 };
        found.set(incident.kind, entry);
        entry.all++;
        if (alarms.some((alarm) => isIn(alarm, incident))) entry.seen++;
      }
      strays += alarms.filter((alarm) => !incidents.some((incident) => isIn(alarm, incident))).length;
      pointCount += points.length;
    }
  }
  console.log(
    `\nMixed incidents in ${shapes.length * 5} series (${((strays / pointCount) * 1000).toFixed(2)} alarms per 1,000 points outside them):\n`,
  );
  console.log('| incident | seen |\n|---|---:|');
  for (const [kind, { seen, all }] of found) console.log(`| ${kind} | ${seen} of ${all} |`);
}

function printCost(): void {
  const seriesCount = 500;
  const r = random(9);
  const detectors = Array.from({ length: seriesCount }, () => SeriesDetector.restore(undefined));
  let states: string[] = [];
  const push = (detector: SeriesDetector, round: number) => {
    detector.push(startMs + round * minuteMs, 100 + r.normal());
    return JSON.stringify(detector.state());
  };
  const live = medianMs((round) => {
    states = detectors.map((detector) => push(detector, round));
  });
  const restored = medianMs((round) => {
    states = states.map((state) => push(SeriesDetector.restore(JSON.parse(state)), 100 + round));
  });
  const bytes = Math.round(states.reduce((sum, state) => sum + state.length, 0) / seriesCount);
  console.log(
    `\n${seriesCount} series pushed and written as JSON: median ${live.toFixed(1)} ms; restored from JSON before: ${restored.toFixed(1)} ms (${bytes} bytes a state).`,
  );
}

function medianMs(measure: (round: number) => void): number {
  const rounds = Array.from({ length: 60 }, (_, round) => {
    const startedAt = performance.now();
    measure(round);
    return performance.now() - startedAt;
  });
  return rounds.sort((a, b) => a - b)[30]!;
}

const parts: Readonly<Record<string, () => void | Promise<void>>> = {
  alarms: printFalseAlarms,
  delays: printDelays,
  mixed: printLabelled,
  cost: printCost,
  rules: printRules,
  live: printLive,
  looks: printLooks,
  explanations: printExplanations,
};
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => parts[name] === undefined);
if (unknown !== undefined) {
  console.error(`No part is called "${unknown}"; there are ${Object.keys(parts).join(', ')}.`);
  process.exit(2);
}
for (const name of wanted.length > 0 ? wanted : Object.keys(parts)) await parts[name]!();
