import { clusteredSurprise, waveringOf } from './binomial.ts';
import { largestShareOfBudget, tailOfBudget } from './budget.ts';
import { type Episode, follow, newEpisode, scoreOf } from './episode.ts';
import { readSaved, type SavedState } from './savedState.ts';
import { learn, readTails, surprise, type Tail, writeTails } from './tail.ts';
import type { DetectorOptions, Verdict } from './verdict.ts';
import { formatNumber, formatPercent } from './words.ts';

const version = 2;
const defaultRelativeChange = 0.1;
/** Points and events before the first alarm. */
const warmUpPoints = 30;
const warmUpEvents = 50;
/** One failure at night is no incident. */
const leastBad = 3;
/** Below, the sentence says that all is as usual. */
const toldSurprise = 2.5;
/** How much a point counts in the baseline; an unusual point counts a tenth, so that an incident is not learnt at once. */
const baselineGain = 0.001;
const unusualShare = 0.1;
/** The newest point alone, about three points, about twelve points. */
const windowGains = [1, 0.3, 0.08] as const;
/**
 * How much the share of a series that nobody knows yet may waver (squared coefficient of variation), and how many points
 * change that belief by half.
 */
const assumedWavering = 0.25;
const assumedPoints = 100;
const waveringPoints = 3000;
const windowNumbers = ['bad', 'total', 'weighted', 'excess', 'square'] as const;
const numberCount = 5 + windowGains.length * windowNumbers.length;

interface Window {
  /** Forgotten sums of bad ones and of all, and of all by the square of their weight: the variance of the sum. */
  bad: number;
  total: number;
  weighted: number;
  /** How much its shares waver beyond chance: forgotten means of what `waveringOf` says. */
  excess: number;
  square: number;
}

/** What one window saw, and how surprising it is. */
interface Found {
  readonly size: number;
  readonly isUp: boolean;
  readonly bad: number;
  readonly total: number;
}

/**
 * Judges a share, such as errors of events, from its counts: 3 of 4 and 300 of 400 are not the same news. The counts of
 * three windows are compared with the binomial distribution at the series' own baseline, and with how surprising its
 * counts have been before, for real errors come in clusters; the less surprising of both counts.
 */
export class RateDetector {
  readonly #options: DetectorOptions;
  readonly #windows: Window[];
  readonly #tails: Tail[];
  readonly #episode: Episode;
  #points: number;
  #lastMs: number;
  #intervalMs: number;
  #baseBad: number;
  #baseTotal: number;

