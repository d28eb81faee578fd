import { Anomalies, type DetectorState, type Judged, settleMs } from './anomalies.ts';
import { type Breach, judgeRule, type Labels, type Outcome, type Rule, type Surroundings } from './judge.ts';
import { AllSeries, type ClientMinute, type ModelMinute, type Series } from './series.ts';
import { type AlertEffect, type AlertState, inactive, judge, step } from './state.ts';
import { minuteMs } from './timeline.ts';

/** A longer pause between two looks is a gap: nobody watched. */
const longestPauseMs = 10_000;
/** After a gap senders need a moment to come back. */
const comeBackMs = 15_000;

/** Where a rule stands for one set of labels, as it is stored. */
export interface StoredState {
  readonly rule: string;
  readonly labels: Labels;
  readonly state: AlertState;
  readonly alertId: number | undefined;
  /** The first bad moment of what is open. */
  readonly badSinceMs: number | undefined;
}

/** What is to be written, in one transaction with the others. */
export interface Change extends StoredState {
  readonly settings: Rule | undefined;
  readonly effect: AlertEffect | undefined;
  /** What an alert that opens says. */
  readonly breach: Breach | undefined;
}

export interface OwnState {
  /** What is wrong with Nowcast itself, in words. */
  readonly problems: readonly string[];
  /** Whether events may come and not be seen: then silence says nothing. */
  readonly isBlind: boolean;
}

export interface Reading {
  readonly models: readonly ModelMinute[];
  readonly clients?: readonly ClientMinute[];
  readonly own?: OwnState;
}

/**
 * Judges every rule for every series. Pure: it is told the time and what was read, and answers what is to be written;
 * nothing changes until that is accepted as written. The engine drives it each second; a simulation may as well.
 */
export class Evaluator {
  readonly series = new AllSeries();
  readonly anomalies: Anomalies;
  readonly #states = new Map<string, Map<string, StoredState>>();
  #rules: readonly Rule[] = [];
  #watchedSinceMs = Number.POSITIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #closedMinuteMs: number | undefined;
  /** By rule, of the minute that was closed last. */
  readonly #anomalous = new Map<string, readonly Judged[]>();

  constructor(detectors: readonly DetectorState[] = []) {
    this.anomalies = new Anomalies(detectors);
  }

  setRules(rules: readonly Rule[]): void {
    this.#rules = rules;
  }

  /** States as they are stored; whatever was known of them before is forgotten. */
  restore(states: readonly StoredState[]): void {
    this.#states.clear();
    for (const stored of states) this.#keep(stored);
  }

  /** Another server watched until now. */
  watchedBefore(sinceMs: number, untilMs: number): void {
    this.#watchedSinceMs = sinceMs;
    this.#lookedAtMs = untilMs;
  }

  get watchedSinceMs(): number {
    return this.#watchedSinceMs;
  }

  /** Alerts that are open, by what is known here. */
  openAlerts(): number[] {
    return [...this.#all()].flatMap(({ state, alertId }) =>
      isOpen(state) && alertId !== undefined ? [alertId] : [],
    );
  }

  /** Of these, those whose condition held at the last look. */
  lastingAlerts(): number[] {
    return [...this.#all()].flatMap(({ state, alertId }) =>
      state.phase === 'firing' && state.breachSinceMs !== undefined && alertId !== undefined ? [alertId] : [],
    );
  }

  /** Takes what was read and judges it. */
  look(nowMs: number, { models, clients = [], own = healthy }: Reading): Change[] {
    if (nowMs - this.#lookedAtMs > longestPauseMs) this.#resume(nowMs);
    this.#lookedAtMs = nowMs;
    this.series.roll(nowMs);
    this.series.takeModels(models, nowMs);
    this.series.takeClients(clients, nowMs);
    const changes: Change[] = [];
    const around: Surroundings = {
      total: this.series.total.timeline,
      watchedSinceMs: this.#watchedSinceMs,
      problems: own.problems,
      isBlind: own.isBlind,
      models: this.series.models.size,
    };
    for (const rule of this.#rules) {
      if (rule.kind === 'anomaly') continue;
      const judged = new Set<string>();
      for (const series of this.#seriesOf(rule)) {
        judged.add(series.key);
        const stored = this.#states.get(rule.name)?.get(keyOf(series.labels));
        // Where nothing came and nothing is going on, only silence is news.
        if (stored === undefined && series.touchedMs !== nowMs && !judgesSilence(rule)) continue;
        const { labels, timeline } = series;
        const outcome = judgeRule(rule, { labels, timeline, around, openSinceMs: stored?.badSinceMs }, nowMs);
        this.#note(rule, labels, outcome, nowMs, changes);
      }
    }
    this.#judgeAnomalies(nowMs, around, changes);
    this.#judgeLeftovers(nowMs, changes);
    return changes;
  }

  /** Somebody closed these in the table of alerts. */
  closedByHand(alertIds: ReadonlySet<number>, nowMs: number): Change[] {
    return [...this.#all()].flatMap((stored) => {
      if (stored.alertId === undefined || !alertIds.has(stored.alertId) || !isOpen(stored.state)) return [];
      const { state } = step(stored.state, 'closed', nowMs);
      return [
        {
          ...stored,
          state,
          badSinceMs: undefined,
          settings: undefined,
          effect: undefined,
          breach: undefined,
        },
      ];
    });
  }

  /** They are written; `alertIds` are those of the alerts that were opened, by their change. */
  accept(changes: readonly Change[], alertIds: ReadonlyMap<Change, number>): void {
    for (const change of changes) {
      const { rule, labels, state, badSinceMs } = change;
      const alertId = alertIds.get(change) ?? change.alertId;
      this.#keep({ rule, labels, state, alertId: isOpen(state) ? alertId : undefined, badSinceMs });
    }
  }

