import {
  isKnownAt,
  learnSeason,
  newSeason,
  readSeason,
  type Season,
  usualAt,
  writeSeason,
} from './season.ts';

/** What is remembered of a series' course: forgotten averages of several lengths and the usual day. */
export interface Course {
  readonly numbers: CourseNumbers;
  readonly season: Season;
}

const emptyNumbers = {
  count: 0,
  lastMs: 0,
  lastValue: 0,
  intervalMs: 0,
  /** Season slots hold the distance from here, for they are small numbers. */
  anchor: 0,
  fast: 0,
  middle: 0,
  slow: 0,
  smoothed: 0,
  level: 0,
  jitter: 0,
  usualJitter: 0,
  seasonError: 0,
  /** Mean sizes of the errors of the two ways to expect the next value. */
  middleMiss: 0,
  seasonMiss: 0,
  repeats: 0,
  run: 0,
  /** The averages as they were when the last incident began, and at which value that was; 0 for none. */
  incidentAt: 0,
  fastBefore: 0,
  middleBefore: 0,
  slowBefore: 0,
};
export type CourseNumbers = typeof emptyNumbers;
const courseNumberNames = Object.keys(emptyNumbers) as (keyof CourseNumbers)[];

/** How much a new value counts in each average. */
const gains = {
  fast: 0.05,
  middle: 0.01,
  slow: 0.002,
  smoothed: 0.1,
  level: 0.02,
  jitter: 0.1,
  usualJitter: 0.005,
};
const missGain = 0.01;
const seasonErrorGain = 0.1;
/** So long the course before an incident stays a second idea of what is usual: coming back to it is no news. */
const returnPoints = 600;
/** A pause this many intervals long breaks what is said of neighbouring values. */
const pauseIntervals = 3;

/** Distances from what was to be expected; each has a tail of its own. Undefined where nothing can be said yet. */
export const viewNames = [
  'fast',
  'middle',
  'slow',
  'season',
  'smoothed',
  'seasonDrift',
  'level',
  'jitter',
  'fastAlone',
  'middleAlone',
  'slowAlone',
  'smoothedAlone',
] as const;
export type ViewName = (typeof viewNames)[number];

export function newCourse(): Course {
  return { numbers: { ...emptyNumbers }, season: newSeason() };
}

export function viewsOf(course: Course, timestampMs: number, value: number): (number | undefined)[] {
  const { numbers } = course;
  const usual = usualAfter(course, timestampMs);
  const known = isKnownAt(course.season, timestampMs, numbers.intervalMs);
  const seasonError = value - usual;
  const remembers = hasIncident(numbers);
  const drift = known ? towards(numbers.seasonError, seasonError, seasonErrorGain) : undefined;
  // What came before the incident that is going on is no surprise; what comes at this time of the day or week is none
  // that would be worth an alarm.
  const alone = (distance: number, before: number) =>
    remembers && Math.abs(before) < Math.abs(distance) ? before : distance;
  const nearer = (distance: number, usually: number | undefined) =>
    usually !== undefined && Math.abs(usually) < Math.abs(distance) ? usually : distance;
  const smoothed = towards(numbers.smoothed, value, gains.smoothed);
  const level = towards(numbers.level, value, gains.level);
  const isReturn =
    remembers && Math.abs(value - numbers.fastBefore) < Math.abs(numbers.lastValue - numbers.fastBefore);
  const fastAlone = alone(value - numbers.fast, value - numbers.fastBefore);
  const middleAlone = alone(value - numbers.middle, value - numbers.middleBefore);
  const slowAlone = alone(value - numbers.slow, value - numbers.slowBefore);
  const smoothedAlone = alone(smoothed - numbers.middle, smoothed - numbers.middleBefore);
  const season = known ? seasonError : undefined;
  const views = [
    nearer(fastAlone, season),
    nearer(middleAlone, season),
    nearer(slowAlone, season),
    season,
    nearer(smoothedAlone, drift),
    drift,
    alone(level - numbers.slow, level - numbers.slowBefore),
    isReturn || isPause(numbers, timestampMs)
      ? undefined
      : towards(
          numbers.jitter,
          Math.min(Math.abs(value - numbers.lastValue), Math.abs(season ?? Number.POSITIVE_INFINITY)),
          gains.jitter,
        ) - numbers.usualJitter,
    fastAlone,
    middleAlone,
    slowAlone,
    smoothedAlone,
  ];
  // What arithmetic leaves between equal values is no distance.
  const least = 1e-9 * Math.abs(numbers.slow);
  return views.map((view) => (view !== undefined && Math.abs(view) < least ? 0 : view));
}

