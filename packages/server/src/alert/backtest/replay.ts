import { Evaluator } from '../evaluator.ts';
import type { Breach, Labels, Rule } from '../judge.ts';
import type { ClientMinute, ModelMinute } from '../series.ts';
import { minuteMs, type Timeline } from '../timeline.ts';
import type { Totals } from '../totals.ts';

/** One minute of stored history. */
export interface HistoryMinute {
  readonly atMs: number;
  readonly models: readonly ModelMinute[];
  readonly clients: readonly ClientMinute[];
  /** Errors in each of its 60 seconds, by model, where their rows are still held. */
  readonly errorSeconds: ReadonlyMap<string, readonly number[]>;
}

export interface ReplayedAlert {
  readonly rule: string;
  readonly labels: Labels;
  readonly severity: Rule['severity'];
  readonly message: string;
  readonly firstBadMs: number;
  readonly openedMs: number;
  /** Undefined while it is open at the end. */
  resolvedMs: number | undefined;
}

/** The evaluator takes a longer pause between two looks for one in which nobody watched. */
const stepMs = 10_000;
/** Sudden failure is a matter of seconds. */
const fineStepMs = 2_000;

/**
 * Shows minutes of history to the engine's own evaluator as if they happened now. Within a minute its events are spread
 * evenly, errors as their seconds tell.
 */
export class Replay {
  readonly evaluator = new Evaluator();
  readonly alerts: ReplayedAlert[] = [];
  readonly #open = new Map<string, ReplayedAlert>();
  /** Fewer errors in a minute and the one before it are no sudden failure; infinity when no rule looks for one. */
  readonly #fewestErrors: number;
  readonly #countFromMs: number;
  #before: HistoryMinute | undefined;

  /** @param countFromMs alerts that opened before only teach */
  constructor(rules: readonly Rule[], countFromMs: number) {
    this.evaluator.setRules(rules);
    this.#fewestErrors = Math.min(
      ...rules.map(({ kind, minEvents }) =>
        kind === 'error_failure' ? minEvents : Number.POSITIVE_INFINITY,
      ),
    );
    this.#countFromMs = countFromMs;
  }

  minute(minute: HistoryMinute): void {
    const isFine = minute.models.some(
      ({ model, totals }) =>
        totals.errors > 0 && totals.errors + this.#errorsBefore(model, minute.atMs) >= this.#fewestErrors,
    );
    const step = isFine ? fineStepMs : stepMs;
    for (let passedMs = step; passedMs <= minuteMs; passedMs += step) {
      const share = passedMs / minuteMs;
      // Just before the end of the step: the minute is still the open one.
      const nowMs = minute.atMs + passedMs - 1;
      const changes = this.evaluator.look(nowMs, {
        models: minute.models.map(({ model, totals }) => ({
          model,
          atMs: minute.atMs,
          totals: partOf(totals, share, errorsUntil(minute.errorSeconds.get(model), passedMs)),
        })),
        clients: minute.clients.map((client) => ({
          ...client,
          requests: share === 1 ? client.requests : Math.floor(client.requests * share),
        })),
      });
      for (const { rule, labels, settings, effect, breach, badSinceMs } of changes) {
        const key = JSON.stringify([rule, labels]);
        if (effect === 'open' && breach !== undefined && settings !== undefined) {
          const firstBadMs = this.#firstBad(settings, breach, labels, badSinceMs ?? nowMs, nowMs, minute);
          const alert: ReplayedAlert = {
            rule,
            labels,
            severity: settings.severity,
            message: breach.message,
            firstBadMs,
            openedMs: nowMs + 1,
            resolvedMs: undefined,
          };
          this.#open.set(key, alert);
          if (nowMs >= this.#countFromMs) this.alerts.push(alert);
        } else if (effect === 'close') {
          const alert = this.#open.get(key);
          if (alert !== undefined) alert.resolvedMs = nowMs + 1;
          this.#open.delete(key);
        }
      }
      this.evaluator.accept(changes, new Map());
    }
    this.#before = minute;
  }

  /**
   * When it began. Rules of errors look back over fixed windows: there it is the first of the bad minutes without a break
   * before the alert; where that is the alert's own, the second in which errors became as frequent.
   */
  #firstBad(
    rule: Rule,
    { figures }: Breach,
    labels: Labels,
    sinceMs: number,
    nowMs: number,
    minute: HistoryMinute,
  ): number {
    const timeline = this.#timelineOf(labels);
    const [bad, usual] = [figures.error_rate_pct, figures.usual_error_rate_pct];
    if (!rule.kind.startsWith('error_') || timeline === undefined) return Math.min(sinceMs, nowMs);
    if (typeof bad !== 'number' || typeof usual !== 'number') return Math.min(sinceMs, nowMs);
    const level = (usual + (bad - usual) / 3) / 100;
    const isBad = ({ errors, requests }: Totals) => requests > 0 && errors >= level * requests;
    let firstMs = minute.atMs;
    for (;;) {
      const previous = timeline.minute(firstMs - minuteMs);
      if (previous === undefined || !isBad(previous)) break;
      firstMs -= minuteMs;
    }
    if (firstMs !== minute.atMs) return firstMs;
    const before = this.#before?.atMs === minute.atMs - minuteMs ? this.#before : undefined;
    const now = secondsOf(minute, labels.model_version);
    if (now.length === 0) return firstMs;
    const earlier = secondsOf(before, labels.model_version);
    const seconds = [...earlier, ...now.slice(0, Math.ceil((nowMs - minute.atMs) / 1000))];
    return minute.atMs + (changePoint(seconds, level) - earlier.length) * 1000;
  }

  #errorsBefore(model: string, atMs: number): number {
    return this.evaluator.series.models.get(model)?.timeline.minute(atMs - minuteMs)?.errors ?? 0;
  }

  #timelineOf({ model_version: model }: Labels): Timeline | undefined {
    const { series } = this.evaluator;
    return model === undefined ? series.total.timeline : series.models.get(model)?.timeline;
  }
}

