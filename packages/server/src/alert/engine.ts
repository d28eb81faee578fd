import type pg from 'pg';
import type { Logger } from 'pino';
import { ChangedMinutes } from './changedMinutes.ts';
import { EngineStore, LeaseLost } from './engineStore.ts';
import { type Change, Evaluator, type OwnState } from './evaluator.ts';
import { Explainer } from './explainer.ts';
import type { ModelMinute } from './series.ts';
import { dayMs, fiveMs, hourMs, minuteMs } from './timeline.ts';

export const defaultLookIntervalMs = 1_000;
const clientIntervalMs = 5_000;
const leaseIntervalMs = 1_500;
/** Late events change minutes that were read before. */
const lateMs = 12 * minuteMs;
/** The open minute, the one before it, and clocks that are a little ahead. */
const recentMs = minuteMs;
const aheadMs = 2 * minuteMs;
/** Without a word of the feed the newest minutes are read at each fifth look: its connection may be gone. */
const unpromptedLooks = 5;
/** All detectors are saved within a minute or two, a few at each look. */
const detectorsPerLook = 15;
/** Open alerts are told to be seen so seldom: each telling is a change that whoever follows alerts gets. */
const seenLooks = 60;

export interface EngineOptions {
  readonly pool: pg.Pool;
  readonly log: Logger;
  /** What is wrong with Nowcast itself. */
  readonly ownState: () => Promise<OwnState>;
  readonly intervalMs: number;
  /** For how long the rules are this server's alone, after it was heard of. */
  readonly leaseSeconds?: number;
  /** The duration of each look, in seconds. */
  readonly onLook?: (seconds: number) => void;
}

