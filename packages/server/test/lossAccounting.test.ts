import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { event } from './support/events.ts';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let database: pg.Client;
beforeAll(async () => {
  server = await startTestServer();
  database = new pg.Client({ connectionString: server.databaseUrl });
  await database.connect();
});
afterAll(async () => {
  await database.end();
  await server.close();
});

interface Account {
  readonly sender: string | null;
  readonly sent: number;
  readonly stored: number;
  readonly sampled_out: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly reasons: Record<string, number>;
}

async function accounts(): Promise<Account[]> {
  const { body } = await server.post('/rest/v1/rpc/loss_accounting', {});
  return body;
}

/** What is not stored is written each second, so the account is asked until it says what is expected. */
async function expectAccount(sender: string, expected: Partial<Account>): Promise<void> {
  await expect
    .poll(async () => (await accounts()).find((account) => account.sender === sender))
    .toMatchObject(expected);
}

const batch = '/telemetry/inference/batch';
const bad = { model_version: 'v1', inference_time_ms: 'slow' };

describe('loss_accounting()', () => {
  test('names the sender by its x-nowcast-client header or the client of the batch', async () => {
    await server.post('/telemetry/inference', event(), { 'x-nowcast-client': 'checkout' });
    await server.post(batch, { client: 'search', events: [event(), event()] });
    await server.post('/telemetry/inference', event());
    await expectAccount('checkout', { sent: 1, stored: 1, reasons: {} });
    await expectAccount('search', { sent: 2, stored: 2 });
    await expectAccount('unnamed', { sent: 1, stored: 1 });
  });

  test('tells the rejected by the field that broke a rule', async () => {
    const headers = { 'x-nowcast-client': 'sloppy' };
    await server.post(batch, [event(), bad, { model_version: 7 }], headers);
    await server.post('/telemetry/inference', bad, headers);
    await server.post('/telemetry/inference', '{', headers);
    await server.post(batch, '{"events": 3}', headers);
    await expectAccount('sloppy', {
      sent: 6,
      stored: 1,
      rejected: 5,
      reasons: {
        'rejected: inference_time_ms': 2,
        'rejected: model_version': 1,
        'rejected: invalid_json': 1,
        'rejected: invalid_batch': 1,
      },
    });
  });

  test('counts a repeat as duplicate, and what its sender dropped only once', async () => {
    const body = {
      client: 'retrying',
      batch_id: 'one',
      events: [event(), event()],
      dropped: { queue_full: 5, sampled: 0 },
    };
    for (let attempt = 0; attempt < 3; attempt += 1) await server.post(batch, body);
    const empty = { client: 'retrying', batch_id: 'two', events: [], dropped: { closed: 3 } };
    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect(await server.post(batch, empty)).toMatchObject({ status: 200, body: { accepted: 0 } });
    }
    await expectAccount('retrying', {
      sent: 14,
      stored: 2,
      duplicate: 4,
      dropped: 8,
      reasons: expect.objectContaining({ 'dropped: queue_full': 5, 'dropped: closed': 3 }),
    });
  });

  test('stores the events of a batch whose report is nonsense, and says so', async () => {
    const answer = await server.post(batch, { client: 'odd', events: [event()], dropped: { x: -1 } });
    expect(answer.body).toMatchObject({ accepted: 1, warnings: [expect.stringContaining('dropped')] });
    await expectAccount('odd', { sent: 1, stored: 1, dropped: 0 });
  });

  test('counts whoever writes by SQL', async () => {
    await database.query(
      `insert into inference_logs (model_version, inference_time_ms) select 'v1', 5 from generate_series(1, 7)`,
    );
    const user = decodeURIComponent(new URL(server.databaseUrl).username);
    await expectAccount(`sql (${user})`, { sent: 7, stored: 7 });
  });

  test('closes for everybody together: what is stored is what lies in the table', async () => {
    const plan = fc.array(
      fc.record({
        client: fc.constantFrom('a', 'b', "o'brien \\ {x}", '模型'),
        good: fc.nat({ max: 3 }),
        bad: fc.nat({ max: 2 }),
        id: fc.option(fc.constantFrom('i1', 'i2', 'i3', 'i4'), { nil: undefined }),
        dropped: fc.nat({ max: 4 }),
      }),
      { minLength: 20, maxLength: 40 },
    );
    let sent = (await total()).sent;
    const [requests] = fc.sample(plan, { numRuns: 1 });
    await Promise.all(
      requests!.map(({ client, good, bad: wrong, id, dropped }) => {
        sent += good + wrong;
        return server.post(batch, {
          client,
          ...(id === undefined ? {} : { batch_id: id }),
          events: [
            ...Array.from({ length: good }, () => event()),
            ...Array.from({ length: wrong }, () => bad),
          ],
          ...(id === undefined ? { dropped: { lost: dropped } } : {}),
        });
      }),
    );
    for (const { id, dropped } of requests!) if (id === undefined) sent += dropped;
    await expect.poll(async () => (await total()).sent).toBe(sent);
    const { stored, sampled_out, duplicate, rejected, dropped } = await total();
    expect(stored + sampled_out + duplicate + rejected + dropped).toBe(sent);
    const { rows } = await database.query<{ n: string }>('select count(*) as n from inference_logs');
    expect(stored).toBe(Number(rows[0]!.n));
  });
});

async function total(): Promise<Account> {
  return (await accounts()).find(({ sender }) => sender === null)!;
}
