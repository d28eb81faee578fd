import { type InferenceEvent, validateEvent } from '@nowcast/protocol';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeRandom } from '../src/commands/simulate/random.ts';
import { type IncidentKind, loadFactor, traffic } from '../src/commands/simulate/traffic.ts';
import { buildServer, spawnNowcast } from './support/processes.ts';
import { startTestServer, type TestServer } from './support/server.ts';

const mondayMs = Date.UTC(2026, 0, 5);
const hourMs = 3_600_000;

function drawn(seconds: number, kinds: readonly IncidentKind[] = [], startMs = mondayMs + 14 * hourMs) {
  const incidentsAt = () => kinds;
  const events: InferenceEvent[] = [];
  for (const event of traffic({ random: makeRandom(7), ratePerSecond: 100, startMs, incidentsAt })) {
    if (Date.parse(event.timestamp) >= startMs + seconds * 1_000) return events;
    events.push(event);
  }
  return events;
}

const of = (events: readonly InferenceEvent[], model: string) =>
  events.filter(({ model_version }) => model_version === model);
const shareOfErrors = (events: readonly InferenceEvent[]) =>
  events.filter(({ is_error }) => is_error).length / events.length;
const meanLatency = (events: readonly InferenceEvent[]) =>
  events.reduce((sum, { inference_time_ms }) => sum + inference_time_ms, 0) / events.length;

describe('simulated traffic', () => {
  test('is the same for the same seed', () => {
    expect(drawn(20)).toEqual(drawn(20));
  });

  test('breaks no rule of events', () => {
    const limits = {
      nowMicros: mondayMs * 1000,
      oldestMicros: 0,
      newestMicros: Number.MAX_SAFE_INTEGER,
      maxMetadataBytes: 1_000,
      maxMetadataDepth: 3,
      maxMetadataKeys: 1_000,
    };
    const events = drawn(30, ['errors', 'latency', 'new-version']);
    for (const event of events) {
      expect(validateEvent(event, limits)).toMatchObject({ warnings: undefined, event: {} });
    }
    expect(new Set(events.map(({ feature }) => feature)).size).toBe(4);
    expect(new Set(events.map(({ user_id }) => user_id)).size).toBeGreaterThan(100);
  });

  test('follows the hours and the week, and averages to the rate', () => {
    let sum = 0;
    for (let hour = 0; hour < 7 * 24; hour += 1) sum += loadFactor(mondayMs + hour * hourMs);
    expect(sum / (7 * 24)).toBeCloseTo(1, 6);
    const day = drawn(60).length;
    const night = drawn(60, [], mondayMs + 2 * hourMs).length;
    expect(day / night).toBeGreaterThan(3);
    // 100 a second at the peak of a weekday; four standard deviations are 400.
    expect(Math.abs(day - 60 * 100 * loadFactor(mondayMs + 14 * hourMs))).toBeLessThan(500);
  });

  test('goes wrong as its incidents say', () => {
    const model = 'gpt-4o-2024-08-06';
    const well = drawn(60);
    expect(shareOfErrors(well)).toBeLessThan(0.02);
    expect(shareOfErrors(of(drawn(60, ['errors']), model))).toBeGreaterThan(0.25);
    const slow = drawn(60, ['latency']);
    expect(meanLatency(of(slow, model)) / meanLatency(of(well, model))).toBeGreaterThan(4);
    expect(drawn(60, ['drop']).length / well.length).toBeLessThan(0.08);
    const released = drawn(60, ['new-version']);
    expect(of(well, 'ocr-v1.5')).toEqual([]);
    expect(of(released, 'ocr-v1.5').length / of(released, 'ocr-v1.4').length).toBeGreaterThan(0.3);
  });
});

describe('nowcast simulate', () => {
  let server: TestServer;
  beforeAll(async () => {
    await buildServer();
    server = await startTestServer();
  });
  afterAll(() => server.close());

  async function simulate(...args: string[]) {
    const { ended, stdout, stderr } = spawnNowcast(['simulate', '--url', server.url, ...args]);
    const { code } = await ended;
    return { code, stdout: stdout(), stderr: stderr() };
  }

  test('sends history and present to a running server', async () => {
    const { code, stdout } = await simulate(
      '--rate',
      '300',
      '--history',
      '10s',
      '--duration',
      '1s',
      '--seed',
      '3',
    );
    expect(code).toBe(0);
    const [, stored, rejected] = /(\d+) events stored, (\d+) rejected.*--seed 3\n/.exec(stdout)!.map(Number);
    expect(rejected).toBe(0);
    expect(stored).toBeGreaterThan(300);
    const client = new pg.Client({ connectionString: server.databaseUrl });
    await client.connect();
    const { rows } = await client.query(
      `select count(*)::int as events, count(distinct model_version)::int as models,
         max(timestamp) - min(timestamp) > interval '9 seconds' as spread from inference_logs`,
    );
    const { rows: senders } = await client.query('select sender, stored::int from loss_accounting()');
    await client.end();
    expect(rows).toEqual([{ events: stored, models: 4, spread: true }]);
    // By the client that applications use, and named by it.
    expect(senders).toContainEqual({ sender: 'nowcast-simulate', stored });
  });

  test.each([
    [['--rate', '0'], '--rate must be a number above 0'],
    [['--duration', 'soon'], '--duration must be a duration such as 90s'],
    [['--seed', '-1'], '--seed must be a whole number'],
    [['--incident', 'error'], 'did you mean errors?'],
    [['--incident', 'errors@2'], '--incident must be a duration'],
  ])('answers %s with one sentence and exit code 2', async (args, sentence) => {
    const { code, stderr } = await simulate(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test('ends with what the server says where its events are refused', async () => {
    const guarded = await startTestServer({ NOWCAST_INGEST_KEY: 'a-key-of-32-characters-for-ingest' });
    const { code, stderr } = await simulate('--url', guarded.url, '--key', 'another', '--rate', '1000');
    await guarded.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^Nowcast takes no events from here \(.*401.*\); what was sent before is stored\.$/m,
    );
  });

  test('says that nothing answers where no server is', async () => {
    const { code, stderr } = await simulate('--url', 'http://127.0.0.1:9');
    expect(code).toBe(1);
    expect(stderr).toBe('No Nowcast answers at http://127.0.0.1:9: start it first (npm start).\n');
  });
});
