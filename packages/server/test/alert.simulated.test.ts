import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Incident,
  ModelTraffic,
  type TrafficShape,
  trafficShapes,
} from '../../../bench/src/detect/modelTraffic.ts';
import type { DetectorState } from '../src/alert/anomalies.ts';
import { EngineStore } from '../src/alert/engineStore.ts';
import { type Change, Evaluator, type OwnState } from '../src/alert/evaluator.ts';
import type { Rule } from '../src/alert/judge.ts';
import { noTotals } from '../src/alert/totals.ts';
import { createTestDatabase } from './support/postgres.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const startMs = Date.parse('2026-01-05T00:00:00Z');

/** The defaults, as the database holds them. */
let defaults: Rule[];
beforeAll(async () => {
  const database = await createTestDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  defaults = await new EngineStore(pool).rules();
  await pool.end();
  await database.drop();
});

/** A day in seconds: the evaluator over made-up traffic, each change written at once. */
class Simulated {
  readonly evaluator = new Evaluator();
  readonly traffic: ModelTraffic[];
  readonly opened: { rule: string; labels: Change['labels']; message: string; atMs: number }[] = [];
  readonly closed: { rule: string; atMs: number }[] = [];
  own: OwnState = { problems: [], isBlind: false };
  nowMs = startMs;
  #ids = 0;

  constructor(shapes: readonly TrafficShape[], rules: readonly Rule[] = defaults, seed = 1) {
    this.evaluator.setRules(rules);
    this.traffic = shapes.map((shape, index) => new ModelTraffic(shape, seed * 100 + index, startMs));
  }

  run(forMs: number, tickMs = 10_000): void {
    const endMs = this.nowMs + forMs;
    while (this.nowMs < endMs) {
      this.nowMs += tickMs;
      const models = this.traffic.flatMap((each) => each.advance(this.nowMs));
      this.write(this.evaluator.look(this.nowMs, { models, own: this.own }));
    }
  }

  /** Time passes and nobody looks; events come all the same. */
  sleep(forMs: number): void {
    this.nowMs += forMs;
    for (const each of this.traffic) each.advance(this.nowMs);
  }

