import { largestShareOfBudget, tailOfBudget } from './budget.ts';
import {
  type Course,
  expectedAt,
  isPause,
  learnCourse,
  newCourse,
  readCourse,
  rememberCourse,
  runOf,
  type ViewName,
  viewNames,
  viewsOf,
  writeCourse,
} from './course.ts';
import { type Episode, follow, newEpisode, scoreOf } from './episode.ts';
import { readSaved, type SavedState } from './savedState.ts';
import { explain, type Finding, isTold } from './seriesReason.ts';
import {
  isLasting,
  largestOrdinary,
  learn,
  mostSurprise,
  newTail,
  readTails,
  surprise,
  type Tail,
  writeTails,
} from './tail.ts';
import type { DetectorOptions, Verdict } from './verdict.ts';
import { formatDuration } from './words.ts';

const version = 3;
const defaultRelativeChange = 0;
const dayMs = 86_400_000;
/** Nothing is scored before, nothing alarms before the warm-up: a part of a day, or so many points. */
const firstScored = 30;
const leastWarmUp = 60;
const mostWarmUp = 200;
/**
 * At a budget of one a week an alarm needs this surprise besides being rare in its own history, which after a calm time
 * could make a whisper one; a single view this strong is an alarm whatever the history of a wild series says. Ten times
 * the budget lowers both by a half. Both set by the false alarms that `npm run bench:detect` counts.
 */
const leastSurprise = 4;
const strongestView = 7;
const surprisePerTenfoldBudget = 0.5;
/** Below, the sentence says that all is as usual. */
const toldSurprise = 2.5;
/** What is so surprising may be the beginning of an incident. */
const incidentSurprise = 4;
/** Larger numbers would overflow when squared. */
const largestValue = 1e30;

const indexesOf = (...names: ViewName[]) => names.map((name) => viewNames.indexOf(name));

/** Views that see the same with more or less of the season in it, by which an alarm is decided. */
const alarmKinds = [
  indexesOf('fast', 'middle', 'slow', 'season'),
  indexesOf('smoothed', 'seasonDrift'),
  indexesOf('level'),
  indexesOf('jitter'),
];
/** The same for the rank, by distances that the usual at this time does not excuse. */
const rankKinds = [
  indexesOf('fastAlone', 'middleAlone', 'slowAlone', 'season'),
  indexesOf('smoothedAlone', 'seasonDrift'),
  indexesOf('level'),
  indexesOf('jitter'),
];

/** What is no alarm is worth a suspicion: beyond a score of 0.5 it still ranks by its surprise, but slowly. */
const mostSuspicion = 3;
const suspicionOf = (size: number) =>
  size <= mostSuspicion ? size : mostSuspicion + (size - mostSuspicion) / 4;

const middleTail = 2 * viewNames.indexOf('middle');

interface Measured extends Finding {
  /** Of the most surprised view; `surprise` is that of all together. */
  readonly most: number;
  /** How rare the surprise of all together is in its own history. */
  readonly ownSurprise: number;
  /** Of all together for the rank. */
  readonly rankSurprise: number;
}

/**
 * Judges a series of values one by one, in constant time and space, by how rare each is in this series' own history.
 * Eight distances from what was to be expected (from recent averages, the usual hour, the usual jumpiness) and the
 * length of a run of equal values each have a tail of their own; their quadratic mean is the surprise, whose tail
 * again decides by the budget what is an alarm. The score ranks by the same mean of distances that the
 * usual at this time does not excuse: their tails know the turns of the day, beside which a whisper ranks low.
 */
export class SeriesDetector {
  readonly #options: DetectorOptions;
  readonly #course: Course;
  /** Two a view, up and down; then that of runs of equal values and that of the surprise itself. */
  readonly #tails: Tail[];
  readonly #episode: Episode;

  private constructor(options: DetectorOptions, course: Course, tails: Tail[], episode: Episode) {
    this.#options = options;
    this.#course = course;
    this.#tails = tails;
    this.#episode = episode;
  }