/** What had come of a minute by then. */
function partOf(totals: Totals, share: number, errors: number | undefined): Totals {
  if (share === 1) return totals;
  const requests = Math.floor(totals.requests * share);
  // Means and quantiles are those of the whole minute.
  const kept = totals.requests === 0 ? 0 : requests / totals.requests;
  return {
    requests,
    errors: Math.min(requests, errors ?? Math.floor(totals.errors * share)),
    latencySumMs: totals.latencySumMs * kept,
    p50SumMs: totals.p50SumMs * kept,
    p95SumMs: totals.p95SumMs * kept,
    p99SumMs: totals.p99SumMs * kept,
    confidenceCount: totals.confidenceCount * kept,
    confidenceSum: totals.confidenceSum * kept,
    confidenceSumSq: totals.confidenceSumSq * kept,
    qualityCount: totals.qualityCount * kept,
    qualitySum: totals.qualitySum * kept,
    qualitySumSq: totals.qualitySumSq * kept,
    tokens: totals.tokens * kept,
    costUsd: totals.costUsd * kept,
  };
}

function errorsUntil(seconds: readonly number[] | undefined, passedMs: number): number | undefined {
  return seconds === undefined ? undefined : sum(seconds.slice(0, passedMs / 1000));
}

interface Second {
  readonly errors: number;
  readonly requests: number;
}

/** Requests spread evenly; none where the seconds of errors are not known. */
function secondsOf(minute: HistoryMinute | undefined, model: string | undefined): readonly Second[] {
  const errors = model === undefined ? undefined : minute?.errorSeconds.get(model);
  const totals = minute?.models.find((each) => each.model === model)?.totals;
  if (errors === undefined || totals === undefined) return [];
  return errors.map((count) => ({ errors: count, requests: totals.requests / 60 }));
}

/** The second from which on most errors were more than the level says (the estimate of CUSUM; Page, 1954). */
function changePoint(seconds: readonly Second[], level: number): number {
  let lowest = 0;
  let reached = 0;
  let from = 0;
  for (const [second, { errors, requests }] of seconds.entries()) {
    if (reached < lowest || (errors > 0 && reached === lowest)) {
      lowest = reached;
      from = second;
    }
    reached += errors - level * requests;
  }
  return from;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
