import { request } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
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

/** The article's own body. */
const articleEvent = {
  model_version: 'v1.2.0',
  inference_time_ms: 142.5,
  confidence_score: 0.94,
  input_size_bytes: 204_800,
  prediction_class: 'dog',
  is_error: false,
  error_message: null,
  metadata: { region: 'eu' },
};

async function stored(model: string) {
  const { rows } = await pool.query('select * from inference_logs where model_version = $1 order by id', [
    model,
  ]);
  return rows;
}

describe('POST /telemetry/inference', () => {
  test("logs the article's event and answers as the article does, once it is committed", async () => {
    const answer = await server.post('/telemetry/inference', articleEvent);
    expect(answer).toEqual({ status: 200, body: { status: 'logged' } });
    const [row] = await stored('v1.2.0');
    expect(row).toMatchObject({ ...articleEvent, confidence_score: 0.94 });
  });

  test('prices a call with tokens by the list of its provider, unless its sender says what it cost', async () => {
    const call = { inference_time_ms: 1, provider: 'openai', input_tokens: 1000, output_tokens: 100 };
    await server.post('/telemetry/inference', { ...call, model_version: 'gpt-4o' });
    await server.post('/telemetry/inference/batch', [{ ...call, model_version: 'gpt-4o', cost_usd: 7 }]);
    await server.post('/telemetry/inference', { ...call, model_version: 'house-model', provider: 'house' });
    const costs = (await stored('gpt-4o')).map(({ cost_usd }) => cost_usd);
    expect(costs).toEqual([expect.closeTo(0.0035, 9), 7]);
    expect((await stored('house-model'))[0].cost_usd).toBeNull();
  });

  test('keeps an unknown field in metadata and names it, so that a typo is seen', async () => {
    const answer = await server.post('/telemetry/inference', {
      model_version: 'typo',
      inference_time_ms: 1,
      inference_time: 2,
      id: 7,
      metadata: { kept: true },
    });
    expect(answer.body.warnings).toEqual([
      "unknown field 'inference_time' was kept in metadata",
      "unknown field 'id' was kept in metadata",
    ]);
    expect((await stored('typo'))[0].metadata).toEqual({ kept: true, inference_time: 2, id: 7 });
  });

  test.each([
    ['a wrong type', { inference_time_ms: '12' }, 'inference_time_ms', 'must be a number from 0'],
    ['a missing field', { model_version: undefined }, 'model_version', 'is required'],
    ['an empty model', { model_version: '' }, 'model_version', '1 to 200 characters'],
    ['a negative number', { inference_time_ms: -1 }, 'inference_time_ms', 'from 0'],
    ['a confidence above 1', { confidence_score: 94 }, 'confidence_score', 'from 0 to 1'],
    ['a fraction for an integer', { input_tokens: 1.5 }, 'input_tokens', 'an integer'],
    ['an integer out of range', { input_size_bytes: 3e9 }, 'input_size_bytes', 'an integer from 0'],
    ['a string for a boolean', { is_error: 'false' }, 'is_error', 'true or false'],
    ['a NUL', { error_message: 'a\0b' }, 'error_message', 'NUL'],
    ['half a surrogate pair', { prediction_class: '\ud800' }, 'prediction_class', 'Unicode'],
    ['a NUL in metadata', { metadata: { a: ['\0'] } }, 'metadata', 'NUL'],
    ['metadata that is no object', { metadata: [1] }, 'metadata', 'a JSON object'],
    ['a timestamp in no format', { timestamp: 'yesterday' }, 'timestamp', 'RFC 3339'],
    ['a date that does not exist', { timestamp: '2026-02-30T00:00:00Z' }, 'timestamp', 'RFC 3339'],
    ['an absurdly old timestamp', { timestamp: '1970-01-01T00:00:00Z' }, 'timestamp', 'last 30 days'],
    ['a timestamp far ahead', { timestamp: '2999-01-01T00:00:00Z' }, 'timestamp', '24 hours ahead'],
    ['a text too long', { user_id: 'x'.repeat(9_000) }, 'user_id', '8192 characters'],
  ])('answers 400 to %s, naming field and rule', async (_what, fields, field, rule) => {
    const answer = await server.post('/telemetry/inference', {
      ...articleEvent,
      model_version: 'refused',
      ...fields,
    });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'invalid_event', field });
    expect(answer.body.message).toContain(rule);
    expect(await stored('refused')).toEqual([]);
  });

  test.each([
    ['no JSON', 'model_version=v1', 400, 'invalid_json'],
    ['nothing', '', 400, 'invalid_json'],
    ['invalid UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 400, 'invalid_utf8'],
    ['an array', '[]', 400, 'invalid_event'],
    [
      'a body too large',
      JSON.stringify({ ...articleEvent, error_message: 'x'.repeat(17_000_000) }),
      413,
      'body_too_large',
    ],
  ])('answers %s with its status and a sentence', async (_what, body, status, code) => {
    const answer = await server.post('/telemetry/inference', body);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toBe(code);
    expect(answer.body.message.length).toBeGreaterThan(10);
  });

  test('never answers 500 to any JSON', async () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(-0, 1e308, '\ud800', '__proto__', '\0'),
    );
    const body = fc.record(
      {
        model_version: fc.oneof(fc.constant('fuzz'), value),
        inference_time_ms: fc.oneof(fc.constant(5), value),
        timestamp: fc.option(
          fc.oneof(
            fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
            value,
          ),
        ),
        metadata: fc.option(value),
        feature: value,
        input_tokens: value,
        extra: value,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(body, async (input) => {
        const { status } = await server.post('/telemetry/inference', JSON.stringify(input));
        expect([200, 400]).toContain(status);
      }),
      { numRuns: 300 },
    );
  });
});

