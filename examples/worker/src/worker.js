import { Nowcast } from 'nowcast-client';

/**
 * `POST /` with a text answers what the model at `MODEL_URL` makes of it.
 *
 * @typedef {{ TELEMETRY_URL: string, TELEMETRY_KEY?: string, MODEL_URL: string }} Environment
 * @typedef {{ waitUntil(promise: Promise<unknown>): void }} Context
 */
export default {
  /**
   * @param {Request} request
   * @param {Environment} env
   * @param {Context} ctx
   * @returns {Promise<Response>}
   */
  async fetch(request, env, ctx) {
    const nowcast = new Nowcast({
      url: env.TELEMETRY_URL,
      key: env.TELEMETRY_KEY,
      client: 'worker',
      waitUntil: (delivery) => ctx.waitUntil(delivery),
    });
    const text = await request.text();
    try {
      const answer = await nowcast.observe(
        { model_version: 'sentiment-v3', feature: 'reviews', input_size_bytes: text.length },
        () => classify(env.MODEL_URL, text),
        ({ label, score }) => ({ prediction_class: label, confidence_score: score }),
      );
      return Response.json(answer);
    } catch {
      return Response.json({ error: 'the model does not answer' }, { status: 502 });
    }
  },
};

/**
 * @param {string} url
 * @param {string} text
 * @returns {Promise<{ label: string, score: number }>}
 */
async function classify(url, text) {
  const response = await fetch(url, { method: 'POST', body: text });
  if (!response.ok) throw new Error(`the model answered ${response.status}`);
  return /** @type {{ label: string, score: number }} */ (await response.json());
}
