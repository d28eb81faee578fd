import { parseBudget, RateDetector, SeriesDetector, type Verdict } from '../process/detect/index.ts';
import { numberOf, textOf } from './condition.ts';
import { type Breach, calm, type Labels, type Outcome, type Rule, type Surroundings } from './judge.ts';
import type { Series } from './series.ts';
import { minuteMs, type Timeline } from './timeline.ts';
import type { Totals } from './totals.ts';

/** A warning nobody asked for should be rare over a whole fleet of series. */
const defaultBudget = '1 per month';
const defaultRelativeChange = 0.1;
/** A mean or a quantile of fewer events is mostly chance. */
const leastEvents = 20;
/** Traffic comes in bursts of a minute; what matters of it stays for another one. */
const leastTrafficMinutes = 2;
/** A minute is judged when events of its last second had this long to arrive. */
export const settleMs = 3_000;
/** What is older teaches and does not alarm: it is caught up after a restart. */
const staleMs = 5 * minuteMs;

interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly asked: NonNullable<Breach['asked']>['metric'];
  /** Undefined when the minute says nothing of it. */
  readonly value: (totals: Totals) => number | undefined;
  readonly direction: 'up' | 'down' | 'both';
}

const ifEnough = (count: number, value: number) => (count >= leastEvents ? value : undefined);

const metrics = {
  requests: {
    name: 'traffic',
    unit: 'events a minute',
    asked: 'traffic',
    value: (t) => t.requests,
    direction: 'both',
  },
  error_rate: { name: 'error share', unit: '', asked: 'error_rate', value: (t) => t.errors, direction: 'up' },
  p95_latency_ms: {
    name: 'p95 latency',
    unit: 'ms',
    asked: 'latency',
    value: (t) => ifEnough(t.requests, t.p95SumMs / t.requests),
    direction: 'up',
  },
  confidence: {
    name: 'mean confidence',
    unit: '',
    asked: 'confidence',
    value: (t) => ifEnough(t.confidenceCount, t.confidenceSum / t.confidenceCount),
    direction: 'both',
  },
  tokens: {
    name: 'mean tokens',
    unit: 'a request',
    asked: 'tokens',
    value: (t) => (t.tokens > 0 ? ifEnough(t.requests, t.tokens / t.requests) : undefined),
    direction: 'both',
  },
} as const satisfies Record<string, Metric>;

type MetricName = keyof typeof metrics;
const metricNames = Object.keys(metrics) as MetricName[];

export interface DetectorState {
  readonly series: string;
  readonly state: { readonly at: number; readonly detector: unknown };
}

interface Watched {
  readonly series: string;
  /** Of the rule: a changed budget goes on with what was learnt. */
  readonly version: number;
  readonly detector: SeriesDetector | RateDetector;
  /** The last minute that it was shown. */
  atMs: number;
  dirty: boolean;
  /** Unusual minutes in a row, and whether an alarm was among them. */
  streak: number;
  alarmed: boolean;
}

export interface Judged {
  readonly labels: Labels;
  readonly outcome: Outcome;
}

/** Self-calibrated detectors, one a rule, model and metric, shown each minute once it is closed. */
export class Anomalies {
  readonly #watched = new Map<string, Watched>();
  readonly #saved: Map<string, DetectorState['state']>;

  constructor(saved: readonly DetectorState[] = []) {
    this.#saved = new Map(saved.map(({ series, state }) => [series, state]));
  }

  /** Judges the newest closed minute of each series, after showing the detectors those that they missed. */
  closeMinutes(
    rule: Rule,
    models: Iterable<Series>,
    lastMs: number,
    around: Surroundings,
    isOpen: (labels: Labels) => boolean,
  ): Judged[] {
    const judged: Judged[] = [];
    for (const { labels, timeline } of models) {
      if (timeline.firstMs === undefined) continue;
      for (const metric of this.#metricsOf(rule)) {
        const watched = this.#watch(rule, labels.model_version!, metric, lastMs);
        let outcome: Outcome | undefined;
        for (
          let atMs = Math.max(watched.atMs + minuteMs, lastMs - 60 * minuteMs);
          atMs <= lastMs;
          atMs += minuteMs
        ) {
          outcome = this.#show(watched, metric, rule, labels, timeline, atMs, around, isOpen) ?? outcome;
          watched.atMs = atMs;
          if (atMs < lastMs - staleMs) outcome = undefined;
        }
        const named = { ...labels, metric };
        judged.push({ labels: named, outcome: outcome ?? { judgement: 'unknown' } });
      }
    }
    return judged;
  }

  /** States that changed since they were taken last, the longest unsaved first; they are taken to be saved. */
  takeUnsaved(most: number): DetectorState[] {
    const taken: DetectorState[] = [];
    for (const [key, watched] of this.#watched) {
      if (taken.length >= most) break;
      if (!watched.dirty) continue;
      watched.dirty = false;
      // To the end, so that each has its turn.
      this.#watched.delete(key);
      this.#watched.set(key, watched);
      taken.push({ series: watched.series, state: { at: watched.atMs, detector: watched.detector.state() } });
    }
    return taken;
  }

