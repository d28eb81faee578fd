import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { event } from './support/events.ts';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let pool: pg.Pool;
beforeAll(async () => {
  server = await startTestServer();
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 1 });
});
afterAll(async () => {
  await pool.end();
  await server.close();
});

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

describe('/health', () => {
  test('waits for the first event, then knows its age, and is degraded when nothing came for five minutes', async () => {
    expect(await server.get('/health')).toMatchObject({
      status: 200,
      body: {
        status: 'healthy',
        database: 'connected',
        last_event_age_seconds: null,
        message: 'waiting for the first event',
      },
    });
    await server.post('/telemetry/inference', event());
    // The answer is kept for a second, for probes that come often.
    await expect
      .poll(() => server.get('/health'), { timeout: 3_000 })
      .toMatchObject({
        body: { status: 'healthy', last_event_age_seconds: expect.any(Number) },
      });
    await pool.query(`update nowcast.feed set created_at = now() - interval '6 minutes'`);
    await expect
      .poll(() => server.get('/health'), { timeout: 3_000 })
      .toMatchObject({
        status: 200,
        body: { status: 'degraded', message: expect.stringMatching(/^no event received for 36\d s$/) },
      });
    await server.post('/telemetry/inference', event());
    await expect
      .poll(() => server.get('/health'), { timeout: 3_000 })
      .toMatchObject({ body: { status: 'healthy' } });
  });
});

describe('/metrics', () => {
  test("counts what became of events, in Prometheus' format", async () => {
    const before = await metric('nowcast_events_total{reason="stored"}');
    await server.post('/telemetry/inference', event());
    await server.post('/telemetry/inference', { model_version: 'v1' });
    await server.post('/telemetry/inference/batch', { events: [event(), event(), 7], batch_id: 'once' });
    await server.post('/telemetry/inference/batch', { events: [event(), event(), 7], batch_id: 'once' });
    expect(await metric('nowcast_events_total{reason="stored"}')).toBe(before + 3);
    expect(await metric('nowcast_events_total{reason="duplicate"}')).toBe(2);
    expect(await metric('nowcast_events_total{reason="rejected"}')).toBe(3);
    expect(await metric('nowcast_pending_bytes')).toBe(0);
    expect(await metric('nowcast_process_resident_memory_bytes')).toBeGreaterThan(1e7);
  });
});

test('/ready answers once events can be taken', async () => {
  expect(await server.get('/ready')).toEqual({ status: 200, body: { ready: true } });
});

test('the page is asked for again each time and its assets never, compressed where the browser can', async () => {
  const page = await fetch(`${server.url}/`, { headers: { 'accept-encoding': 'br' } });
  expect(page.headers.get('cache-control')).toBe('no-cache');
  const asset = /\/assets\/[^"]+\.js/.exec(await page.text())![0];
  const { headers } = await fetch(`${server.url}${asset}`, { headers: { 'accept-encoding': 'br' } });
  expect(headers.get('cache-control')).toContain('immutable');
  expect(headers.get('content-encoding')).toBe('br');
});
