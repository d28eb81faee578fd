/** A service that does a little work for each request, and tracks it where it is given a collector. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Nowcast } from 'nowcast-client';

const collectorUrl = process.argv[2];
const nowcast =
  collectorUrl === undefined ? undefined : new Nowcast({ url: collectorUrl, onWarning: () => undefined });
/** More than a queue holds. */
const eventsToFill = 100_000;
const body = JSON.stringify({ label: 'dog', scores: Array.from({ length: 200 }, (_, at) => at / 200) });

function track(inferenceMs: number): void {
  nowcast?.track({
    model_version: 'v1',
    inference_time_ms: inferenceMs,
    confidence_score: 0.9,
    prediction_class: 'dog',
    user_id: 'u-17',
    feature: 'search',
    metadata: { region: 'eu', tiles: 4 },
  });
}

// The outage has gone on for a while: what may wait does so, and every further event makes an older one go.
for (
  let tracked = 0;
  nowcast !== undefined && nowcast.stats().dropped.queue_full === undefined && tracked < eventsToFill;
  tracked++
) {
  track(1);
  if (tracked % 10 === 0) await nextTurn();
}

const server = http.createServer((request, response) => {
  const started = performance.now();
  request.resume();
  const { scores }: { scores: number[] } = JSON.parse(body);
  const answer = JSON.stringify({ label: 'dog', score: Math.max(...scores) });
  track(performance.now() - started);
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