/** An incident begins: what was usual until now is remembered, unless another one began not long ago. */
export function rememberCourse(numbers: CourseNumbers): void {
  if (hasIncident(numbers)) return;
  numbers.incidentAt = numbers.count;
  numbers.fastBefore = numbers.fast;
  numbers.middleBefore = numbers.middle;
  numbers.slowBefore = numbers.slow;
}

const hasIncident = ({ incidentAt, count }: CourseNumbers) =>
  incidentAt > 0 && count - incidentAt < returnPoints;

/** The better of the usual course and the recent average, by their errors so far. */
export function expectedAt(course: Course, timestampMs: number): number {
  const { numbers, season } = course;
  return isKnownAt(season, timestampMs, numbers.intervalMs) && numbers.seasonMiss < numbers.middleMiss
    ? usualAfter(course, timestampMs)
    : numbers.middle;
}

/** How often in a row this value would have come. */
export function runOf(numbers: CourseNumbers, timestampMs: number, value: number): number {
  return numbers.count > 0 && value === numbers.lastValue && !isPause(numbers, timestampMs)
    ? numbers.run + 1
    : 0;
}

/**
 * @param ordinary the value or, where that is monstrous, what averages may learn of it: else the return from a spike
 *   would be the next one
 */
export function learnCourse(course: Course, timestampMs: number, value: number, ordinary: number): void {
  const { numbers, season } = course;
  if (numbers.count === 0) numbers.anchor = value;
  const seasonError = value - usualAfter(course, timestampMs);
  const middleError = value - numbers.middle;
  const run = runOf(numbers, timestampMs, value);
  const pause = isPause(numbers, timestampMs);
  numbers.count++;
  const gain = (lasting: number) => Math.max(lasting, 1 / numbers.count);
  if (numbers.count > 1) {
    learnInterval(numbers, timestampMs);
    if (!pause) {
      numbers.jitter = towards(numbers.jitter, Math.abs(value - numbers.lastValue), gain(gains.jitter));
      numbers.usualJitter = towards(numbers.usualJitter, numbers.jitter, gain(gains.usualJitter));
    }
    numbers.middleMiss = towards(numbers.middleMiss, Math.abs(middleError), gain(missGain));
    numbers.seasonMiss = towards(numbers.seasonMiss, Math.abs(seasonError), gain(missGain));
    numbers.seasonError = towards(numbers.seasonError, seasonError, seasonErrorGain);
    const intervalMs = numbers.intervalMs || 60_000;
    learnSeason(season, timestampMs, numbers.lastMs, ordinary - numbers.anchor, intervalMs);
  }
  for (const name of ['fast', 'middle', 'slow', 'smoothed', 'level'] as const) {
    numbers[name] = towards(numbers[name], ordinary, gain(gains[name]));
  }
  numbers.run = run;
  if (run > 0) numbers.repeats++;
  numbers.lastMs = timestampMs;
  numbers.lastValue = value;
}

export function isPause(numbers: CourseNumbers, timestampMs: number): boolean {
  return numbers.intervalMs > 0 && timestampMs - numbers.lastMs > pauseIntervals * numbers.intervalMs;
}

export function writeCourse(course: Course): { numbers: number[]; season: string } {
  return {
    numbers: courseNumberNames.map((name) => course.numbers[name]),
    season: writeSeason(course.season),
  };
}

export function readCourse(values: readonly number[], seasonText: string): Course | undefined {
  const season = readSeason(seasonText);
  if (season === undefined || values.length !== courseNumberNames.length) return undefined;
  const numbers = { ...emptyNumbers };
  courseNumberNames.forEach((name, index) => {
    numbers[name] = values[index]!;
  });
  return { numbers, season };
}

function usualAfter({ numbers, season }: Course, timestampMs: number): number {
  const distance = usualAt(season, timestampMs);
  return distance === undefined ? numbers.middle : numbers.anchor + distance;
}

function learnInterval(numbers: CourseNumbers, timestampMs: number): void {
  const passedMs = timestampMs - numbers.lastMs;
  if (!(passedMs > 0)) return;
  const first = numbers.intervalMs === 0;
  const clippedMs = first ? passedMs : Math.min(passedMs, pauseIntervals * numbers.intervalMs);
  numbers.intervalMs = towards(numbers.intervalMs, clippedMs, first ? 1 : Math.max(0.05, 1 / numbers.count));
}

const towards = (from: number, to: number, gain: number) => from + gain * (to - from);
