/**
 * One alarm an incident: a surprise counts only when it stands clearly above the last one that counted, which fades.
 */
export interface Episode {
  /** The last surprise that counted for the score, faded. */
  peak: number;
  /** The same for alarms. */
  alarmPeak: number;
}

/** After this many points a peak has faded to 1/e. */
const fadePoints = 200;
const margin = 1.2;
const alarmMargin = 2;
/** What does not count still ranks by its surprise, below this. */
const mutedMost = 2;

export function newEpisode(): Episode {
  return { peak: 0, alarmPeak: 0 };
}

/**
 * The strength to rank by, and whether an alarm is raised by a surprise that is rare enough for one.
 * @param rank the surprise that the strength goes by, where that is another one
 */
export function follow(
  episode: Episode,
  surprise: number,
  isRare: boolean,
  rank = surprise,
): { strength: number; alarm: boolean } {
  const fade = Math.exp(-1 / fadePoints);
  episode.peak *= fade;
  episode.alarmPeak *= fade;
  const counts = rank > margin * episode.peak;
  const alarm = isRare && surprise > alarmMargin * episode.alarmPeak;
  if (counts) episode.peak = rank;
  if (alarm) episode.alarmPeak = surprise;
  return { strength: counts ? rank : (mutedMost * rank) / (mutedMost + rank), alarm };
}

/** 0 for nothing, 0.5 for a strength of 3 (one in a thousand by every view), towards 1. */
export const scoreOf = (strength: number): number => 1 - 2 ** (-strength / 3);
