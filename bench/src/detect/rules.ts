/** The default rules in simulated time: how often they cry wolf on clean traffic, and how soon they see an incident. */

import { EngineStore } from 'nowcast/dist/alert/engineStore.js';
import { type Change, Evaluator } from 'nowcast/dist/alert/evaluator.js';
import type { Rule } from 'nowcast/dist/alert/judge.js';
import { migrate } from 'nowcast/dist/store/migrate.js';
import pg from 'pg';
import { startPostgres } from '../side/postgres.ts';
import { type Incident, ModelTraffic, type TrafficShape, trafficShapes } from './modelTraffic.ts';

const startMs = Date.parse('2026-01-05T00:00:00Z');
const dayMs = 86_400_000;
const weekMs = 7 * dayMs;

interface Opened {
  readonly atMs: number;
  readonly rule: string;
  readonly model: string;
  readonly message: string;
}

/** Runs the evaluator over the traffic of models; each change counts as written at once. */
class Simulation {
  readonly evaluator = new Evaluator();
  readonly traffic: readonly ModelTraffic[];
  readonly opened: Opened[] = [];
  /** How long the last look took. */
  lookMs = 0;
  #nowMs = startMs;
  #ids = 0;

  constructor(rules: readonly Rule[], shapes: readonly TrafficShape[], seed: number) {
    this.evaluator.setRules(rules);
    this.traffic = shapes.map((shape, index) => new ModelTraffic(shape, seed * 1000 + index, startMs));
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** @param until tells when to stop early */
  run(forMs: number, tickMs: number, until: () => boolean = () => false): void {
    const endMs = this.#nowMs + forMs;
    while (this.#nowMs < endMs && !until()) {
      this.#nowMs += tickMs;
      const models = this.traffic.flatMap((each) => each.advance(this.#nowMs));
      const startedAt = performance.now();
      const changes = this.evaluator.look(this.#nowMs, { models });
      this.lookMs = performance.now() - startedAt;
      const ids = new Map<Change, number>();
      for (const change of changes) {
        if (change.effect !== 'open') continue;
        ids.set(change, ++this.#ids);
        const { rule, labels, breach } = change;
        const model = labels.model_version ?? 'all models';
        this.opened.push({ atMs: this.#nowMs, rule, model, message: breach?.message ?? '' });
      }
      this.evaluator.accept(changes, ids);
    }
  }
}

/** The defaults, as a new database has them. */
export async function printRules(): Promise<void> {
  const postgres = await startPostgres();
  const pool = new pg.Pool({ connectionString: await postgres.createDatabase('rules'), max: 1 });
  pool.on('error', () => undefined);
  let rules: Rule[];
  try {
    await migrate(pool.options.connectionString!);
    rules = await new EngineStore(pool).rules();
  } finally {
    await pool.end();
    await postgres.stop();
  }
  printCleanTraffic(rules);
  printReactions(rules);
  printCost(rules);
}

function printCleanTraffic(rules: readonly Rule[]): void {
  const days = 30;
  const seeds = [1, 2];
  const found = seeds.flatMap((seed) => {
    // Each model alone, so that no other one's traffic vouches for it.
    return trafficShapes.flatMap((shape) => {
      const simulation = new Simulation(rules, [shape], seed);
      simulation.run(days * dayMs, 5_000);
      return simulation.opened;
    });
  });
  console.log(
    `\nAlerts of the default rules on ${days} clean days (${seeds.length} seeds), a model and week:\n`,
  );
  console.log('| traffic | alerts a week | by which rules |\n|---|---:|---|');
  for (const { name } of trafficShapes) {
    const own = found.filter(({ model }) => model === name);
    const byRule = new Map<string, number>();
    for (const { rule } of own) byRule.set(rule, (byRule.get(rule) ?? 0) + 1);
    const told = [...byRule].map(([rule, count]) => `${rule} ${count}`).join(', ');
    console.log(
      `| ${name} | ${((own.length * 7 * dayMs) / (days * dayMs * seeds.length)).toFixed(2)} | ${told} |`,
    );
  }
}

const incidents: readonly {
  readonly name: string;
  readonly incident: Incident;
  readonly rules: readonly string[];
}[] = [
  { name: 'errors 1 % to 30 %', incident: { errorShare: 0.3 }, rules: ['error_failure'] },
  { name: 'total failure', incident: { errorShare: 1 }, rules: ['error_failure'] },
  {
    name: 'errors 1 % to 5 %',
    incident: { errorShare: 0.05 },
    rules: ['error_failure', 'error_burn_fast', 'error_burn_slow', 'anomaly'],
  },
  { name: 'latency three times', incident: { latency: 3 }, rules: ['latency_p95', 'anomaly'] },
  { name: 'confidence 0.85 to 0.7', incident: { confidence: -0.15 }, rules: ['confidence_drop', 'anomaly'] },
  { name: 'traffic stops', incident: { traffic: 0 }, rules: ['traffic_stopped'] },
  { name: 'a tenth of the traffic', incident: { traffic: 0.1 }, rules: ['traffic_collapsed', 'anomaly'] },
];

function printReactions(rules: readonly Rule[]): void {
  const seeds = Array.from({ length: 10 }, (_, index) => index + 1);
  console.log(
    '\nSeconds from the beginning of an incident to its alert, steady traffic of 20 events a second:\n',
  );
  console.log('| incident | median | worst of 10 |\n|---|---:|---:|');
  for (const { name, incident, rules: expected } of incidents) {
    const delays = seeds.map((seed) => delaySeconds(rules, incident, expected, seed)).sort((a, b) => a - b);
    console.log(
      `| ${name} | ${delays[Math.floor(delays.length / 2)]!.toFixed(0)} | ${delays.at(-1)!.toFixed(0)} |`,
    );
  }
}

/** One look at many models that are all busy, a minute's end with its detectors included. */
function printCost(rules: readonly Rule[]): void {
  console.log('\nOne look of the evaluator, all models busy, milliseconds:\n');
  console.log(
    '| models | series | median | p95 | worst, with the detectors of a closed minute |\n|---|---:|---:|---:|---:|',
  );
  for (const models of [100, 500]) {
    const shapes = Array.from({ length: models }, (_, index) => ({
      ...trafficShapes[0]!,
      name: `model ${index}`,
    }));
    const simulation = new Simulation(rules, shapes, 1);
    simulation.run(3_600_000, 20_000);
    const looks: number[] = [];
    simulation.run(180_000, 1_000, () => {
      looks.push(simulation.lookMs);
      return false;
    });
    const sorted = looks.slice(1).sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
    console.log(`| ${models} | ${models * 5} | ${at(0.5)} | ${at(0.95)} | ${at(1)} |`);
  }
}

function delaySeconds(
  rules: readonly Rule[],
  incident: Incident,
  expected: readonly string[],
  seed: number,
): number {
  const simulation = new Simulation(rules, [trafficShapes[0]!], seed);
  simulation.run(dayMs / 4, 5_000);
  const beganMs = simulation.nowMs + seed * 777;
  simulation.run(seed * 777, 777);
  simulation.traffic[0]!.incident = incident;
  const before = simulation.opened.length;
  const isSeen = () => simulation.opened.slice(before).some(({ rule }) => expected.includes(rule));
  simulation.run(weekMs / 14, 1_000, isSeen);
  return isSeen() ? (simulation.nowMs - beganMs) / 1000 : Number.POSITIVE_INFINITY;
}