  /** What could not be saved. */
  putBack(states: readonly DetectorState[]): void {
    for (const { series } of states) {
      const watched = this.#watched.get(series);
      if (watched !== undefined) watched.dirty = true;
    }
  }

  /** Models that are gone take their detectors with them; their states stay in the database until they are pruned. */
  forget(model: string): void {
    for (const key of this.#watched.keys()) {
      if (key.endsWith(`/${model}`)) this.#watched.delete(key);
    }
  }

  #metricsOf(rule: Rule): readonly MetricName[] {
    const wanted = rule.condition.metrics;
    return Array.isArray(wanted) ? metricNames.filter((name) => wanted.includes(name)) : metricNames;
  }

  #watch(rule: Rule, model: string, metric: MetricName, lastMs: number): Watched {
    const series = `${rule.name}/${metric}/${model}`;
    const known = this.#watched.get(series);
    if (known?.version === rule.version) return known;
    const saved =
      known === undefined ? this.#saved.get(series) : { at: known.atMs, detector: known.detector.state() };
    this.#saved.delete(series);
    const { name, unit, direction } = metrics[metric];
    const options = {
      falseAlarmsPerWeek: parseBudget(textOf(rule, 'budget', defaultBudget)) ?? parseBudget(defaultBudget)!,
      minimumRelativeChange: numberOf(rule, 'min_relative_change', defaultRelativeChange),
      direction,
      name: `${name} of ${model}`,
      unit,
      isNonNegative: true,
    };
    const detector =
      metric === 'error_rate'
        ? RateDetector.restore(saved?.detector, options)
        : SeriesDetector.restore(saved?.detector, options);
    const watched = {
      series,
      version: rule.version,
      detector,
      atMs: saved?.at ?? lastMs - 60 * minuteMs,
      dirty: false,
      streak: 0,
      alarmed: false,
    };
    this.#watched.set(series, watched);
    return watched;
  }

  #show(
    watched: Watched,
    metric: MetricName,
    rule: Rule,
    labels: Labels,
    timeline: Timeline,
    atMs: number,
    around: Surroundings,
    isOpen: (labels: Labels) => boolean,
  ): Outcome | undefined {
    const totals = timeline.minute(atMs);
    // Where nobody watched, little traffic may be our own fault.
    if (metric === 'requests' && around.watchedSinceMs > atMs) return undefined;
    if (totals === undefined && (metric !== 'requests' || (timeline.firstMs ?? atMs) >= atMs))
      return undefined;
    const value = totals === undefined ? 0 : metrics[metric].value(totals);
    if (value === undefined) return undefined;
    const verdict: Verdict =
      watched.detector instanceof RateDetector
        ? watched.detector.push(atMs, value, totals?.requests ?? 0)
        : watched.detector.push(atMs, value);
    watched.dirty = true;
    const named = { ...labels, metric };
    watched.streak = verdict.unusual ? watched.streak + 1 : 0;
    watched.alarmed = verdict.unusual && (watched.alarmed || verdict.anomaly);
    const isNews =
      metric === 'requests'
        ? watched.alarmed &&
          (watched.streak === leastTrafficMinutes ||
            (verdict.anomaly && watched.streak > leastTrafficMinutes))
        : verdict.anomaly;
    if (!(isNews || (verdict.unusual && isOpen(named)))) return calm;
    // No event at all is news of another rule, which knows pauses.
    if ((totals?.requests ?? 0) < (metric === 'requests' ? 1 : rule.minEvents)) return calm;
    if (metric === 'requests' && !totalMoved(timeline, around, atMs, value - (verdict.expected ?? value)))
      return calm;
    const shown = metric === 'error_rate' ? value / totals!.requests : value;
    return {
      judgement: 'breach',
      alertType: 'anomaly',
      message: verdict.reason,
      figures: {
        metric,
        value: shown,
        usual: verdict.expected ?? null,
        score: verdict.score,
        minute: new Date(atMs).toISOString(),
      },
      sinceMs: atMs,
      asked: {
        metric: metrics[metric].asked,
        sinceMs: atMs,
        baselineSinceMs: atMs - 60 * minuteMs,
        baselineUntilMs: atMs,
      },
    };
  }
}

/** Whether the traffic of all models moved with this one's: else it only went from one to another, as in a rollout. */
function totalMoved(
  timeline: Timeline,
  { total, models }: Surroundings,
  atMs: number,
  difference: number,
): boolean {
  if (models < 2 || timeline === total) return true;
  const hourBefore = Math.max(total.firstMs ?? atMs, atMs - 60 * minuteMs);
  const usual = (total.requestsBetween(hourBefore, atMs) / Math.max(minuteMs, atMs - hourBefore)) * minuteMs;
  return (total.requestsBetween(atMs, atMs + minuteMs) - usual) / difference >= 0.5;
}