describe('POST /telemetry/inference/batch', () => {
  test.each([['array'], ['object with events']])(
    'takes an %s, stores the good events and names the bad ones',
    async (form) => {
      const model = `batch ${form}`;
      const events = [
        { model_version: model, inference_time_ms: 1 },
        { model_version: model, inference_time_ms: -1 },
        'nonsense',
        { model_version: model, inference_time_ms: 4 },
      ];
      const answer = await server.post('/telemetry/inference/batch', form === 'array' ? events : { events });
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ status: 'logged', accepted: 2, rejected: 2, duplicate: false });
      expect(answer.body.errors).toEqual([
        { index: 1, field: 'inference_time_ms', message: expect.stringContaining('from 0') },
        { index: 2, field: '', message: expect.stringContaining('must be a JSON object') },
      ]);
      expect((await stored(model)).map((row) => row.inference_time_ms)).toEqual([1, 4]);
    },
  );

  test('names what is wrong with a body that is no batch', async () => {
    expect((await server.post('/telemetry/inference/batch', { events: 5 })).body).toMatchObject({
      error: 'invalid_batch',
      message: 'events must be an array, got a number',
    });
    expect((await server.post('/telemetry/inference/batch', '"x"')).status).toBe(400);
    expect((await server.post('/telemetry/inference/batch', [])).body).toMatchObject({
      accepted: 0,
      rejected: 0,
    });
    expect((await server.post('/telemetry/inference/batch', new Array(10_001).fill(0))).status).toBe(413);
  });
});

describe('every door', () => {
  const lines = (model: string) =>
    [1, 2, 3].map((ms) => JSON.stringify({ model_version: model, inference_time_ms: ms })).join('\n');

  test.each([['application/x-ndjson'], ['application/json'], ['text/plain']])(
    'takes NDJSON sent as %s',
    async (contentType) => {
      const model = `ndjson ${contentType}`;
      const body = `${lines(model)}\n\n`;
      const answer = await server.post('/telemetry/inference/batch', body, { 'content-type': contentType });
      expect(answer.body).toMatchObject({ accepted: 3, rejected: 0 });
    },
  );

  test.each([
    ['/telemetry/inference', 'application/json', (event: string) => event],
    ['/telemetry/inference/batch', 'application/json', (event: string) => `[${event}]`],
    ['/telemetry/inference/batch', 'application/x-ndjson', (event: string) => `${event}\r\n`],
  ])('takes a file that begins with a byte order mark at %s as %s', async (path, contentType, fileOf) => {
    const model = `marked ${path} ${contentType}`;
    const body = `\ufeff${fileOf(JSON.stringify({ model_version: model, inference_time_ms: 1 }))}`;
    expect((await server.post(path, body, { 'content-type': contentType })).status).toBe(200);
    expect(await stored(model)).toHaveLength(1);
  });

  test('names the line of NDJSON that is no JSON and stores the others', async () => {
    const body = `${lines('ndjson broken')}\n{"model_version":\n${lines('ndjson broken')}`;
    const answer = await server.post('/telemetry/inference/batch', body, {
      'content-type': 'application/x-ndjson',
    });
    expect(answer.body).toMatchObject({ accepted: 6, rejected: 1 });
    expect(answer.body.errors[0]).toMatchObject({
      index: 3,
      message: expect.stringContaining('must be JSON'),
    });
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('takes %s', async (encoding, compress) => {
    const headers = { 'content-encoding': encoding };
    const single = compress(JSON.stringify({ ...articleEvent, model_version: `${encoding} single` }));
    expect((await server.post('/telemetry/inference', single, headers)).body).toEqual({ status: 'logged' });
    const batch = compress(JSON.stringify([{ ...articleEvent, model_version: `${encoding} batch` }]));
    expect((await server.post('/telemetry/inference/batch', batch, headers)).body).toMatchObject({
      accepted: 1,
    });
  });

  test('refuses what is compressed too well, wrongly or in an unknown way', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, ' '));
    const refused = await server.post('/telemetry/inference/batch', bomb, { 'content-encoding': 'gzip' });
    expect(refused).toMatchObject({ status: 413, body: { error: 'body_too_large' } });
    const plain = await server.post('/telemetry/inference', '{}', { 'content-encoding': 'gzip' });
    expect(plain).toMatchObject({ status: 400, body: { error: 'invalid_encoding' } });
    const odd = await server.post('/telemetry/inference', '{}', { 'content-encoding': 'zip' });
    expect(odd).toMatchObject({ status: 415, body: { error: 'unsupported_encoding' } });
  });

  test('stores a repeated batch once and gives the first answer again', async () => {
    const events = [{ model_version: 'repeated', inference_time_ms: 1 }, { model_version: 'repeated' }];
    const first = await server.post('/telemetry/inference/batch', { events, batch_id: 'batch-1' });
    expect(first.body).toMatchObject({ accepted: 1, rejected: 1, duplicate: false });
    const again = await server.post('/telemetry/inference/batch', { events, batch_id: 'batch-1' });
    expect(again).toEqual({ status: 200, body: { ...first.body, duplicate: true } });
    const headers = { 'idempotency-key': 'single-1' };
    const event = { model_version: 'repeated', inference_time_ms: 2 };
    expect((await server.post('/telemetry/inference', event, headers)).body).toEqual({ status: 'logged' });
    expect((await server.post('/telemetry/inference', event, headers)).body).toEqual({
      status: 'logged',
      duplicate: true,
    });
    expect(await stored('repeated')).toHaveLength(2);
  });
});

