import { Arrivals } from './arrivals.ts';
import { type Baseline, baselineOf, usualWavering } from './baseline.ts';
import { addTotals, noTotals, type Totals, TotalsRing } from './totals.ts';

export const minuteMs = 60_000;
export const fiveMs = 300_000;
export const hourMs = 3_600_000;
export const dayMs = 86_400_000;

/** How far back each ladder step is held; the longest window of a rule is 30 days, of which two weeks are held. */
const heldMinutes = 75;
/** Of these all five minutes are held minute by minute. */
const heldWholeMs = 65 * minuteMs;
const heldFives = 300;
const heldHours = 14 * 24 + 1;
/** A young model is judged by its own first minutes, but for the newest, which may be the trouble itself. */
const youngExclusionMs = 10 * minuteMs;
const leastBaselineHours = 3;

/**
 * The recent past of one series (a model, or all of them together) in constant space: seconds by arrival, and minutes,
 * five minutes and hours by the events' own time. Whoever feeds it, the engine or a backtest, sets minutes as their
 * totals become known and calls `roll` as time passes; sums of windows are cached until something in them changes.
 */
export class Timeline {
  readonly arrivals = new Arrivals();
  readonly #minutes = new TotalsRing(minuteMs, heldMinutes);
  readonly #fives = new TotalsRing(fiveMs, heldFives);
  readonly #hours = new TotalsRing(hourMs, heldHours);
  /** Everything before is closed into its five minutes and hours. */
  #rolledMs = Number.NEGATIVE_INFINITY;
  #revision = 0;
  readonly #windows = new Map<
    number,
    { firstMs: number; openMs: number; revision: number; closed: Totals }
  >();
  #baseline: { readonly madeMs: number; readonly untilMs: number; readonly value: Baseline } | undefined;
  #wavering: { readonly five: number; readonly value: number } | undefined;
  /** The first minute with an event that is held. */
  firstMs: number | undefined;
  #assumedLastMs: number | undefined;

