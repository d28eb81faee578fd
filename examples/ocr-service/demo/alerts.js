import { setTimeout } from 'node:timers/promises';

const LOOK_EVERY_MS = 3_000;
/** An alert is told with its cause; one whose cause is not found by then, without. */
const LOOKS_FOR_A_CAUSE = 3;
/** Below the first line's text. */
const NEXT_LINE = '\n         ';

/**
 * Tells of the alerts of the demo's models as they open, are explained and end, in Nowcast's own words, until `signal` says stop.
 *
 * @param {{
 *   nowcastUrl: string, signal: AbortSignal, tell: (line: string) => void, looked: (open: number) => void,
 * }} options `looked` hears how many of them are open, whenever that was looked up and told
 */
export async function followAlerts({ nowcastUrl, signal, tell, looked }) {
  const since = new Date().toISOString();
  const query = new URLSearchParams({
    select: 'id,message,status,incident_id,explanation',
    timestamp: `gte.${since}`,
    'labels->>model_version': 'in.(ocr-v1,ocr-v2)',
    order: 'id',
    limit: '100',
  });
  const key = process.env.NOWCAST_SERVICE_KEY ?? process.env.NOWCAST_ANON_KEY ?? 'none';
  /** @type {Map<number, { looks: number, told: 'nothing' | 'beginning' | 'end', cause: string | undefined }>} */
  const known = new Map();
  while (!signal.aborted) {
    /** @type {Alert[]} */
    let alerts;
    try {
      const answer = await fetch(`${nowcastUrl}/rest/v1/system_alerts?${query}`, {
        headers: { apikey: key },
        signal,
      });
      if (!answer.ok) throw new Error(`the answer was ${answer.status}`);
      alerts = /** @type {Alert[]} */ (await answer.json());
    } catch (error) {
      if (!signal.aborted) {
        const reason = error instanceof Error ? error.message : String(error);
        tell(`Alerts cannot be read here (${reason}): see ${nowcastUrl}/alerts`);
      }
      return;
    }
    for (const alert of alerts) {
      const seen = known.get(alert.id) ?? { looks: 0, told: 'nothing', cause: undefined };
      known.set(alert.id, seen);
      seen.looks++;
      const cause = alert.explanation?.cause_sentence;
      if (seen.told === 'nothing' && (cause !== undefined || seen.looks >= LOOKS_FOR_A_CAUSE)) {
        seen.told = 'beginning';
        seen.cause = cause;
        const page = `${nowcastUrl}/alerts${alert.incident_id === null ? '' : `/${alert.incident_id}`}`;
        tell([`Alert: ${alert.message}`, ...(cause === undefined ? [] : [cause]), page].join(NEXT_LINE));
      }
      if (seen.told === 'beginning' && cause !== undefined && cause !== seen.cause) {
        seen.cause = cause;
        tell(`Of that alert more is known by now.${NEXT_LINE}${cause}`);
      }
      if (seen.told === 'beginning' && alert.status === 'resolved') {
        seen.told = 'end';
        tell(`That alert is over: ${alert.message}`);
      }
    }
    looked(alerts.filter(({ status }) => status === 'firing').length);
    await setTimeout(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * @typedef {{
 *   id: number, message: string, status: 'firing' | 'resolved', incident_id: number | null,
 *   explanation: { cause_sentence: string } | null,
 * }} Alert
 */