  write(changes: readonly Change[]): void {
    const ids = new Map<Change, number>();
    for (const change of changes) {
      if (change.effect === 'close') this.closed.push({ rule: change.rule, atMs: this.nowMs });
      if (change.effect !== 'open') continue;
      ids.set(change, ++this.#ids);
      const { rule, labels, breach } = change;
      this.opened.push({ rule, labels, message: breach!.message, atMs: this.nowMs });
    }
    this.evaluator.accept(changes, ids);
  }

  /** Incidents that came after the traffic was known for so long. */
  after(forMs: number, incident: Incident, lastsMs = 15 * minuteMs): this {
    this.run(forMs);
    for (const each of this.traffic) each.incident = incident;
    this.run(lastsMs, 1_000);
    return this;
  }

  rules(): string[] {
    return [...new Set(this.opened.map(({ rule }) => rule))].sort();
  }
}

const steady = trafficShapes[0]!;

describe('on clean traffic the default rules', () => {
  test.for(trafficShapes.map((shape) => [shape.name, shape] as const))(
    'are nearly silent: %s',
    ([, shape]) => {
      const simulated = new Simulated([shape]);
      simulated.run(4 * dayMs, 20_000);
      // The first hours of a model are news of a kind: what is usual for it is not known.
      const later = simulated.opened.filter(({ atMs }) => atMs > startMs + dayMs);
      expect(
        simulated.opened.length,
        simulated.opened.map(({ message }) => message).join('\n'),
      ).toBeLessThanOrEqual(3);
      expect(later.length).toBeLessThanOrEqual(1);
    },
  );
});

describe('the default rules see', () => {
  const seen = (incident: Incident, lastsMs?: number) =>
    new Simulated([{ ...steady, perSecond: 5 }]).after(12 * hourMs, incident, lastsMs);

  test('sudden failure within seconds, and tell when it ended', () => {
    const simulated = seen({ errorShare: 0.3 }, 40 * minuteMs);
    const beganMs = startMs + 12 * hourMs;
    expect(simulated.opened[0]).toMatchObject({
      rule: 'error_failure',
      labels: { model_version: steady.name },
    });
    expect(simulated.opened[0]!.atMs - beganMs).toBeLessThanOrEqual(15_000);
    expect(simulated.rules()).toContain('error_burn_fast');
    simulated.traffic[0]!.incident = {};
    simulated.run(8 * hourMs);
    expect(simulated.closed.map(({ rule }) => rule)).toContain('error_failure');
    expect(simulated.closed.length).toBe(simulated.opened.length);
  });

  test('a small rise of errors that lasts', () => {
    expect(seen({ errorShare: 0.08 }, 6 * hourMs).rules()).toContain('error_burn_slow');
  });

  test('slowness', () => {
    const simulated = seen({ latency: 4 });
    expect(simulated.rules()).toContain('latency_p95');
    expect(simulated.opened.find(({ rule }) => rule === 'latency_p95')!.message).toMatch(
      /^p95 latency of steady, 20\/s is 1,\d\d\d ms in the last 5 min, usually 6\d\d ms \([\d,]+ events\)\.$/,
    );
  });

  test('a drop of confidence', () => {
    expect(seen({ confidence: -0.15 }).rules()).toContain('confidence_drop');
  });

  test('silence, and not a night that is silent each day', () => {
    const simulated = seen({ traffic: 0 });
    expect(simulated.rules()).toEqual(['traffic_stopped']);
    expect(simulated.opened[0]!.message).toMatch(
      /^No events of steady, 20\/s for 60 s, usually 30\d a minute/,
    );
    const office = trafficShapes.find(({ openHours }) => openHours !== undefined)!;
    const nights = new Simulated([office]);
    nights.run(2 * dayMs);
    nights.opened.length = 0;
    nights.run(4 * dayMs);
    expect(nights.opened.filter(({ rule }) => rule.startsWith('traffic'))).toEqual([]);
  });

  test('a collapse of traffic, for as long as it lasts', () => {
    const simulated = seen({ traffic: 0.1 }, hourMs);
    expect(simulated.rules()).toContain('traffic_collapsed');
    expect(simulated.closed.filter(({ rule }) => rule === 'traffic_collapsed')).toEqual([]);
  });
});

describe('silence is', () => {
  const models = ['a', 'b', 'c'].map((name) => ({ ...steady, name, perSecond: 3 }));

  test('one alert when nobody sends anything, and says that Nowcast works', () => {
    const simulated = new Simulated(models).after(12 * hourMs, { traffic: 0 });
    simulated.run(hourMs);
    expect(simulated.opened).toMatchObject([{ rule: 'traffic_stopped', labels: {} }]);
    expect(simulated.opened[0]!.message).toMatch(
      /^No events from any of 3 models for 60 s, usually 5\d\d a minute; Nowcast itself works/,
    );
  });

  test('that of one model while others go on', () => {
    const simulated = new Simulated(models);
    simulated.run(12 * hourMs);
    simulated.traffic[1]!.incident = { traffic: 0 };
    simulated.run(10 * minuteMs);
    expect(simulated.opened).toMatchObject([{ rule: 'traffic_stopped', labels: { model_version: 'b' } }]);
    expect(simulated.opened[0]!.message).toContain('other models go on');
  });

  test('none in a rollout: what one model lacks the next one has', () => {
    const simulated = new Simulated(models);
    simulated.run(12 * hourMs);
    simulated.traffic[1]!.incident = { traffic: 0 };
    simulated.traffic[2]!.incident = { traffic: 2 };
    simulated.run(30 * minuteMs);
    expect(simulated.opened).toEqual([]);
  });

  test('none while nobody watches, nor while events may come unseen', () => {
    const simulated = new Simulated([steady]);
    simulated.run(12 * hourMs);
    simulated.traffic[0]!.incident = { traffic: 0 };
    simulated.sleep(hourMs);
    simulated.run(30_000);
    expect(simulated.opened).toEqual([]);
    simulated.own = { problems: ['the canary did not arrive: the stage feed does not work'], isBlind: true };
    simulated.run(10 * minuteMs);
    expect(simulated.opened).toMatchObject([
      {
        rule: 'monitor_broken',
        message: 'Nowcast itself has a problem: the canary did not arrive: the stage feed does not work.',
      },
    ]);
    simulated.own = { problems: [], isBlind: false };
    simulated.run(10 * minuteMs);
    expect(simulated.rules()).toEqual(['monitor_broken', 'traffic_stopped']);
  });
});

describe('a sender that falls silent', () => {
  /** Two senders share the traffic of a model; each minute of theirs is read as the engine reads it. */
  function withSenders(): {
    simulated: Simulated;
    run: (forMs: number, shares: Record<string, number>) => void;
  } {
    const simulated = new Simulated([{ ...steady, perSecond: 5 }]);
    const counts = new Map<string, number>();
    const run = (forMs: number, shares: Record<string, number>) => {
      for (const endMs = simulated.nowMs + forMs; simulated.nowMs < endMs; ) {
        simulated.nowMs += 10_000;
        const atMs = Math.floor(simulated.nowMs / minuteMs) * minuteMs;
        const clients = Object.entries(shares).flatMap(([client, requests]) => {
          if (requests === 0) return [];
          const key = `${client} ${atMs}`;
          counts.set(key, (counts.get(key) ?? 0) + requests);
          return [{ client, atMs, requests: counts.get(key)! }];
        });
        const models = simulated.traffic.flatMap((each) => each.advance(simulated.nowMs));
        simulated.write(simulated.evaluator.look(simulated.nowMs, { models, clients }));
      }
    };
    return { simulated, run };
  }

  test('is named, while the others go on', () => {
    const { simulated, run } = withSenders();
    run(6 * hourMs, { web: 25, batch: 25 });
    simulated.traffic[0]!.incident = { traffic: 0.5 };
    const silent = () => simulated.opened.filter(({ rule }) => rule === 'client_silent');
    run(4 * minuteMs, { web: 25, batch: 0 });
    expect(silent()).toEqual([]);
    run(3 * minuteMs, { web: 25, batch: 0 });
    expect(silent()).toMatchObject([{ labels: { client: 'batch' } }]);
    expect(silent()[0]!.message).toMatch(
      /^The sender batch is silent for 5 min, usually 150 events a minute; other senders go on\.$/,
    );
  });

  test('is none when another one took its work over', () => {
    const { simulated, run } = withSenders();
    run(6 * hourMs, { web: 25, batch: 25 });
    run(hourMs, { web: 50, batch: 0 });
    expect(simulated.opened).toEqual([]);
  });
});

test('detectors go on where their states were saved', () => {
  const shape = trafficShapes[1]!;
  const whole = new Simulated([shape]);
  whole.run(dayMs);
  const states: DetectorState[] = [];
  for (;;) {
    const taken = whole.evaluator.anomalies.takeUnsaved(2);
    if (taken.length === 0) break;
    states.push(...taken);
  }
  expect(states.map(({ series }) => series).sort()).toEqual(
    ['confidence', 'error_rate', 'p95_latency_ms', 'requests', 'tokens'].map(
      (metric) => `anomaly/${metric}/${shape.name}`,
    ),
  );
  const restored = new Evaluator(JSON.parse(JSON.stringify(states)));
  restored.setRules(defaults);
  const { nowMs } = whole;
  // The minute that was not closed yet is read from the summaries.
  const atMs = nowMs - minuteMs;
  const lastMinute = whole.evaluator.series.models.get(shape.name)!.timeline.minute(atMs)!;
  restored.series.takeMinutes([{ model: shape.name, atMs, totals: lastMinute }]);
  const models = whole.traffic[0]!.advance(nowMs + minuteMs);
  for (const evaluator of [whole.evaluator, restored]) evaluator.look(nowMs + minuteMs, { models });
  for (const evaluator of [whole.evaluator, restored])
    evaluator.look(nowMs + minuteMs + 10_000, { models: [] });
  const after = (evaluator: Evaluator) =>
    evaluator.anomalies.takeUnsaved(9).filter(({ series }) => series.includes('/tokens/'));
  expect(after(restored)).toEqual(after(whole.evaluator));
});

test('beyond five hundred models nothing is judged, and it is known how many', () => {
  const evaluator = new Evaluator();
  const models = Array.from({ length: 503 }, (_, index) => ({
    model: `m${index}`,
    atMs: startMs,
    totals: { ...noTotals(), requests: 1 },
  }));
  evaluator.look(startMs, { models });
  expect(evaluator.series.models.size).toBe(500);
  expect(evaluator.series.unwatched.size).toBe(3);
});
