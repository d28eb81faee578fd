import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../../server/test/support/server.ts';
import { Nowcast } from '../src/node.ts';
import { startCollector } from './support/collector.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

async function rowsOf(modelVersion: string) {
  const { body } = await server.get(`/rest/v1/inference_logs?model_version=eq.${modelVersion}&order=id`);
  return body;
}

function track(client: Nowcast, modelVersion: string, events: number): void {
  for (let event = 0; event < events; event++)
    client.track({
      model_version: modelVersion,
      inference_time_ms: event,
      trace_id: `${modelVersion}-${event}`,
    });
}

/** What is not stored is written each second, so the account is asked until it says what is expected. */
async function expectAccount(sender: string, expected: object): Promise<void> {
  await expect
    .poll(async () => {
      const { body } = await server.post('/rest/v1/rpc/loss_accounting', {});
      return body.find((account: { sender: string | null }) => account.sender === sender);
    })
    .toMatchObject(expected);
}

test('what is tracked stands in the database once, with its fields and the time it was tracked', async () => {
  const client = new Nowcast({ url: server.url, client: 'plain' });
  const before = Date.now();
  track(client, 'arrives', 250);
  client.track({
    model_version: 'whole',
    inference_time_ms: 12.5,
    confidence_score: null,
    user_id: 'u1',
    feature: 'search',
    input_tokens: 7,
    metadata: { page: 'ä' },
  });
  await expect.poll(() => client.flush()).toBe(true);
  expect(client.stats()).toEqual({ tracked: 251, sent: 251, queued: 0, dropped: {} });
  await client.close();
  const times = (await rowsOf('arrives')).map((row: { inference_time_ms: number }) => row.inference_time_ms);
  expect(times).toEqual(Array.from({ length: 250 }, (_, event) => event));
  const [whole] = await rowsOf('whole');
  expect(whole).toMatchObject({
    inference_time_ms: 12.5,
    user_id: 'u1',
    feature: 'search',
    input_tokens: 7,
    metadata: { page: 'ä' },
  });
  expect(Date.parse(whole.timestamp)).toBeGreaterThanOrEqual(before - 1);
});

test('a batch whose answer is lost is sent again and stored once', async () => {
  const between = await startCollector((request) => (request < 2 ? 'cut' : 'store'), {
    forwardTo: server.url,
  });
  const client = new Nowcast({ url: between.url, client: 'cut off', onWarning: () => undefined });
  track(client, 'retried', 20);
  await expect.poll(() => client.flush()).toBe(true);
  await client.close();
  await between.close();
  expect(between.requests).toBe(3);
  expect(await rowsOf('retried')).toHaveLength(20);
  await expectAccount('cut off', { stored: 20, duplicate: 40 });
});

test("the server's accounting names the client and what it dropped, and what was rejected once", async () => {
  const client = new Nowcast({
    url: server.url,
    client: 'checkout',
    redact: (event) => (event.user_id === 'hidden' ? null : event),
    onWarning: () => undefined,
  });
  track(client, 'accounted', 3);
  client.track({ model_version: 'accounted', inference_time_ms: 1, user_id: 'hidden' });
  client.track({ model_version: '', inference_time_ms: 1 });
  client.track({ model_version: 'accounted', inference_time_ms: 1, confidence_score: 7 });
  await expect.poll(() => client.flush()).toBe(true);
  expect(client.stats()).toEqual({
    tracked: 6,
    sent: 3,
    queued: 0,
    dropped: { redacted: 1, invalid: 1, rejected: 1 },
  });
  await client.close();
  await expectAccount('checkout', { sent: 6, stored: 3, rejected: 1, dropped: 2 });
});

test('feedback() reaches the event of its trace', async () => {
  const client = new Nowcast({ url: server.url });
  track(client, 'judged', 2);
  await expect.poll(() => client.flush()).toBe(true);
  expect(await client.feedback({ trace_id: 'judged-1', feedback: -1, quality_score: 0.25 })).toBe(true);
  await client.close();
  expect(await rowsOf('judged')).toMatchObject([
    { feedback: null, quality_score: null },
    { feedback: -1, quality_score: 0.25 },
  ]);
});

test('a server that has keys takes the events of a client that has one', async () => {
  const guarded = await startTestServer({ NOWCAST_INGEST_KEY: 'an-ingest-key-of-16-or-more' });
  const stranger = new Nowcast({ url: guarded.url, onWarning: () => undefined });
  track(stranger, 'guarded', 1);
  await stranger.close({ timeoutMs: 30_000 });
  expect(stranger.stats()).toMatchObject({ sent: 0, dropped: { refused: 1 } });
  const client = new Nowcast({ url: guarded.url, key: 'an-ingest-key-of-16-or-more' });
  track(client, 'guarded', 1);
  await client.close({ timeoutMs: 30_000 });
  expect(client.stats()).toMatchObject({ sent: 1, dropped: {} });
  await guarded.close();
});