/**
 * Judges the rules, a look each second, in one server at a time: reads bounded figures, lets the evaluator judge them,
 * and writes alerts and states in one transaction. While the database is away nothing is judged, and what nobody watched
 * counts as no silence.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #store: EngineStore;
  readonly #explainer: Explainer;
  /** Undefined while another server judges. */
  #evaluator: Evaluator | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #startedAtMs = 0;
  #heldAtMs = Number.NEGATIVE_INFINITY;
  #clientsAtMs = Number.NEGATIVE_INFINITY;
  #lateMinuteMs = 0;
  #seenAtMs = Number.NEGATIVE_INFINITY;
  readonly #changed: ChangedMinutes;
  #failing = false;
  /** A transaction failed, or its answer was lost: what it did stands in the database. */
  #unsure = false;
  #toldUnwatched = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#store = new EngineStore(options.pool, options.leaseSeconds);
    this.#explainer = new Explainer(options.pool, options.log);
    this.#changed = new ChangedMinutes(unpromptedLooks * options.intervalMs);
    this.#schedule(0);
  }

  /** Events from this time on were committed, here or by another server: the next look reads their minutes. */
  eventsChanged(since: Date): void {
    this.#changed.hear(since.getTime(), Date.now());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
    await this.#explainer.stop();
    if (this.#evaluator !== undefined) await this.#store.release().catch(() => undefined);
  }

  #schedule(inMs: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#look().finally(() => {
        this.#running = undefined;
        this.#schedule(Math.max(50, this.#startedAtMs + this.#options.intervalMs - Date.now()));
      });
    }, inMs);
  }

  async #look(): Promise<void> {
    this.#startedAtMs = Date.now();
    const began = performance.now();
    try {
      if (!(await this.#holdsLease())) return;
      this.#evaluator ??= await this.#begin();
      await this.#judge(this.#evaluator);
      this.#options.onLook?.((performance.now() - began) / 1000);
      if (this.#failing) this.#options.log.info('the rules are judged again');
      this.#failing = false;
    } catch (error) {
      if (error instanceof LeaseLost) this.#evaluator = undefined;
      else if (!this.#failing)
        this.#options.log.warn({ err: error }, 'judging the rules failed; it is tried again');
      this.#failing = !(error instanceof LeaseLost);
      // What others wrote meanwhile is read anew.
      this.#heldAtMs = Number.NEGATIVE_INFINITY;
    }
  }

  async #holdsLease(): Promise<boolean> {
    const nowMs = Date.now();
    if (
      this.#evaluator !== undefined &&
      nowMs - this.#heldAtMs < Math.min(leaseIntervalMs, 2 * this.#options.intervalMs)
    )
      return true;
    const watchedSinceMs = this.#evaluator?.watchedSinceMs ?? nowMs;
    const held = await this.#store.hold(Number.isFinite(watchedSinceMs) ? watchedSinceMs : nowMs, nowMs);
    if (!held) this.#evaluator = undefined;
    this.#heldAtMs = nowMs;
    return held;
  }

  /** Takes up what is stored, as another server or this one before its restart left it. */
  async #begin(): Promise<Evaluator> {
    const nowMs = Date.now();
    const [states, detectors] = await Promise.all([this.#store.states(nowMs), this.#store.detectors()]);
    const evaluator = new Evaluator(detectors);
    const { series } = evaluator;
    for await (const { tier, totals } of this.#store.past(nowMs)) {
      for (const { model, atMs, totals: each } of totals) series.takePast(model, tier, atMs, each);
    }
    series.takeMinutes(await this.#store.recentMinutes(nowMs - 70 * minuteMs, nowMs + aheadMs));
    for (const [bucketMs, agoMs] of [
      [hourMs, 2 * dayMs],
      [fiveMs, dayMs],
      [minuteMs, 70 * minuteMs],
    ] as const) {
      const since = Math.floor((nowMs - agoMs) / bucketMs) * bucketMs;
      series.takePastClients(await this.#store.clients(bucketMs, since, nowMs + aheadMs), bucketMs, nowMs);
    }
    series.assumeLastEvents(nowMs);
    const before = this.#store.watchBefore;
    if (before !== undefined) evaluator.watchedBefore(before.sinceMs, before.untilMs);
    evaluator.restore(states);
    return evaluator;
  }

  async #judge(evaluator: Evaluator): Promise<void> {
    const nowMs = Date.now();
    const openMinuteMs = Math.floor(nowMs / minuteMs) * minuteMs;
    const isClientTurn = nowMs - this.#clientsAtMs >= clientIntervalMs;
    const [rules, models, clients, own, closed] = await Promise.all([
      this.#store.rules(),
      this.#readChanged(nowMs, openMinuteMs),
      isClientTurn ? this.#store.clients(minuteMs, openMinuteMs - recentMs, openMinuteMs + aheadMs) : [],
      this.#options.ownState(),
      this.#store.closedOf(evaluator.openAlerts()),
    ]);
    if (isClientTurn) this.#clientsAtMs = nowMs;
    if (this.#lateMinuteMs !== openMinuteMs) {
      for (const model of evaluator.series.forgetIdle(nowMs)) evaluator.anomalies.forget(model);
      evaluator.series.takeMinutes(await this.#store.recentMinutes(nowMs - lateMs, openMinuteMs - recentMs));
      this.#lateMinuteMs = openMinuteMs;
    }
    if (this.#unsure) evaluator.restore(await this.#store.states(nowMs));
    this.#unsure = false;
    const byHand = evaluator.closedByHand(closed, nowMs);
    evaluator.accept(byHand, new Map());
    evaluator.setRules(rules);
    const changes = [...byHand, ...evaluator.look(nowMs, { models, clients, own })];
    await this.#save(evaluator, changes);
    if (nowMs - this.#seenAtMs >= seenLooks * this.#options.intervalMs) {
      await this.#store.noteSeen(evaluator.lastingAlerts(), nowMs);
      this.#seenAtMs = nowMs;
    }
    this.#tellUnwatched(evaluator);
    this.#explainer.look();
  }

  /** The newest minutes, as far as they may have changed. */
  async #readChanged(nowMs: number, openMinuteMs: number): Promise<ModelMinute[]> {
    const sinceMs = this.#changed.next(nowMs);
    if (sinceMs === undefined) return [];
    const minutes = await this.#store.recentMinutes(sinceMs, openMinuteMs + aheadMs);
    this.#changed.read(nowMs);
    return minutes;
  }

  async #save(evaluator: Evaluator, changes: readonly Change[]): Promise<void> {
    const detectors = evaluator.anomalies.takeUnsaved(detectorsPerLook);
    try {
      const explanations = await this.#explainer.ask(changes);
      const opened = await this.#store.save(changes, detectors, explanations);
      evaluator.accept(changes, opened);
      for (const { effect, rule, labels, breach } of changes) {
        if (effect === 'open') this.#options.log.warn({ rule, labels }, breach?.message ?? 'an alert opened');
        else if (effect === 'close') this.#options.log.info({ rule, labels }, 'an alert ended');
      }
    } catch (error) {
      evaluator.anomalies.putBack(detectors);
      this.#unsure = true;
      throw error;
    }
  }

  #tellUnwatched({ series }: Evaluator): void {
    if (series.unwatched.size === 0 || this.#toldUnwatched) return;
    this.#toldUnwatched = true;
    this.#options.log.warn(
      { models_or_senders: series.unwatched.size },
      'there are more models or senders than rules are judged for; the others are not watched',
    );
  }
}
