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
  viewNames,
  viewsOf,
  writeCourse,
} from './course.ts';
import { type Episode, follow, newEpisode, scoreOf } from './episode.ts';
import { readSaved, type SavedState } from './savedState.ts';
import { explain, type Finding } from './seriesReason.ts';
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

const version = 2;
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

/** Views that see the same with more or less of the season in it. */
const viewKinds = [
  ['fast', 'middle', 'slow', 'season'],
  ['smoothed', 'seasonDrift'],
].map((names) => names.map((name) => viewNames.indexOf(name as (typeof viewNames)[number])));

const middleTail = 2 * viewNames.indexOf('middle');

interface Measured extends Finding {
  /** Of the most surprised view; `surprise` is that of all together. */
  readonly most: number;
  /** How rare the surprise of all together is in its own history. */
  readonly ownSurprise: number;
}

/**
 * Judges a series of values one by one, in constant time and space, by how rare each is in this series' own history.
 * Eight distances from what was to be expected (from recent averages, the usual hour, the usual jumpiness) and the
 * length of a run of equal values each have a tail of their own; their quadratic mean is the surprise, whose tail
 * again decides by the budget what is an alarm.
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
    let squares = 0;
    let weights = 1;
    const strongest = { view: 'middle' as Finding['view'], isUp: true, surprise: 0, run: 0 };
    const add = (view: Finding['view'], isUp: boolean, size: number, weight: number, run = 0) => {
      squares += weight * size * size;
      if (size > strongest.surprise) Object.assign(strongest, { view, isUp, surprise: size, run });
    };
    const views = started ? viewsOf(course, timestampMs, value) : [];
    const clarity = this.#clarity(views);
    views.forEach((distance, index) => {
      if (distance === undefined) return;
      weights += clarity[index]!;
      const isUp = distance > 0;
      const name = viewNames[index]!;
      const counts = direction === 'both' || (name !== 'jitter' && isUp === (direction === 'up'));
      const up = this.#tails[2 * index]!;
      const down = this.#tails[2 * index + 1]!;
      const surprised =
        up.count < firstScored ? 0 : isUp ? surprise(up, distance) : surprise(down, -distance);
      if (scored && counts) add(name, isUp, surprised, clarity[index]!);
      learn(up, distance, isUp ? surprised : 0);
      learn(down, -distance, isUp ? 0 : surprised);
    });
    const run = runOf(course.numbers, timestampMs, value);
    if (scored && direction === 'both') add('run', true, this.#surpriseOfRun(run), 1, run);
    if (run === 0 && course.numbers.run > 0) learn(this.#runTail(), course.numbers.run, 0);
    const whole = Math.sqrt(squares / weights);
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
    };
  }

  /** The value, no further from the average than a monstrous one may be, unless it is there to stay. */
  #ordinary(value: number): number {
    const { middle } = this.#course.numbers;
    const [up, down] = [this.#tails[middleTail]!, this.#tails[middleTail + 1]!];
    if (isLasting(up) || isLasting(down)) return value;
    return Math.max(middle - largestOrdinary(down), Math.min(middle + largestOrdinary(up), value));
  }

  /** How much each view says: one whose distances are ten times those of another of its kind sees a tenth of it. */
  #clarity(views: readonly (number | undefined)[]): number[] {
    const scales = views.map((_, index) => this.#tails[2 * index]!.scale);
    const least = viewKinds.map((kind) =>
      Math.min(...kind.map((index) => (views[index] === undefined ? Infinity : scales[index]!))),
    );
    return views.map((_, index) => {
      const kind = viewKinds.findIndex((indexes) => indexes.includes(index));
      return kind < 0 || !(scales[index]! > 0) ? 1 : least[kind]! / scales[index]!;
    });
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
    const { strength, alarm } = follow(
      this.#episode,
      finding.surprise * Math.min(1, count / warmUp),
      unusual,
    );
    const reason = finding.surprise < toldSurprise ? 'As usual.' : explain(finding, name, unit, expected);
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
