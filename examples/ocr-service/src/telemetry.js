/** After this long an event is given up: telemetry must never pile up behind a monitor that is down. */
const TIMEOUT_MS = 500;
/** Events on their way at once; further ones are given up. Bounds memory and sockets. */
const MAX_IN_FLIGHT = 50;

/**
 * Sends one event for each inference to Nowcast. `report` returns at once and never throws, whatever Nowcast does:
 * nobody waits for it. What could not be delivered is counted in `lost()`.
 *
 * @typedef {{
 *   model_version: string,
 *   inference_time_ms: number,
 *   confidence_score: number | null,
 *   input_size_bytes: number,
 *   prediction_class: string | null,
 *   is_error: boolean,
 *   error_message: string | null,
 *   feature: string | null,
 *   metadata: Record<string, unknown>,
 * }} InferenceEvent
 *
 * @param {string} url where Nowcast is, such as http://127.0.0.1:4318
 * @param {{ key?: string | undefined, timeoutMs?: number }} [options] the key only where Nowcast has keys
 */
export function telemetryTo(url, { key, timeoutMs = TIMEOUT_MS } = {}) {
  let inFlight = 0;
  let lost = 0;
  const headers = {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  };

  /** @param {InferenceEvent} event */
  async function send(event) {
    const answer = await fetch(`${url}/telemetry/inference`, {
      method: 'POST',
      headers,
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(timeoutMs),
    });
    // Read to its end, so that the connection can carry the next event.
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`Nowcast answered ${answer.status}`);
  }

  return {
    /** @param {InferenceEvent} event */
    report(event) {
      if (inFlight >= MAX_IN_FLIGHT) {
        lost++;
        return;
      }
      inFlight++;
      send(event)
        .catch(() => lost++)
        .finally(() => inFlight--);
    },
    lost: () => lost,
  };
}
