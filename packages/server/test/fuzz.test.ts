/** More than ten thousand hostile and half-hostile requests: none is answered 500, and what was accepted is stored. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { arbitraryEvent } from './support/events.ts';
import { PipelinedHttp, type RawRequest } from './support/pipelinedHttp.ts';
import { startTestServer, type TestServer } from './support/server.ts';

const single = '/telemetry/inference';
const batch = '/telemetry/inference/batch';
const runs = 110;
const perRun = 100;

let server: TestServer;
let http: PipelinedHttp;
beforeAll(async () => {
  server = await startTestServer();
  http = await PipelinedHttp.to(server.url);
});
afterAll(async () => {
  http.close();
  await server.close();
});

const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    ...[
      "'; drop table inference_logs; --",
      '\\.',
      '\\N',
      '\t\n\r\b',
      '\0',
      '\ud800',
      '__proto__',
      '{}',
      '$1',
    ],
    ...['x'.repeat(300), 'é'.repeat(150), '1e999', 'NaN', '-0', 'constructor', '2026-02-30T25:61:00Z'],
  ),
);
const hostileNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(-0, 1e308, -1, 1.5, 2 ** 31, 2 ** 53 + 1, 5e-324),
);
const hostileValue = fc.oneof(hostileText, hostileNumber, fc.jsonValue({ maxDepth: 3 }), fc.constant(null));

/** A good event of which some fields were replaced, or with fields that there are not. */
const bentEvent = fc
  .tuple(
    arbitraryEvent,
    fc.dictionary(
      fc.oneof(
        fc.constantFrom(
          ...['model_version', 'inference_time_ms', 'timestamp', 'confidence_score', 'prediction_class'],
          ...['input_size_bytes', 'is_error', 'error_message', 'metadata', 'user_id', 'feature', 'variant'],
          ...['session_id', 'trace_id', 'provider', 'input_tokens', 'cost_usd', 'quality_score', 'feedback'],
          ...['id', 'client', 'batch_id', 'events'],
        ),
        hostileText,
      ),
      hostileValue,
      { maxKeys: 2 },
    ),
  )
  .map(([event, bent]): unknown => ({ ...event, ...bent }));

const someEvent = fc.oneof(
  { weight: 4, arbitrary: arbitraryEvent as fc.Arbitrary<unknown> },
  { weight: 3, arbitrary: bentEvent },
  { weight: 1, arbitrary: hostileValue },
);

const utf8 = (text: string) => new TextEncoder().encode(text);
const json = (value: unknown) => utf8(JSON.stringify(value) ?? '');

const jsonBody = fc.oneof(
  { weight: 3, arbitrary: someEvent.map((event) => ({ path: single, body: json(event) })) },
  {
    weight: 2,
    arbitrary: fc.array(someEvent, { maxLength: 4 }).map((events) => ({ path: batch, body: json(events) })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ events: fc.array(someEvent, { maxLength: 3 }), client: hostileValue, dropped: hostileValue })
      .map((body) => ({ path: batch, body: json(body) })),
  },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.oneof(someEvent.map(json), fc.uint8Array({ maxLength: 20 })), { maxLength: 4 })
      .map((lines) => ({ path: batch, body: Buffer.concat(lines.flatMap((line) => [line, utf8('\n')])) })),
  },
);

/** Bytes, and JSON that was cut off or in which a byte has turned. */
const rawBody = fc.oneof(
  fc.record({ path: fc.constantFrom(single, batch), body: fc.uint8Array({ maxLength: 200 }) }),
  fc
    .tuple(jsonBody, fc.nat())
    .map(([{ path, body }, at]) => ({ path, body: body.slice(0, at % (body.length + 1)) })),
  fc.tuple(jsonBody, fc.nat(), fc.nat(255)).map(([{ path, body }, at, byte]) => {
    const turned = Uint8Array.from(body);
    if (turned.length > 0) turned[at % turned.length] = byte;
    return { path, body: turned };
  }),
);

