/** An alert ends when no failure came in its last minute and five minutes were calm, on a slow machine a little later. */
const ALERT_ENDS_SECONDS = 5 * 60;
const PATIENCE_SECONDS = 3 * 60;

/** @typedef {{ earliestSeconds: number, latestSeconds: number }} Ending */

/**
 * When the demo ends: by the clock, and where there is time for the alert's end not before it, as long as that does not
 * take all too long.
 *
 * @param {{ act: import('./plan.js').Act, afterSeconds: number }[]} plan
 * @param {number} seconds
 * @returns {Ending}
 */
export function endingOf(plan, seconds) {
  const takenBack = plan.find(({ act }) => act === 'takenBack')?.afterSeconds ?? seconds;
  const showsTheEnd = seconds - takenBack >= ALERT_ENDS_SECONDS;
  return { earliestSeconds: seconds, latestSeconds: seconds + (showsTheEnd ? PATIENCE_SECONDS : 0) };
}

/**
 * @param {Ending} ending
 * @param {{ elapsedSeconds: number, openAlerts: number }} now
 */
export function isOver({ earliestSeconds, latestSeconds }, { elapsedSeconds, openAlerts }) {
  return elapsedSeconds >= (openAlerts === 0 ? earliestSeconds : latestSeconds);
}
