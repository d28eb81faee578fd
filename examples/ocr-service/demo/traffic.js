import { setTimeout } from 'node:timers/promises';
import { imageOf } from './images.js';
import { upload } from './plan.js';

/**
 * @typedef {{ version: string, error: boolean, inferenceTimeMs: number | null, confidence: number | null }} Answer
 */

/**
 * Sends images one after the other until `signal` says stop or `count` are sent.
 *
 * @param {{
 *   serviceUrl: string,
 *   count?: number,
 *   perSecond?: number,
 *   actOf: (number: number) => import('./plan.js').Act,
 *   onAnswer: (answer: Answer) => void,
 *   signal: AbortSignal,
 * }} options without `perSecond` as fast as the service answers
 */
export async function sendImages({ serviceUrl, count = Infinity, perSecond, actOf, onAnswer, signal }) {
  for (let number = 0; number < count && !signal.aborted; number++) {
    const due = performance.now() + (perSecond === undefined ? 0 : 1_000 / perSecond);
    onAnswer(await send(serviceUrl, upload(number, actOf(number))));
    // A service that is slower than the traffic gets the next image at once, and no burst to catch up.
    const restMs = due - performance.now();
    if (restMs > 0) await setTimeout(restMs, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * @param {string} serviceUrl
 * @param {import('./plan.js').Upload} upload
 * @returns {Promise<Answer>}
 */
async function send(serviceUrl, upload) {
  const { version, feature, imageKind } = upload;
  const query = new URLSearchParams({ version, feature, image_kind: imageKind });
  const answer = await fetch(`${serviceUrl}/ocr?${query}`, { method: 'POST', body: imageOf(upload) });
  const body = /** @type {{ inference_time_ms?: number, confidence?: number | null }} */ (
    await answer.json()
  );
  return {
    version,
    error: !answer.ok,
    inferenceTimeMs: body.inference_time_ms ?? null,
    confidence: body.confidence ?? null,
  };
}
