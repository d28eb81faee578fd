/**
 * A service that works for each request, and tracks it where it is given a collector. `lifelike` prepares its input, waits
 * for a model as one waits for a call to it, and prepares the answer; `bare` does next to nothing, so that whatever a
 * client adds is seen.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Nowcast } from 'nowcast-client';

export type Handler = 'lifelike' | 'bare';

/** What a service has used since it began. */
export interface Usage {
  /** Of all its threads. */
  readonly cpuUs: number;
  /** In which its garbage collector stopped it. */
  readonly pausedMs: number;
}

const [handler, collectorUrl] = process.argv.slice(2) as [Handler, string?];
const nowcast =
  collectorUrl === undefined ? undefined : new Nowcast({ url: collectorUrl, onWarning: () => undefined });
/** More than a queue holds; a collector that stores gets them. */
const eventsToFill = 50_000;
const modelMs = 5;
const scoresOf = (count: number) =>
  JSON.stringify({ label: 'dog', scores: Array.from({ length: count }, (_, at) => Math.sin(at)) });
const bareBody = scoresOf(200);
const modelInput = scoresOf(400);
const modelAnswer = scoresOf(200);
const known = {
  model_version: 'v1',
  confidence_score: 0.9,
  prediction_class: 'dog',
  user_id: 'u-17',
  feature: 'search',
  metadata: { region: 'eu', tiles: 4 },
};

const track = (inferenceMs: number) => nowcast?.track({ inference_time_ms: inferenceMs, ...known });

// The outage has gone on for a while: what may wait does so, and every further event makes an older one go.
for (
  let tracked = 0;
  nowcast !== undefined && nowcast.stats().dropped.queue_full === undefined && tracked < eventsToFill;
  tracked++
) {
  track(1);
  if (tracked % 10 === 0) await nextTurn();
}

const handlers: Record<Handler, () => string | Promise<string>> = {
  bare() {
    const startedMs = performance.now();
    const answer = best(bareBody);
    track(performance.now() - startedMs);
    return answer;
  },
  async lifelike() {
    const input = normalised(modelInput);
    const answer =
      nowcast === undefined ? await model(input) : await nowcast.observe(known, () => model(input));
    return best(answer);
  },
};

async function model(_input: string): Promise<string> {
  await sleep(modelMs);
  return modelAnswer;
}

function normalised(body: string): string {
  const { scores }: { scores: number[] } = JSON.parse(body);
  const sum = scores.reduce((all, score) => all + Math.exp(score), 0);
  return JSON.stringify(scores.map((score) => Math.exp(score) / sum));
}

function best(body: string): string {
  const { scores }: { scores: number[] } = JSON.parse(body);
  return JSON.stringify({ label: 'dog', score: Math.max(...scores) });
}

let pausedMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) pausedMs += duration;
}).observe({ entryTypes: ['gc'] });

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, pausedMs };
}

const server = http.createServer(async (request, response) => {
  request.resume();
  const answer = request.url === '/usage' ? JSON.stringify(usage()) : await handlers[handler]();
  response
    .writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    .end(answer);
});
// Its connections are idle while others have their turn.
server.keepAliveTimeout = 0;
server.headersTimeout = 0;
server.requestTimeout = 0;
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));

process.on('disconnect', () => process.exit(0));