const headers = fc.record(
  {
    'content-type': fc.constantFrom('application/json', 'application/x-ndjson', 'text/plain', 'x', ''),
    'idempotency-key': fc.oneof(
      { weight: 8, arbitrary: fc.uuid() },
      { weight: 1, arbitrary: fc.constantFrom('', 'again', '"odd" /key', 'x'.repeat(201)) },
    ),
    'x-nowcast-client': fc.string({ unit: fc.constantFrom(...'abc \u00e9\u00ff'), maxLength: 12 }),
    'x-request-id': fc.string({ unit: fc.constantFrom(...'abc {}"\u00e9'), maxLength: 12 }),
  },
  { requiredKeys: [] },
);

const encoding = fc.oneof(
  { weight: 12, arbitrary: fc.constant('none') },
  { weight: 2, arbitrary: fc.constant('gzip') },
  { weight: 1, arbitrary: fc.constantFrom('lie', 'unknown') },
);

const request: fc.Arbitrary<RawRequest> = fc
  .tuple(fc.oneof({ weight: 4, arbitrary: jsonBody }, { weight: 1, arbitrary: rawBody }), headers, encoding)
  .map(([{ path, body }, given, encoded]) => {
    if (encoded === 'none') return { path, headers: given, body };
    const named = { ...given, 'content-encoding': encoded === 'unknown' ? 'zip' : 'gzip' };
    return { path, headers: named, body: encoded === 'gzip' ? gzipSync(body) : body };
  });

/** Whether JSON was read, and how many events were stored. */
function judge(status: number, body: string): { parsed: boolean; stored: number } {
  const answer = JSON.parse(body);
  if (status !== 200) return { parsed: /^invalid_(event|batch|batch_id)$/.test(answer.error), stored: 0 };
  if (answer.duplicate === true) return { parsed: true, stored: 0 };
  return { parsed: true, stored: answer.accepted ?? 1 };
}

test('no request is answered 500, a third gets past JSON, a quarter is stored, and every accepted event is a row', async () => {
  let sent = 0;
  let parsed = 0;
  let requestsStored = 0;
  let eventsStored = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: perRun, maxLength: perRun }), async (requests) => {
      const answers = await http.post(requests);
      for (const [index, { status, body }] of answers.entries()) {
        // 503 is the promised answer of a database that keeps nobody waiting for ever.
        if (status >= 500 && status !== 503) {
          const { path, headers: given, body: posted } = requests[index]!;
          expect.unreachable(
            `${status} ${body} to ${path} ${JSON.stringify(given)} ${Buffer.from(posted).toString('latin1')}`,
          );
        }
        const verdict = judge(status, body);
        sent += 1;
        if (verdict.parsed) parsed += 1;
        if (verdict.stored > 0) requestsStored += 1;
        eventsStored += verdict.stored;
      }
    }),
    { numRuns: runs, endOnFailure: true },
  );
  expect(sent).toBeGreaterThanOrEqual(10_000);
  expect(parsed / sent).toBeGreaterThanOrEqual(1 / 3);
  expect(requestsStored / sent).toBeGreaterThanOrEqual(1 / 4);
  const client = new pg.Client({ connectionString: server.databaseUrl });
  await client.connect();
  const { rows } = await client.query(
    `select (select count(*)::integer from public.inference_logs) as stored,
       (select count(*)::integer from nowcast_recompute_check()) as wrong`,
  );
  await client.end();
  expect(rows).toEqual([{ stored: eventsStored, wrong: 0 }]);
});

test('bytes that are no HTTP are answered 400 or with the end of the connection, and the server goes on', async () => {
  const { hostname, port } = new URL(server.url);
  const begin = fc.constantFrom(
    '',
    'POST /telemetry/inference HTTP/1.1\r\nHost: x\r\n',
    'GET / HTTP/9.9\r\n',
  );
  await fc.assert(
    fc.asyncProperty(begin, fc.uint8Array({ minLength: 1, maxLength: 300 }), async (start, bytes) => {
      const socket = connect({ host: hostname, port: Number(port) }).on('error', () => undefined);
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      const closed = once(socket, 'close');
      socket.end(Buffer.concat([Buffer.from(start), bytes, Buffer.from('\r\n\r\n')]));
      await closed;
      expect(text).not.toMatch(/^HTTP\/1\.1 5/);
    }),
    { numRuns: 200 },
  );
  expect((await server.get('/health')).status).toBe(200);
});
