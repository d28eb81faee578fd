import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineStore, LeaseLost } from '../src/alert/engineStore.ts';
import { type Change, Evaluator } from '../src/alert/evaluator.ts';
import type { Rule } from '../src/alert/judge.ts';
import { type AlertState, inactive, judge } from '../src/alert/state.ts';
import { noTotals } from '../src/alert/totals.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 3 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const rule: Rule = {
  name: 'error_failure',
  kind: 'error_failure',
  condition: { windows_seconds: [5] },
  severity: 'critical',
  minEvents: 5,
  forMs: 0,
  keepFiringMs: 0,
  version: 1,
};

/** The lease goes by the database's clock: longer than any machine stands still, so that only what is told ends it. */
const leaseSeconds = 3_600;

/** One server's engine in simulated time over the real database. */
class Server {
  readonly store = new EngineStore(pool, leaseSeconds);
  evaluator = new Evaluator();

  async begin(nowMs: number, atMs: number, requests: number, errors: number): Promise<void> {
    await this.store.hold(nowMs, nowMs);
    this.evaluator = new Evaluator(await this.store.detectors());
    this.evaluator.restore(await this.store.states(nowMs));
    this.evaluator.series.takeMinutes(minute(atMs, requests, errors));
    this.evaluator.setRules([rule]);
  }

  look(nowMs: number, atMs: number, requests: number, errors: number): Change[] {
    return this.evaluator.look(nowMs, { models: minute(atMs, requests, errors) });
  }
}

const minute = (atMs: number, requests: number, errors: number) => [
  { model: 'm', atMs, totals: { ...noTotals(), requests, errors } },
];

const step = fc.constantFrom(
  'bad',
  'good',
  'badLost',
  'goodLost',
  'badRefused',
  'goodRefused',
  'crash',
  'byHand',
);

describe('the state of alerts', () => {
  test('survives crashes, lost answers, refused transactions and hands, and no alert opens twice', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
        await pool.query('truncate system_alerts, nowcast.incidents, nowcast.alert_states cascade');
        await pool.query('delete from nowcast.engine_lease');
        const atMs = Date.parse('2026-01-05T12:00:00Z');
        let nowMs = atMs;
        let [requests, errors] = [0, 0];
        let expected: AlertState = inactive(nowMs);
        let opened = 0;
        let server = new Server();
        await server.begin(nowMs, atMs, requests, errors);
        for (const each of steps) {
          nowMs += 10_000;
          if (each === 'crash') {
            await server.store.release();
            server = new Server();
            await server.begin(nowMs, atMs, requests, errors);
          } else if (each === 'byHand') {
            await pool.query(`update system_alerts set status = 'resolved' where status = 'firing'`);
            const closed = await server.store.closedOf(server.evaluator.openAlerts());
            const changes = server.evaluator.closedByHand(closed, nowMs);
            server.evaluator.accept(changes, await server.store.save(changes, [], new Map()));
            if (closed.size > 0) expected = { ...expected, phase: 'resolved', sinceMs: nowMs };
          } else {
            const isBad = each.startsWith('bad');
            requests += 20;
            errors += isBad ? 20 : 0;
            const changes = server.look(nowMs, atMs, requests, errors);
            if (each.endsWith('Refused')) continue;
            const ids = await server.store.save(changes, [], new Map());
            if (each.endsWith('Lost')) server.evaluator.restore(await server.store.states(nowMs));
            else server.evaluator.accept(changes, ids);
            const next = judge(expected, isBad ? 'breach' : 'calm', nowMs, rule);
            expected = next.state;
            if (next.effect === 'open') opened++;
          }
          const { rows } = await pool.query(
            `select count(*)::int as alerts, count(*) filter (where status = 'firing')::int as open,
              (select count(*)::int from nowcast.alert_states s join system_alerts a on a.id = s.alert_id
               where s.state in ('firing', 'resolving') and a.status = 'firing') as linked
             from system_alerts`,
          );
          const open = expected.phase === 'firing' || expected.phase === 'resolving' ? 1 : 0;
          expect(rows[0]).toEqual({ alerts: opened, open, linked: open });
        }
      }),
      { numRuns: 25 },
    );
  });

  test('is written by the holder of the lease alone', async () => {
    await pool.query('delete from nowcast.engine_lease');
    const [first, second] = [new Server(), new Server()];
    const nowMs = Date.now();
    expect(await first.store.hold(nowMs, nowMs)).toBe(true);
    expect(await second.store.hold(nowMs, nowMs)).toBe(false);
    await pool.query(`update nowcast.engine_lease set held_until = now() - interval '1 second'`);
    expect(await second.store.hold(nowMs + 1000, nowMs + 1000)).toBe(true);
    expect(second.store.watchBefore).toEqual({ sinceMs: nowMs, untilMs: nowMs });
    first.evaluator.setRules([rule]);
    const changes = first.look(nowMs, nowMs, 20, 20);
    expect(changes).toHaveLength(1);
    await expect(first.store.save(changes, [], new Map())).rejects.toThrow(LeaseLost);
    expect(await first.store.hold(nowMs, nowMs)).toBe(false);
    await second.store.release();
    expect(await first.store.hold(nowMs, nowMs)).toBe(true);
  });
});