  /** The totals of one minute so far, replacing what was said of it before. */
  setMinute(atMs: number, totals: Totals): void {
    this.#noteFirst(atMs, totals);
    if (!this.#minutes.set(atMs, totals)) return;
    if (atMs >= this.#rolledMs) return;
    // Late events of a closed minute.
    this.#revision++;
    const five = this.#fives.startOf(atMs);
    if (five + fiveMs <= this.#rolledMs && five >= this.#rolledMs - heldWholeMs) this.#close(five);
  }

  setFive(atMs: number, totals: Totals): void {
    this.#noteFirst(atMs, totals);
    this.#fives.set(atMs, totals);
    this.#revision++;
  }

  setHour(atMs: number, totals: Totals): void {
    this.#noteFirst(atMs, totals);
    this.#hours.set(atMs, totals);
    this.#revision++;
  }

  /** Time passes: minutes before the one of `nowMs` are closed. */
  roll(nowMs: number): void {
    const openMs = this.#minutes.startOf(nowMs);
    if (openMs <= this.#rolledMs) return;
    const fromMs = Math.max(this.#rolledMs, openMs - heldWholeMs);
    this.#rolledMs = openMs;
    for (let five = this.#fives.startOf(fromMs); five + fiveMs <= openMs; five += fiveMs) {
      if (five + fiveMs > fromMs) this.#close(five);
    }
  }

  /** What is known after loading: the last event came in the newest busy stretch. */
  assumeLastEvent(nowMs: number): void {
    const ends = [this.#hours, this.#fives, this.#minutes].map((ring) => {
      const last = ring.between(0, nowMs).findLast(({ totals }) => totals.requests > 0);
      return last === undefined ? 0 : last.atMs + ring.unitMs;
    });
    const endMs = Math.min(nowMs, Math.max(...ends));
    if (endMs > 0) this.#assumedLastMs = endMs;
  }

  /** When an event came last; undefined when none is held. */
  get lastEventMs(): number | undefined {
    return this.arrivals.lastAtMs ?? this.#assumedLastMs;
  }

  /** Events in a stretch of time, by the finest steps that are held; the ends of a step are shared out evenly. */
  requestsBetween(sinceMs: number, untilMs: number): number {
    const minutesFromMs = this.#fives.startOf(this.#rolledMs - heldWholeMs) + fiveMs;
    const fivesFromMs = this.#hours.startOf(this.#rolledMs - (heldFives - 1) * fiveMs) + hourMs;
    return (
      this.#share(this.#hours, sinceMs, Math.min(untilMs, fivesFromMs)) +
      this.#share(this.#fives, Math.max(sinceMs, fivesFromMs), Math.min(untilMs, minutesFromMs)) +
      this.#share(this.#minutes, Math.max(sinceMs, minutesFromMs), untilMs)
    );
  }

  busyMinutes(sinceMs: number, untilMs: number): number[] {
    return busy(this.#minutes.between(sinceMs, untilMs));
  }

  busyFives(sinceMs: number, untilMs: number): number[] {
    return busy(this.#fives.between(sinceMs, untilMs));
  }

  busyHours(sinceMs: number, untilMs: number): number[] {
    return busy(this.#hours.between(sinceMs, untilMs));
  }

  /** Requests of the emptiest whole five minutes; infinity when there is none. */
  lowestFive(sinceMs: number, untilMs: number): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (let atMs = Math.ceil(sinceMs / fiveMs) * fiveMs; atMs + fiveMs <= untilMs; atMs += fiveMs) {
      lowest = Math.min(lowest, this.#fives.get(atMs)?.requests ?? 0);
    }
    return lowest;
  }

  /** Closed five minutes that began between. */
  addFives(sinceMs: number, untilMs: number): Totals {
    return this.#fives.sum(sinceMs, untilMs);
  }

  minute(atMs: number): Totals | undefined {
    return this.#minutes.get(atMs);
  }

  five(atMs: number): Totals | undefined {
    return this.#fives.get(atMs);
  }

  hour(atMs: number): Totals | undefined {
    return this.#hours.get(atMs);
  }

  /** At least the last `windowMs`, the open minute included: whole minutes, beyond an hour five minutes, beyond a day hours. */
  window(windowMs: number, nowMs: number): Totals {
    const openMs = this.#minutes.startOf(nowMs);
    const firstMs = this.#minutes.startOf(nowMs - windowMs);
    let cached = this.#windows.get(windowMs);
    if (cached?.firstMs !== firstMs || cached.openMs !== openMs || cached.revision !== this.#revision) {
      cached = {
        firstMs,
        openMs,
        revision: this.#revision,
        closed: this.#closedWindow(windowMs, firstMs, openMs),
      };
      this.#windows.set(windowMs, cached);
    }
    const open = this.#minutes.get(openMs);
    if (open === undefined) return cached.closed;
    const sum = { ...cached.closed };
    addTotals(sum, open);
    return sum;
  }

  /** What is usual; renewed with each closed five minutes of a young model, each closed hour of an older one. */
  baseline(nowMs: number): Baseline {
    const cached = this.#baseline;
    if (cached !== undefined && nowMs >= cached.madeMs && nowMs < cached.untilMs) return cached.value;
    const openHourMs = this.#hours.startOf(nowMs);
    const hours = this.#hours.between(openHourMs - 14 * dayMs, openHourMs);
    const isOld = hours.length >= leastBaselineHours;
    const value = baselineOf(
      isOld ? hours : this.#fives.between(nowMs - dayMs, nowMs - youngExclusionMs),
      nowMs,
    );
    const untilMs = isOld ? openHourMs + hourMs : this.#fives.startOf(nowMs) + fiveMs;
    this.#baseline = { madeMs: nowMs, untilMs, value };
    return value;
  }

  /** How much the error share wavers from five minutes to five minutes; the newest ones may be the trouble itself. */
  errorWavering(nowMs: number): number {
    const five = this.#fives.startOf(nowMs);
    if (this.#wavering?.five !== five) {
      const fives = this.#fives.between(nowMs - dayMs, nowMs - youngExclusionMs);
      this.#wavering = { five, value: usualWavering(fives, this.baseline(nowMs).errorShare) };
    }
    return this.#wavering.value;
  }

  #closedWindow(windowMs: number, firstMs: number, openMs: number): Totals {
    const sum = noTotals();
    let fromMs = firstMs;
    if (windowMs > dayMs) {
      const openHourMs = this.#hours.startOf(openMs);
      this.#hours.sum(this.#hours.startOf(fromMs), openHourMs, sum);
      fromMs = openHourMs;
    }
    if (windowMs > hourMs) {
      const openFiveMs = this.#fives.startOf(openMs);
      this.#fives.sum(this.#fives.startOf(fromMs), openFiveMs, sum);
      fromMs = openFiveMs;
    }
    return this.#minutes.sum(fromMs, openMs, sum);
  }

  #share(ring: TotalsRing, sinceMs: number, untilMs: number): number {
    let sum = 0;
    for (let atMs = ring.startOf(sinceMs); atMs < untilMs; atMs += ring.unitMs) {
      const requests = ring.get(atMs)?.requests ?? 0;
      if (requests === 0) continue;
      // The open minute holds what came until now.
      const endMs = atMs >= this.#rolledMs ? Math.max(untilMs, atMs + 1) : atMs + ring.unitMs;
      const part = (Math.min(untilMs, endMs) - Math.max(sinceMs, atMs)) / (endMs - atMs);
      sum += requests * Math.min(1, Math.max(0, part));
    }
    return sum;
  }

  #close(five: number): void {
    const totals = this.#minutes.sum(five, five + fiveMs);
    if (totals.requests > 0) this.#fives.set(five, totals);
    this.#revision++;
    const hour = this.#hours.startOf(five);
    if (hour + hourMs > this.#rolledMs) return;
    const ofHour = this.#fives.sum(hour, hour + hourMs);
    if (ofHour.requests > 0) this.#hours.set(hour, ofHour);
  }

  #noteFirst(atMs: number, totals: Totals): void {
    if (totals.requests > 0) this.firstMs = Math.min(this.firstMs ?? atMs, atMs);
  }
}

const busy = (steps: readonly { readonly atMs: number; readonly totals: Totals }[]) =>
  steps.flatMap(({ atMs, totals }) => (totals.requests > 0 ? [atMs] : []));
