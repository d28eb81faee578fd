import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let pool: pg.Pool;
beforeAll(async () => {
  server = await startTestServer();
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
});
afterAll(async () => {
  await pool.end();
  await server.close();
});

const post = (events: readonly unknown[]) => server.post('/telemetry/inference/batch', events);
const event = (model: string, isError = false) => ({
  model_version: model,
  inference_time_ms: 100,
  is_error: isError,
});

/** Asks until the alerts are as wanted; the test's own timeout ends it. */
async function alerts(
  wanted: (rows: pg.QueryResultRow[]) => boolean,
  where = 'true',
): Promise<pg.QueryResultRow[]> {
  for (;;) {
    const { rows } = await pool.query(`select * from system_alerts where ${where} order by id`);
    if (wanted(rows)) return rows;
    await delay(50);
  }
}

describe('the engine of the rules', () => {
  test('opens an alert with figures and an incident when events begin to fail, and says it once', async () => {
    await post(Array.from({ length: 200 }, (_, index) => event('steady', index % 100 === 0)));
    for (let round = 0; round < 3; round++) {
      await post(Array.from({ length: 20 }, (_, index) => event('failing', index < 12)));
    }
    const [alert] = await alerts((rows) => rows.length > 0, `rule = 'error_failure'`);
    expect(alert).toMatchObject({
      severity: 'critical',
      alert_type: 'error_rate',
      status: 'firing',
      labels: { model_version: 'failing' },
      metadata: { model_version: 'failing' },
    });
    expect(alert!.message).toMatch(/^\d+ % of the events of failing failed in the last \d+ s \(\d+ of \d+\)/);
    expect(alert!.incident_id).not.toBeNull();
    const { rows } = await pool.query(`select rule, labels, state, alert_id from nowcast.alert_states`);
    expect(rows).toContainEqual({
      rule: 'error_failure',
      labels: { model_version: 'failing' },
      state: 'firing',
      alert_id: alert!.id,
    });
  });
});
