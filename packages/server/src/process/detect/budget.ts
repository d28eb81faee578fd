const weekMs = 7 * 86_400_000;
const unitsPerWeek: Readonly<Record<string, number>> = {
  hour: 168,
  day: 7,
  week: 1,
  month: 7 / 30.4,
  quarter: 7 / 91.3,
  year: 7 / 365,
};
const words: Readonly<Record<string, number>> = {
  a: 1,
  an: 1,
  one: 1,
  once: 1,
  twice: 2,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  ten: 10,
};

/** Rarer than this no tail learnt from one series can promise. */
const smallestTail = 1e-6;
/** A coarser series (an hour a point) would else be allowed alarms at every third breath of its noise. */
const largestTail = 1e-3;

/** The part of the budget that is spent by chance; the rest is for real changes that nobody would call an incident. */
export const largestShareOfBudget = 0.5;

/** Reads "1 per week", "twice a month", "one every 3 days" as false alarms a week; undefined when it is none of these. */
export function parseBudget(text: string): number | undefined {
  const match =
    /^(?<count>[\d.]+|[a-z]+)(?:\s+(?:false\s+)?alarms?)?\s+(?:per|a|an|each|every|in\s+an?)\s+(?:(?<every>[\d.]+)\s+)?(?<unit>[a-z]+?)s?$/.exec(
      text.trim().toLowerCase(),
    );
  const groups = match?.groups;
  const perWeek = unitsPerWeek[groups?.unit ?? ''];
  if (groups === undefined || perWeek === undefined) return undefined;
  const count = words[groups.count!] ?? Number(groups.count);
  const every = Number(groups.every ?? 1);
  const budget = (count / every) * perWeek;
  return Number.isFinite(budget) && budget > 0 ? budget : undefined;
}

/** The tail probability a point may have at most to be an alarm, for points this far apart. */
export function tailOfBudget(falseAlarmsPerWeek: number, intervalMs: number): number {
  const pointsPerWeek = weekMs / intervalMs;
  return Math.min(largestTail, Math.max(smallestTail, falseAlarmsPerWeek / pointsPerWeek));
}