  private constructor(options: DetectorOptions, numbers: readonly number[], tails: Tail[], episode: Episode) {
    this.#options = options;
    this.#tails = tails;
    this.#episode = episode;
    [this.#points, this.#lastMs, this.#intervalMs, this.#baseBad, this.#baseTotal] = numbers as [
      number,
      number,
      number,
      number,
      number,
    ];
    this.#windows = windowGains.map((_, index) => {
      const own = numbers.slice(5 + index * windowNumbers.length);
      return Object.fromEntries(windowNumbers.map((name, at) => [name, own[at]!])) as unknown as Window;
    });
  }

  /** Goes on where `state()` was taken; undefined, or a state of another version, begins anew. */
  static restore(state: unknown, options: DetectorOptions = {}): RateDetector {
    const saved = readSaved(state, version);
    const tails = saved && readTails(saved.tails, windowGains.length);
    const [peak, alarmPeak] = saved?.episode ?? [];
    if (saved?.numbers.length !== numberCount || !tails || peak === undefined || alarmPeak === undefined) {
      return new RateDetector(
        options,
        Array(numberCount).fill(0),
        windowGains.map(binomialTail),
        newEpisode(),
      );
    }
    return new RateDetector(options, saved.numbers, tails, { peak, alarmPeak });
  }

  state(): SavedState {
    const { peak, alarmPeak } = this.#episode;
    return {
      version,
      numbers: [
        this.#points,
        this.#lastMs,
        this.#intervalMs,
        this.#baseBad,
        this.#baseTotal,
        ...this.#windows.flatMap((window) => windowNumbers.map((name) => window[name])),
      ],
      tails: writeTails(this.#tails),
      episode: [peak, alarmPeak],
    };
  }

  /** `bad` of `total` events at this point. A point without events says nothing about a share. */
  push(timestampMs: number, bad: number, total: number): Verdict {
    const quiet = { score: 0, anomaly: false, unusual: false, expected: this.#baseline() };
    if (!Number.isFinite(timestampMs)) return { ...quiet, reason: 'The time is not a time.' };
    if (!(bad >= 0 && bad <= total && total <= 1e12))
      return { ...quiet, reason: 'The counts are not a share.' };
    if (total === 0) return { ...quiet, reason: 'No events.' };
    const { direction = 'up' } = this.#options;
    const baseline = this.#baseline() ?? bad / total;
    const isWarm = this.#points >= warmUpPoints && this.#baseTotal >= warmUpEvents;
    let strongest: Found = { size: 0, isUp: true, bad: 0, total: 0 };
    let told: Found | undefined;
    this.#windows.forEach((window, index) => {
      slide(window, windowGains[index]!, bad, total);
      // A forgotten sum varies like a plain one of fewer events.
      const part = window.total / window.weighted;
      const [windowBad, windowTotal] = [window.bad * part, window.total * part];
      const isUp = windowBad > baseline * windowTotal;
      const share = this.#baselineBound(baseline, isUp);
      const wavering = this.#wavering(window);
      const byChance = isWarm ? clusteredSurprise(windowBad, windowTotal, share, wavering, isUp) : 0;
      const tail = this.#tails[index]!;
      const counts = direction === 'both' || isUp === (direction === 'up');
      const inHistory = surprise(tail, byChance);
      const size = counts ? Math.min(byChance, inHistory) : 0;
      if (isWarm && counts) learn(tail, byChance, inHistory);
      const found = { size, isUp, bad: windowBad, total: windowTotal };
      if (size > strongest.size) strongest = found;
      // The newest point is told when it is news by itself: its counts are what a person can look up.
      if (size >= toldSurprise) told ??= found;
    });
    const verdict = this.#judge(strongest, told ?? strongest, baseline, isWarm);
    if (isWarm) this.#learnWavering(baseline, verdict.unusual);
    this.#learnBaseline(timestampMs, bad, total, verdict.unusual);
    return verdict;
  }

  #judge(found: Found, told: Found, baseline: number, isWarm: boolean): Verdict {
    const {
      falseAlarmsPerWeek = 1,
      minimumRelativeChange = defaultRelativeChange,
      name = 'error share',
    } = this.#options;
    const allowed =
      Math.log10(windowGains.length) -
      Math.log10(largestShareOfBudget * tailOfBudget(falseAlarmsPerWeek, this.#intervalMs || 60_000));
    const share = found.total > 0 ? found.bad / found.total : baseline;
    const isLarge = Math.abs(share - baseline) >= minimumRelativeChange * baseline;
    const isMany = !found.isUp || found.bad >= leastBad;
    const unusual = isWarm && isLarge && isMany && found.size >= allowed;
    const { strength, alarm } = follow(
      this.#episode,
      isLarge && isMany ? found.size : Math.min(1, found.size),
      unusual,
    );
    let reason = 'As usual.';
    if (!isWarm) reason = 'Still learning what is usual.';
    else if (found.size >= toldSurprise && isLarge && isMany) reason = explain(told, name, baseline);
    return { score: scoreOf(strength), anomaly: alarm, unusual, reason, expected: baseline };
  }

  #baseline(): number | undefined {
    return this.#baseTotal > 0 ? (this.#baseBad + 0.5) / (this.#baseTotal + 1) : undefined;
  }

  /** The baseline is itself an estimate: a standard error nearer to what came. */
  #baselineBound(baseline: number, isUp: boolean): number {
    const error = Math.sqrt((baseline * (1 - baseline)) / (this.#baseTotal + 1));
    return Math.min(1, Math.max(0, baseline + (isUp ? error : -error)));
  }

  #wavering({ excess, square }: Window): number {
    const points = Math.min(this.#warmPoints, waveringPoints);
    const own = square > 0 ? Math.max(0, excess / square) : assumedWavering;
    return (own * points + assumedWavering * assumedPoints) / (points + assumedPoints);
  }

  #learnWavering(baseline: number, unusual: boolean): void {
    const gain = (unusual ? unusualShare : 1) / Math.min(this.#warmPoints + 1, waveringPoints);
    for (const window of this.#windows) {
      const part = window.total / window.weighted;
      const { excess, square } = waveringOf(window.bad * part, window.total * part, baseline);
      window.excess += gain * (excess - window.excess);
      window.square += gain * (square - window.square);
    }
  }

  get #warmPoints(): number {
    return Math.max(0, this.#points - warmUpPoints);
  }

  #learnBaseline(timestampMs: number, bad: number, total: number, unusual: boolean): void {
    const passedMs = timestampMs - this.#lastMs;
    if (this.#points > 0 && passedMs > 0) {
      this.#intervalMs +=
        (this.#intervalMs === 0 ? 1 : 0.05) *
        (Math.min(passedMs, 3 * (this.#intervalMs || passedMs)) - this.#intervalMs);
    }
    const weight = unusual ? unusualShare : 1;
    this.#baseBad += weight * (bad - baselineGain * this.#baseBad);
    this.#baseTotal += weight * (total - baselineGain * this.#baseTotal);
    this.#points++;
    this.#lastMs = timestampMs;
  }
}

function explain({ bad, total, isUp }: Found, name: string, baseline: number): string {
  const subject = name.charAt(0).toUpperCase() + name.slice(1);
  const counts = `${formatNumber(Math.round(bad))} of ${formatNumber(Math.round(total))}`;
  const side = isUp ? 'above' : 'below';
  return `${subject} is ${formatPercent(bad / total)} (${counts}), far ${side} the usual ${formatPercent(baseline)}.`;
}

function slide(window: Window, gain: number, bad: number, total: number): void {
  const keep = 1 - gain;
  window.bad = keep * window.bad + bad;
  window.total = keep * window.total + total;
  window.weighted = keep * keep * window.weighted + total;
}

/** The tail that pure chance would have taught: where the counts are plainly binomial, nothing has to be learnt. */
function binomialTail(): Tail {
  const mean = 1 / Math.LN10;
  return {
    count: 100,
    scale: mean,
    level: -Math.log10(0.02),
    mean,
    square: 2 * mean * mean,
    excesses: 10,
    run: 0,
  };
}