describe('without keys', () => {
  /** fetch does not let Host be set. */
  function statusWith(headers: Record<string, string>): Promise<number> {
    return new Promise((resolve, reject) => {
      const sent = request(`${server.url}/telemetry/inference`, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      sent.on('error', reject);
      sent.end(JSON.stringify({ model_version: 'stranger', inference_time_ms: 1 }));
    });
  }

  test.each([
    ['a rebound name in Host', { host: 'evil.example' }],
    ['a name that only begins like loopback', { host: '127.0.0.1.evil.example' }],
    ['a page from elsewhere', { origin: 'https://evil.example' }],
    ['a sandboxed page', { origin: 'null' }],
  ])('a request with %s is refused', async (_what, headers) => {
    expect(await statusWith(headers)).toBe(403);
    expect(await stored('stranger')).toEqual([]);
  });

  test.each([
    ['localhost', { host: 'localhost:4318' }],
    ['an address of 127/8', { host: '127.0.0.1' }],
    ['IPv6 loopback', { host: '[::1]:4318' }],
    ['a page of this machine', { origin: 'http://localhost:3000' }],
  ])('a request of %s is taken', async (_what, headers) => {
    expect(await statusWith(headers)).toBe(200);
    await pool.query(`delete from inference_logs where model_version = 'stranger'`);
  });
});

describe('with keys', () => {
  let guarded: TestServer;
  beforeAll(async () => {
    guarded = await startTestServer({
      NOWCAST_INGEST_KEY: 'ingest-key',
      NOWCAST_ANON_KEY: 'anon-key',
      NOWCAST_SERVICE_KEY: 'service-key',
    });
  });
  afterAll(() => guarded.close());

  test.each([
    [undefined, 401, 401],
    ['wrong', 401, 401],
    ['ingest-key', 200, 401],
    ['anon-key', 403, 200],
    ['service-key', 200, 200],
  ])('key %s may write: %i, may read: %i', async (key, write, read) => {
    const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` };
    expect((await guarded.post('/telemetry/inference', articleEvent, headers)).status).toBe(write);
    expect((await guarded.get('/rest/v1/inference_metrics_hourly', headers)).status).toBe(read);
    expect((await guarded.get('/health')).status).toBe(200);
  });
});

test('the description of the API is made from the same table as the validation', async () => {
  const { body } = await server.get('/openapi.json');
  const schema = body.components.schemas.InferenceEvent;
  expect(schema.required).toEqual(['model_version', 'inference_time_ms']);
  expect(schema.properties.confidence_score).toMatchObject({
    type: ['number', 'null'],
    minimum: 0,
    maximum: 1,
  });
  expect(Object.keys(body.paths)).toEqual(
    expect.arrayContaining(['/telemetry/inference/batch', '/alerts/backtest']),
  );
});
