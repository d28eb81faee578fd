import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reservedPort } from '../../../packages/server/test/support/ports.ts';
import { startTestServer, type TestServer } from '../../../packages/server/test/support/server.ts';
import { findPython } from '../../support/python.ts';

const article = fileURLToPath(new URL('../../../bench/article/', import.meta.url));

const python = await findPython('the FastAPI service', ['fastapi', 'asyncpg', 'uvicorn']);

let nowcast: TestServer;
beforeAll(async () => {
  nowcast = await startTestServer();
});
afterAll(() => nowcast.close());

async function expectCounted(model: string): Promise<void> {
  const { body } = await nowcast.get(`/rest/v1/inference_metrics_hourly?model_version=eq.${model}`);
  // A row a minute, and the next one may begin between the two events.
  const minutes = body as { request_count: number; error_count: number; avg_latency_ms: number }[];
  const sum = (of: (minute: (typeof minutes)[number]) => number) =>
    minutes.reduce((total, minute) => total + of(minute), 0);
  expect(sum(({ request_count }) => request_count)).toBe(2);
  expect(sum(({ error_count }) => error_count)).toBe(1);
  expect(sum(({ request_count, avg_latency_ms }) => request_count * avg_latency_ms)).toBe(300);
}

test.skipIf(python === undefined)(
  'events that the FastAPI service inserts count like posted ones',
  async () => {
    const port = await reservedPort();
    const service = spawn(
      python!,
      ['-m', 'uvicorn', 'app:app', '--host', '127.0.0.1', '--port', String(port)],
      {
        cwd: article,
        env: {
          ...process.env,
          BENCH_ARTICLE_DATABASE_URL: nowcast.databaseUrl,
          PYTHONDONTWRITEBYTECODE: '1',
        },
        stdio: 'ignore',
      },
    );
    try {
      const url = `http://127.0.0.1:${port}`;
      await expect
        .poll(() =>
          fetch(`${url}/openapi.json`).then(
            ({ ok }) => ok,
            () => false,
          ),
        )
        .toBe(true);
      for (const event of [
        { model_version: 'fastapi', inference_time_ms: 100, input_size_bytes: 10 },
        {
          model_version: 'fastapi',
          inference_time_ms: 200,
          input_size_bytes: 10,
          is_error: true,
          error_message: 'no',
        },
      ]) {
        const headers = { 'content-type': 'application/json' };
        const response = await fetch(`${url}/telemetry/inference`, {
          method: 'POST',
          headers,
          body: JSON.stringify(event),
        });
        expect(response.status).toBe(200);
      }
      await expectCounted('fastapi');
    } finally {
      const ended = once(service, 'exit');
      service.kill('SIGTERM');
      await ended;
    }
  },
);

// The very statement of the service, so that a break is seen where Python is not.
test('the statement by which the FastAPI service inserts is taken, and its rows count', async () => {
  const source = await readFile(`${article}app.py`, 'utf8');
  const statement = /INSERT = """([^"]+)"""/.exec(source)?.[1];
  expect(statement).toContain('INSERT INTO inference_logs');
  const client = new pg.Client({ connectionString: nowcast.databaseUrl });
  await client.connect();
  await client.query(statement!, ['by-sql', 100, 0.9, 10, 'dog', false, null, null]);
  await client.query(statement!, ['by-sql', 200, null, 10, null, true, 'no', '{"why":"test"}']);
  await client.end();
  await expectCounted('by-sql');
});
