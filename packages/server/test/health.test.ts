import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { problemsOf } from '../src/health/health.ts';
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
    await expect
      .poll(() => server.get('/health'))
      .toMatchObject({
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
      .poll(() => server.get('/health'))
      .toMatchObject({
        body: { status: 'healthy', last_event_age_seconds: expect.any(Number) },
      });
    await pool.query(`update nowcast.feed set created_at = now() - interval '6 minutes'`);
    await expect
      .poll(() => server.get('/health'))
      .toMatchObject({
        status: 200,
        body: { status: 'degraded', message: expect.stringMatching(/^no event received for \d min$/) },
      });
    await server.post('/telemetry/inference', event());
    await expect.poll(() => server.get('/health')).toMatchObject({ body: { status: 'healthy' } });
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
    // The canary's own event may be waiting at this moment.
    await expect.poll(() => metric('nowcast_pending_bytes')).toBe(0);
    // One that is missing in the batch each time, and the plain one that lacks a field.
    expect(await metric('nowcast_events_not_stored_total{fate="rejected",reason="unreadable"}')).toBe(2);
    expect(await metric('nowcast_request_seconds_count{route="/telemetry/inference",status="4xx"}')).toBe(1);
    expect(await metric('nowcast_realtime_subscribers{table="metrics_pulse"}')).toBe(0);
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

describe('what is worth a word although the database answers', () => {
  const arrives = { status: 'ok', broken_stage: null } as const;
  const gibibyte = 2 ** 30;
  test.each([
    ['nothing', 10, { free_bytes: 50 * gibibyte, free_share: 0.5 }, arrives, []],
    ['no event yet and a disk elsewhere', null, null, arrives, []],
    [
      'less than 5 % of a disk',
      10,
      { free_bytes: 40 * gibibyte, free_share: 0.04 },
      arrives,
      [/disk .*\(4 %\)/],
    ],
    ['less than a gibibyte', 10, { free_bytes: gibibyte - 1, free_share: 0.5 }, arrives, [/1024 MiB left/]],
    ['silence', 301, null, arrives, [/^no event received for 5 min$/]],
    ['silence of almost ten minutes', 599, null, arrives, [/^no event received for 9 min$/]],
    ['silence of almost three hours', 3 * 3_600 - 1, null, arrives, [/^no event received for 2 h$/]],
    ['a canary that starts', 10, null, { status: 'starting', broken_stage: null }, []],
    ['a lost canary', 10, null, { status: 'failed', broken_stage: 'realtime' }, [/stage realtime/]],
  ] as const)('%s', (_what, ageSeconds, disk, canary, expected) => {
    const problems = problemsOf(ageSeconds, disk, canary);
    expect(problems).toEqual(expected.map((words) => expect.stringMatching(words)));
  });
});
