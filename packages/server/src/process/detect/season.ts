/**
 * The usual course: a value for each quarter of an hour of the day, what the hour of the week adds to it, and what the
 * five minutes within the hour add (jobs that run on the hour).
 */
export interface Season {
  readonly day: Float32Array;
  readonly week: Float32Array;
  readonly hour: Float32Array;
  /** How often each quarter of an hour was passed; stops at 255. */
  readonly passes: Uint8Array;
}

const minuteMs = 60_000;
const daySlots = 96;
const daySlotMs = 15 * minuteMs;
const weekSlots = 168;
const hourSlots = 12;
const slotCount = daySlots + weekSlots + hourSlots;
/** The share of a slot that one passage through it renews. */
const dayRenewal = 0.12;
const weekRenewal = 0.25;
/** The first weeks teach more than the later ones, as if so many had been before. */
const firstWeeks = 2;
const hourRenewal = 0.1;
/** Before a slot was passed this often, its value is one day's accident. */
const enoughPasses = 2;
/** The fewer points a day, the longer its first surprises are remembered: such a series wants its weekends known first. */
const coarser = [
  { intervalMs: 120 * minuteMs, passes: 21 },
  { intervalMs: 20 * minuteMs, passes: 8 },
] as const;

export function newSeason(): Season {
  return onSlots(new Float32Array(slotCount), new Uint8Array(daySlots));
}

/** The usual value at this time; undefined before that part of the day was ever passed. */
export function usualAt(season: Season, timestampMs: number): number | undefined {
  const { day, week, hour } = slotsOf(timestampMs);
  if (season.passes[day] === 0) return undefined;
  return season.day[day]! + season.week[week]! + season.hour[hour]!;
}

export function isKnownAt(season: Season, timestampMs: number, intervalMs: number): boolean {
  const enough = coarser.find((each) => intervalMs >= each.intervalMs)?.passes ?? enoughPasses;
  return season.passes[slotsOf(timestampMs).day]! >= enough;
}

export function learnSeason(
  season: Season,
  timestampMs: number,
  previousMs: number,
  value: number,
  intervalMs: number,
): void {
  const { day, week, hour } = slotsOf(timestampMs);
  const passes = season.passes[day]!;
  if (passes === 0) {
    season.day[day] = value - season.hour[hour]! - season.week[week]!;
    season.passes[day] = 1;
    return;
  }
  const isPassed = slotsOf(previousMs).day !== day || timestampMs - previousMs >= daySlotMs;
  if (isPassed && passes < 255) season.passes[day] = passes + 1;
  const error = value - season.day[day]! - season.week[week]! - season.hour[hour]!;
  const renew = (renewal: number, slotMinutes: number) =>
    (renewal * error) / Math.max(1, (slotMinutes * minuteMs) / intervalMs);
  season.day[day]! += renew(Math.max(dayRenewal, 1 / (passes + 1)), 15);
  // What days have in common is the day's, what hours have in common too: else the parts drift against each other, and a
  // weekend's level stays in the minutes of the hour.
  addCentred(season.week, week, 24, renew(Math.max(weekRenewal, 1 / (passes / 7 + firstWeeks)), 60));
  addCentred(season.hour, hour, 1, renew(hourRenewal, 5));
}

/** Adds to one slot, and takes as much from it and all others at the same place of their day together. */
function addCentred(slots: Float32Array, slot: number, period: number, by: number): void {
  slots[slot]! += by;
  const share = (by * period) / slots.length;
  for (let at = slot % period; at < slots.length; at += period) slots[at]! -= share;
}

export function writeSeason(season: Season): string {
  const slots = season.day.buffer;
  return Buffer.concat([Buffer.from(slots), Buffer.from(season.passes.buffer)]).toString('base64');
}

/** Undefined when the text is not what `writeSeason` wrote. */
export function readSeason(text: string): Season | undefined {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  if (bytes.length !== slotCount * 4 + daySlots) return undefined;
  const slots = new Float32Array(bytes.buffer.slice(0, slotCount * 4));
  return slots.every(Number.isFinite) ? onSlots(slots, bytes.slice(slotCount * 4)) : undefined;
}

function onSlots(slots: Float32Array, passes: Uint8Array): Season {
  return {
    day: slots.subarray(0, daySlots),
    week: slots.subarray(daySlots, daySlots + weekSlots),
    hour: slots.subarray(daySlots + weekSlots),
    passes,
  };
}

function slotsOf(timestampMs: number): { day: number; week: number; hour: number } {
  const minute = Math.floor(timestampMs / minuteMs);
  return {
    day: modulo(Math.floor(minute / 15), daySlots),
    week: modulo(Math.floor(minute / 60), weekSlots),
    hour: modulo(Math.floor(minute / 5), hourSlots),
  };
}

const modulo = (value: number, by: number) => ((value % by) + by) % by;
