import type { Labels } from './judge.ts';
import { dayMs, hourMs, minuteMs, Timeline } from './timeline.ts';
import { addTotals, noTotals, type Totals } from './totals.ts';

/** So many models and so many senders are watched each; what comes beyond is counted and not judged. */
const maxSeries = 500;
const crowded = 0.8;

/** The totals so far of one minute of one model. */
export interface ModelMinute {
  readonly model: string;
  readonly atMs: number;
  readonly totals: Totals;
}

/** Events that arrived from one sender within one minute, so far. */
export interface ClientMinute {
  readonly client: string;
  readonly atMs: number;
  readonly requests: number;
}

export interface Series {
  readonly key: string;
  readonly labels: Labels;
  readonly timeline: Timeline;
  /** When something last came in, by the engine's clock. */
  touchedMs: number;
}

/** Every series that rules judge: models, senders, and all models together. */
export class AllSeries {
  readonly models = new Map<string, Series>();
  readonly clients = new Map<string, Series>();
  readonly total: Series = { key: '', labels: {}, timeline: new Timeline(), touchedMs: 0 };
  /** Models and senders that found no place. */
  readonly unwatched = new Set<string>();

  model(name: string): Series | undefined {
    return this.#of(this.models, name, { model_version: name });
  }

  client(name: string): Series | undefined {
    return this.#of(this.clients, name, { client: name });
  }

  /** What came since the last reading arrived now. */
  takeModels(minutes: readonly ModelMinute[], nowMs: number): void {
    for (const { model, atMs, totals } of minutes) {
      const series = this.model(model);
      if (series === undefined) continue;
      const before = series.timeline.minute(atMs);
      if (before !== undefined && isSame(before, totals)) continue;
      const requests = totals.requests - (before?.requests ?? 0);
      const errors = totals.errors - (before?.errors ?? 0);
      series.timeline.setMinute(atMs, totals);
      series.touchedMs = nowMs;
      // Corrections may take events away; they do not arrive backwards.
      const arrived = Math.min(Math.max(0, errors), Math.max(0, requests));
      series.timeline.arrivals.add(nowMs, requests, arrived);
      this.#addToTotal(atMs, requests, errors);
      this.total.timeline.arrivals.add(nowMs, requests, arrived);
    }
  }

  /** Closed buckets of the time before the engine began. */
  takePast(model: string, tier: 300 | 3600, atMs: number, totals: Totals): void {
    const timeline = this.model(model)?.timeline;
    if (timeline === undefined) return;
    for (const each of [timeline, this.total.timeline]) setBucket(each, tier * 1000, atMs, totals);
  }

  /** Minutes as they were stored: nothing of them arrives now. */
  takeMinutes(minutes: readonly ModelMinute[]): void {
    for (const { model, atMs, totals } of minutes) {
      const timeline = this.model(model)?.timeline;
      if (timeline === undefined) continue;
      const before = timeline.minute(atMs);
      if (before !== undefined && isSame(before, totals)) continue;
      timeline.setMinute(atMs, totals);
      this.#addToTotal(
        atMs,
        totals.requests - (before?.requests ?? 0),
        totals.errors - (before?.errors ?? 0),
      );
    }
  }

  takePastClients(buckets: readonly ClientMinute[], bucketMs: number, nowMs: number): void {
    for (const { client, atMs, requests } of buckets) {
      const timeline = this.client(client)?.timeline;
      if (timeline === undefined) continue;
      if (bucketMs === minuteMs) timeline.setMinute(atMs, { ...noTotals(), requests });
      else if (atMs + bucketMs <= nowMs) setBucket(timeline, bucketMs, atMs, { ...noTotals(), requests });
    }
  }

  assumeLastEvents(nowMs: number): void {
    for (const { timeline } of this.#all()) timeline.assumeLastEvent(nowMs);
  }

  takeClients(minutes: readonly ClientMinute[], nowMs: number): void {
    for (const { client, atMs, requests } of minutes) {
      const series = this.client(client);
      if (series === undefined) continue;
      const arrived = requests - (series.timeline.minute(atMs)?.requests ?? 0);
      if (arrived === 0) continue;
      series.timeline.setMinute(atMs, { ...noTotals(), requests });
      series.timeline.arrivals.add(nowMs, arrived, 0);
      series.touchedMs = nowMs;
    }
  }

  /** Makes room where places run short: what was silent for a day goes. @returns the models that went */
  forgetIdle(nowMs: number): string[] {
    const gone: string[] = [];
    for (const map of [this.models, this.clients]) {
      if (map.size < crowded * maxSeries) continue;
      for (const [name, { timeline }] of map) {
        if ((timeline.lastEventMs ?? 0) > nowMs - dayMs) continue;
        map.delete(name);
        this.unwatched.clear();
        if (map === this.models) gone.push(name);
      }
    }
    return gone;
  }

  /** Time passes. */
  roll(nowMs: number): void {
    this.total.timeline.roll(nowMs);
    for (const map of [this.models, this.clients]) {
      for (const { timeline } of map.values()) timeline.roll(nowMs);
    }
  }

  *#all(): Generator<Series> {
    yield this.total;
    yield* this.models.values();
    yield* this.clients.values();
  }

  #of(map: Map<string, Series>, name: string, labels: Labels): Series | undefined {
    const known = map.get(name);
    if (known !== undefined) return known;
    if (map.size >= maxSeries) {
      if (this.unwatched.size < maxSeries) this.unwatched.add(name);
      return undefined;
    }
    const series: Series = { key: name, labels, timeline: new Timeline(), touchedMs: 0 };
    map.set(name, series);
    return series;
  }

  #addToTotal(atMs: number, requests: number, errors: number): void {
    const before = this.total.timeline.minute(atMs) ?? noTotals();
    this.total.timeline.setMinute(atMs, {
      ...before,
      requests: before.requests + requests,
      errors: before.errors + errors,
    });
  }
}

const isSame = (a: Totals, b: Totals) =>
  a.requests === b.requests &&
  a.errors === b.errors &&
  a.p95SumMs === b.p95SumMs &&
  a.latencySumMs === b.latencySumMs;

/** Adds up: the total's bucket is the sum of the models'. */
function setBucket(timeline: Timeline, bucketMs: number, atMs: number, totals: Totals): void {
  const isHour = bucketMs === hourMs;
  const sum = { ...((isHour ? timeline.hour(atMs) : timeline.five(atMs)) ?? noTotals()) };
  addTotals(sum, totals);
  if (isHour) timeline.setHour(atMs, sum);
  else timeline.setFive(atMs, sum);
}
