/** Two events a model, twice a second, until it is ended: `node looksLoad.js URL MODELS`. */
import { setTimeout as delay } from 'node:timers/promises';

const intervalMs = 500;
const [url, models = '1'] = process.argv.slice(2);
const startedAt = performance.now();
for (let round = 1; ; round++) {
  const events = Array.from({ length: 2 * Number(models) }, (_, index) => ({
    model_version: `model ${index % Number(models)}`,
    inference_time_ms: 100 + (index % 7) * 20,
    confidence_score: 0.9,
    input_tokens: 100,
    is_error: (index + round) % 97 === 0,
  }));
  const response = await fetch(`${url}/telemetry/inference/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  await delay(Math.max(0, startedAt + round * intervalMs - performance.now()));
}