  #note(rule: Rule, labels: Labels, outcome: Outcome, nowMs: number, changes: Change[]): void {
    const before = this.#states.get(rule.name)?.get(keyOf(labels));
    if (before === undefined && outcome.judgement !== 'breach') return;
    const { state, effect } = judge(before?.state ?? inactive(nowMs), outcome.judgement, nowMs, rule);
    const breach = outcome.judgement === 'breach' ? outcome : undefined;
    const badSinceMs =
      state.phase === 'inactive' || state.phase === 'resolved'
        ? undefined
        : (before?.badSinceMs ?? breach?.sinceMs);
    const stored = { rule: rule.name, labels, state, alertId: before?.alertId, badSinceMs };
    if (effect === undefined && before !== undefined && isSame(before.state, state)) {
      // Only the time of judging moved: remembered, not written.
      this.#keep(stored);
      return;
    }
    changes.push({ ...stored, settings: rule, effect, breach });
  }

  #judgeAnomalies(nowMs: number, around: Surroundings, changes: Change[]): void {
    const lastMs = Math.floor((nowMs - settleMs) / minuteMs) * minuteMs - minuteMs;
    for (const rule of this.#rules) {
      if (rule.kind !== 'anomaly') continue;
      if (lastMs !== this.#closedMinuteMs || !this.#anomalous.has(rule.name)) {
        const isAlertOpen = (labels: Labels) => {
          const state = this.#states.get(rule.name)?.get(keyOf(labels))?.state;
          return state !== undefined && state.phase !== 'resolved';
        };
        const models = this.#seriesOf(rule);
        this.#anomalous.set(
          rule.name,
          this.anomalies.closeMinutes(rule, models, lastMs, around, isAlertOpen),
        );
      }
      // Until the next minute is closed its judgement stands: what could not be written is not forgotten.
      for (const { labels, outcome } of this.#anomalous.get(rule.name)!)
        this.#note(rule, labels, outcome, nowMs, changes);
    }
    this.#closedMinuteMs = lastMs;
  }

  /** States of rules that are gone, or of series that the rule no longer means or nobody hears of. */
  #judgeLeftovers(nowMs: number, changes: Change[]): void {
    const rules = new Map(this.#rules.map((rule) => [rule.name, rule]));
    for (const stored of this.#all()) {
      const rule = rules.get(stored.rule);
      if (rule === undefined || !means(rule, stored.labels)) {
        const { state, effect } = step(stored.state, 'ruleGone', nowMs);
        changes.push({ ...stored, state, badSinceMs: undefined, settings: rule, effect, breach: undefined });
      } else if (rule.kind !== 'anomaly' && !this.#has(stored.labels)) {
        this.#note(rule, stored.labels, { judgement: 'unknown' }, nowMs, changes);
      }
    }
  }

  #has({ model_version: model, client }: Labels): boolean {
    if (model !== undefined) return this.series.models.has(model);
    return client === undefined || this.series.clients.has(client);
  }

  *#seriesOf(rule: Rule): Generator<Series> {
    const only = rule.condition.model_version;
    if (rule.kind === 'monitor') yield this.series.total;
    else if (rule.kind === 'client_silent') yield* this.series.clients.values();
    else if (typeof only === 'string') {
      const one = this.series.models.get(only);
      if (one !== undefined) yield one;
    } else {
      if (rule.kind.startsWith('traffic_')) yield this.series.total;
      yield* this.series.models.values();
    }
  }

  /** Nobody watched for a while: what has to last begins to last anew. */
  #resume(nowMs: number): void {
    this.#watchedSinceMs = nowMs + comeBackMs;
    for (const stored of this.#all()) {
      const { phase, breachSinceMs } = stored.state;
      this.#keep({
        ...stored,
        state: {
          ...stored.state,
          judgedAtMs: nowMs,
          breachSinceMs: breachSinceMs === undefined ? undefined : nowMs,
          sinceMs: phase === 'pending' || phase === 'resolving' ? nowMs : stored.state.sinceMs,
        },
      });
    }
  }

  #keep(stored: StoredState): void {
    let ofRule = this.#states.get(stored.rule);
    if (stored.state.phase === 'inactive') {
      ofRule?.delete(keyOf(stored.labels));
      return;
    }
    if (ofRule === undefined) {
      ofRule = new Map();
      this.#states.set(stored.rule, ofRule);
    }
    ofRule.set(keyOf(stored.labels), stored);
  }

  *#all(): Generator<StoredState> {
    for (const ofRule of [...this.#states.values()]) yield* [...ofRule.values()];
  }
}

const healthy: OwnState = { problems: [], isBlind: false };

const isOpen = ({ phase }: AlertState) => phase === 'firing' || phase === 'resolving';

function isSame(a: AlertState, b: AlertState): boolean {
  return (
    a.phase === b.phase &&
    a.flaps === b.flaps &&
    a.sinceMs === b.sinceMs &&
    a.breachSinceMs === b.breachSinceMs
  );
}

const judgesSilence = ({ kind }: Rule) =>
  kind.startsWith('traffic_') || kind === 'client_silent' || kind === 'monitor' || kind === 'threshold';

/** Whether a rule that names a model means these labels. */
function means({ condition, kind }: Rule, labels: Labels): boolean {
  const only = condition.model_version;
  if (typeof only === 'string' && labels.model_version !== only) return false;
  const { metrics } = condition;
  return kind !== 'anomaly' || !Array.isArray(metrics) || metrics.includes(labels.metric);
}

/** Labels are few; their order is always the same where they are made, and not when they come from the database. */
const keyOf = (labels: Labels): string =>
  `${labels.model_version ?? ''}\n${labels.client ?? ''}\n${labels.metric ?? ''}`;