  /** Goes on where `state()` was taken; undefined, or a state of another version, begins anew. */
  static restore(state: unknown, options: DetectorOptions = {}): SeriesDetector {
    const tailCount = viewNames.length * 2 + 2;
    const saved = readSaved(state, version);
    const course = saved && readCourse(saved.numbers, saved.season ?? '');
    const tails = saved && readTails(saved.tails, tailCount);
    const [peak, alarmPeak] = saved?.episode ?? [];
    if (course === undefined || tails === undefined || peak === undefined || alarmPeak === undefined) {
      return new SeriesDetector(
        options,
        newCourse(),
        Array.from({ length: tailCount }, newTail),
        newEpisode(),
      );
    }
    return new SeriesDetector(options, course, tails, { peak, alarmPeak });
  }

  state(): SavedState {
    const { peak, alarmPeak } = this.#episode;
    return {
      version,
      ...writeCourse(this.#course),
      tails: writeTails(this.#tails),
      episode: [peak, alarmPeak],
    };
  }

  push(timestampMs: number, value: number): Verdict {
    if (!Number.isFinite(value) || !Number.isFinite(timestampMs)) {
      const reason = Number.isFinite(timestampMs) ? 'The value is not a number.' : 'The time is not a time.';
      return { score: 0, anomaly: false, unusual: false, reason, expected: undefined };
    }
    const clipped = Math.max(-largestValue, Math.min(largestValue, value));
    const { numbers } = this.#course;
    const pause = isPause(numbers, timestampMs);
    const pausedMs = timestampMs - numbers.lastMs;
    const expected = numbers.count === 0 ? undefined : this.#expected(timestampMs);
    const finding = this.#measure(timestampMs, clipped);
    const verdict = this.#judge(finding, clipped, expected);
    if (finding.surprise >= incidentSurprise) rememberCourse(numbers);
    learnCourse(this.#course, timestampMs, clipped, this.#ordinary(clipped));
    return pause && verdict.unusual
      ? { ...verdict, reason: `After ${formatDuration(pausedMs)} without data: ${verdict.reason}` }
      : verdict;
  }

  #expected(timestampMs: number): number {
    const expected = expectedAt(this.#course, timestampMs);
    return this.#options.isNonNegative === true ? Math.max(0, expected) : expected;
  }

  /** Takes the surprise of each view, and teaches the tails. */
  #measure(timestampMs: number, value: number): Measured {
    const { direction = 'both' } = this.#options;
    const course = this.#course;
    const started = course.numbers.count > 0;
    const scored = course.numbers.count >= firstScored;
    const strongest = { view: 'middle' as Finding['view'], isUp: true, surprise: 0, run: 0 };
    const take = (view: Finding['view'], isUp: boolean, size: number, run = 0) => {
      if (size > strongest.surprise) Object.assign(strongest, { view, isUp, surprise: size, run });
    };
    const views = started ? viewsOf(course, timestampMs, value) : [];
    const scales = views.map((_, index) => this.#tails[2 * index]!.scale);
    const sizes = views.map((distance, index) => {
      if (distance === undefined) return undefined;
      const isUp = distance > 0;
      const name = viewNames[index]!;
      const counts = direction === 'both' || (name !== 'jitter' && isUp === (direction === 'up'));
      const up = this.#tails[2 * index]!;
      const down = this.#tails[2 * index + 1]!;
      const surprised =
        up.count < firstScored ? 0 : isUp ? surprise(up, distance) : surprise(down, -distance);
      learn(up, distance, isUp ? surprised : 0);
      learn(down, -distance, isUp ? 0 : surprised);
      const size = scored && counts ? surprised : 0;
      if (isTold(name)) take(name, isUp, size);
      return size;
    });
    const run = runOf(course.numbers, timestampMs, value);
    const runSize = scored && direction === 'both' ? this.#surpriseOfRun(run) : 0;
    take('run', true, runSize, run);
    if (run === 0 && course.numbers.run > 0) learn(this.#runTail(), course.numbers.run, 0);
    const whole = this.#together(alarmKinds, sizes, scales, runSize);
    const own = this.#tails.at(-1)!;
    const ownSurprise = scored ? surprise(own, whole) : 0;
    if (scored) learn(own, whole, ownSurprise);
    return {
      ...strongest,
      value,
      course: course.numbers,
      most: strongest.surprise,
      surprise: whole,
      ownSurprise,
      rankSurprise: this.#together(rankKinds, sizes, scales, runSize),
    };
  }

  /** The value, no further from the average than a monstrous one may be, unless it is there to stay. */
  #ordinary(value: number): number {
    const { middle } = this.#course.numbers;
    const [up, down] = [this.#tails[middleTail]!, this.#tails[middleTail + 1]!];
    if (isLasting(up) || isLasting(down)) return value;
    return Math.max(middle - largestOrdinary(down), Math.min(middle + largestOrdinary(up), value));
  }

  /**
   * The quadratic mean of the surprises, each by how much its view says: one whose distances are ten times those of
   * another of its kind sees a tenth of it.
   */
  #together(
    kinds: readonly (readonly number[])[],
    sizes: readonly (number | undefined)[],
    scales: readonly number[],
    runSize: number,
  ): number {
    let squares = runSize * runSize;
    let weights = 1;
    for (const kind of kinds) {
      let least = Number.POSITIVE_INFINITY;
      for (const index of kind) {
        if (sizes[index] !== undefined && scales[index]! < least) least = scales[index]!;
      }
      for (const index of kind) {
        const size = sizes[index];
        if (size === undefined) continue;
        const weight = kind.length > 1 && scales[index]! > 0 ? least / scales[index]! : 1;
        squares += weight * size * size;
        weights += weight;
      }
    }
    return Math.sqrt(squares / weights);
  }

  #judge(finding: Measured, value: number, expected: number | undefined): Verdict {
    const {
      falseAlarmsPerWeek = 1,
      minimumRelativeChange = defaultRelativeChange,
      name = 'value',
      unit = '',
    } = this.#options;
    const { count, intervalMs } = this.#course.numbers;
    const warmUp = Math.min(mostWarmUp, Math.max(leastWarmUp, dayMs / (intervalMs || 60_000)));
    if (count < firstScored) {
      return { score: 0, anomaly: false, unusual: false, reason: 'Still learning what is usual.', expected };
    }
    const allowed = -Math.log10(
      largestShareOfBudget * tailOfBudget(falseAlarmsPerWeek, intervalMs || 60_000),
    );
    const eased = surprisePerTenfoldBudget * Math.log10(falseAlarmsPerWeek);
    const isRare =
      finding.most + eased >= strongestView ||
      (finding.surprise + eased >= leastSurprise && finding.ownSurprise >= allowed);
    const isLarge =
      finding.view === 'run' ||
      finding.view === 'jitter' ||
      Math.abs(value - (expected ?? value)) >= minimumRelativeChange * Math.abs(expected ?? 0);
    const unusual = count >= warmUp && isRare && isLarge;
    const rank = unusual
      ? Math.max(finding.surprise, finding.rankSurprise)
      : suspicionOf(finding.rankSurprise);
    const known = Math.min(1, count / warmUp);
    const { strength, alarm } = follow(this.#episode, finding.surprise * known, unusual, rank * known);
    const reason =
      finding.surprise >= toldSurprise
        ? explain(finding, name, unit, expected)
        : finding.rankSurprise >= toldSurprise
          ? 'Unlike the recent values, but near the usual at this time.'
          : 'As usual.';
    return { score: scoreOf(strength), anomaly: alarm, unusual, reason, expected };
  }

  /** By chance, from the share of repeated values, and by the runs that were before: the less surprising counts. */
  #surpriseOfRun(run: number): number {
    if (run < 2) return 0;
    const { repeats, count } = this.#course.numbers;
    const byChance = -(run - 1) * Math.log10((repeats + 1) / (count + 2));
    const tail = this.#runTail();
    return Math.min(mostSurprise, byChance, tail.count === 0 ? mostSurprise : surprise(tail, run));
  }

  #runTail(): Tail {
    return this.#tails[viewNames.length * 2]!;
  }
}
