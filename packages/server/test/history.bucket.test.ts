import { createHash, createHmac } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bucketAddress } from '../src/history/cold/bucket/address.ts';
import { BucketClient } from '../src/history/cold/bucket/client.ts';
import { type ColdPlace, coldPlace } from '../src/history/cold/place.ts';
import { queryCold } from '../src/history/cold/query.ts';
import { restoreDay } from '../src/history/cold/restore.ts';
import { runRetention } from '../src/history/retention.ts';
import { type BucketServer, bucketCredentials, startBucketServer } from './support/bucketServer.ts';
import { killedAt } from './support/killedCold.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { buildServer } from './support/processes.ts';

const firstDay = '2025-02-03';
let bucket: BucketServer;
let pipeline: Pipeline;
let place: ColdPlace;
let coldUrl: string;
beforeAll(async () => {
  await buildServer();
  bucket = await startBucketServer('archive');
  coldUrl = `s3://archive/some/prefix?endpoint=${encodeURIComponent(bucket.endpoint)}`;
  place = coldPlace(coldUrl, bucketCredentials);
  pipeline = await startPipeline();
});
afterAll(async () => {
  await pipeline.close();
  await bucket.close();
});

async function withClient<Result>(use: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pipeline.pool.connect();
  try {
    return await use(client);
  } finally {
    client.release(true);
  }
}

async function insertDay(rows: number, day = firstDay): Promise<void> {
  await pipeline.query('select nowcast.create_partition($1)', [day]);
  await pipeline.query(
    `insert into inference_logs (timestamp, model_version, inference_time_ms, error_message)
     select $1::timestamptz + n * interval '1 second', 'v1', n, 'größer, "so"' from generate_series(1, $2::int) n`,
    [`${day}T00:00:00Z`, rows],
  );
}

async function retention(coldDays?: number): Promise<string[]> {
  const steps: string[] = [];
  await runRetention(pipeline.pool, {
    hotDays: 30,
    minuteDays: 3_650,
    place,
    coldDays,
    onStep: (step) => steps.push('day' in step ? `${step.kind} ${step.day}` : step.kind),
  });
  return steps;
}

async function countCold(): Promise<unknown> {
  const found: unknown[] = [];
  await withClient((client) =>
    queryCold(
      client,
      place,
      { sql: 'select count(*)::int, max(error_message) from inference_logs' },
      async ({ rows }) => {
        for await (const piece of rows) found.push(...piece);
      },
    ),
  );
  return found[0];
}

describe('an archive in a bucket', () => {
  test('takes a day, verified by reading it back, answers queries, and brings the day back', async () => {
    await insertDay(500);
    expect(await retention()).toEqual([`archived ${firstDay}`, `dropped ${firstDay}`]);
    expect(await pipeline.query('select count(*)::int as n from inference_logs')).toEqual([{ n: 0 }]);
    expect(await countCold()).toEqual([500, 'größer, "so"']);
    expect(await withClient((client) => restoreDay(client, place, firstDay, 7))).toBe(500);
    expect(await pipeline.query('select count(*)::int as n from inference_logs')).toEqual([{ n: 500 }]);
    expect(await countCold()).toEqual([500, 'größer, "so"']);
    await pipeline.query(`update nowcast.cold_days set restored_until = now() - interval '1 second'`);
    expect(await retention()).toEqual([`dropped ${firstDay}`]);
  });

  test('archives a day anew whose object is damaged, before any of its rows go', async () => {
    await withClient((client) => restoreDay(client, place, firstDay, 7));
    await pipeline.query(`update nowcast.cold_days set restored_until = now() - interval '1 second'`);
    const objects = await readdir(path.join(bucket.directory, 'some/prefix'));
    const object = objects.find((name) => name.endsWith('_object'))!;
    await writeFile(path.join(bucket.directory, 'some/prefix', object), 'no parquet');
    expect(await retention()).toEqual([`archived ${firstDay}`, `dropped ${firstDay}`]);
    expect(await countCold()).toEqual([500, 'größer, "so"']);
  });

  test('keeps a day in PostgreSQL while the bucket refuses, and says why without the secret', async () => {
    await withClient((client) => restoreDay(client, place, firstDay, 7));
    await pipeline.query(`update nowcast.cold_days set restored_until = now() - interval '1 second'`);
    const stranger = coldPlace(coldUrl, {
      AWS_ACCESS_KEY_ID: 'stranger',
      AWS_SECRET_ACCESS_KEY: 'the-secret',
    });
    const refused = runRetention(pipeline.pool, {
      hotDays: 30,
      minuteDays: 3_650,
      place: stranger,
      coldDays: undefined,
    });
    await expect(refused).rejects.toThrow(
      /answered 403 to GET some\/prefix\/inference_logs-2025-02-03.parquet/,
    );
    await expect(refused).rejects.not.toThrow(/the-secret/);
    expect(await pipeline.query('select count(*)::int as n from inference_logs')).toEqual([{ n: 500 }]);
  });

  test('removes objects after NOWCAST_COLD_DAYS and leaves nothing in the scratch directory', async () => {
    expect(await retention(1)).toEqual([`dropped ${firstDay}`, `forgotten ${firstDay}`]);
    expect(await place.exists(`inference_logs-${firstDay}.parquet`)).toBe(false);
    const scratch = await readdir(path.join(os.tmpdir(), 'nowcast-archive'));
    expect(scratch).not.toContain(`.scratch-${process.pid}`);
  });
});

describe('killed', () => {
  const rows = 20;
  const heldRows = async (day: string) =>
    (
      await pipeline.query<{ n: number }>(
        `select count(*)::int as n from inference_logs where timestamp >= $1::date and timestamp < $1::date + 1`,
        [day],
      )
    )[0]!.n;

  test('at any step of a request, archiving to a bucket loses and doubles nothing', async () => {
    const day = '2025-03-01';
    let killed = true;
    let step = 1;
    for (; killed; step += 1) {
      await insertDay(rows, day);
      const options = { coldUrl, work: 'retention', killAt: step, environment: bucketCredentials };
      killed = await killedAt(pipeline, { ...options, steps: ['requests'] });
      expect(await countCold(), `killed at step ${step}`).toEqual([rows, 'größer, "so"']);
      await retention();
      expect(await countCold(), `after the run that followed step ${step}`).toEqual([rows, 'größer, "so"']);
      expect(await heldRows(day)).toBe(0);
      await place.remove(`inference_logs-${day}.parquet`);
      await pipeline.query('delete from nowcast.cold_days');
    }
    // The file is put, read back, and read once more when nothing can change the rows.
    expect(step).toBeGreaterThan(7);
  }, 600_000);

  test('at any statement or step of a request, restoring a day brings back all of it or nothing', async () => {
    const day = '2025-03-02';
    await insertDay(rows, day);
    await retention();
    let killed = true;
    let step = 1;
    for (; killed; step += 1) {
      const options = { coldUrl, work: day, killAt: step, environment: bucketCredentials };
      killed = await killedAt(pipeline, { ...options, steps: ['statements', 'requests'] });
      expect(await heldRows(day), `killed at step ${step}`).toBe(killed ? 0 : rows);
      expect(await countCold(), `killed at step ${step}`).toEqual([rows, 'größer, "so"']);
      if (killed) expect(await withClient((client) => restoreDay(client, place, day, 7))).toBe(rows);
      expect(await heldRows(day)).toBe(rows);
      expect(await countCold()).toEqual([rows, 'größer, "so"']);
      expect(await pipeline.query(`select * from nowcast_recompute_check($1)`, [day])).toEqual([]);
      await pipeline.query(`update nowcast.cold_days set restored_until = now() - interval '1 second'`);
      expect(await retention()).toEqual([`dropped ${day}`]);
    }
    expect(step).toBeGreaterThan(10);
  }, 600_000);
});

describe('the client of a bucket', () => {
  const address = (endpoint: string) =>
    bucketAddress(`s3://archive/?endpoint=${encodeURIComponent(endpoint)}`, bucketCredentials);

  test('signs each request by version 4, its checksum and session included', async () => {
    let authorization: string | undefined;
    let expected: string | undefined;
    const server = http.createServer((request, response) => {
      authorization = request.headers.authorization;
      expected = signatureOf(request, 'S3RVER');
      request.resume().once('end', () => response.end('stored'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const file = path.join(bucket.directory, 'signed');
    await writeFile(file, 'hello');
    const client = new BucketClient(
      bucketAddress(
        `s3://archive/?region=eu-west-3&endpoint=http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        { ...bucketCredentials, AWS_SESSION_TOKEN: 'session' },
      ),
    );
    await client.put('ordner mit ü/day=1.parquet', {
      path: file,
      bytes: 5,
      sha256: createHash('sha256').update('hello').digest('hex'),
    });
    expect(authorization).toContain('x-amz-content-sha256');
    expect(authorization).toContain('x-amz-security-token');
    expect(authorization).toMatch(new RegExp(`Signature=${expected}$`));
    server.close();
  });

  test('tries again what failed on the way or with 503, and sends the whole file each time', async () => {
    const bodies: number[] = [];
    const server = http.createServer(async (request, response) => {
      let bytes = 0;
      for await (const chunk of request) bytes += chunk.length;
      bodies.push(bytes);
      if (bodies.length === 1) return request.socket.destroy();
      response.writeHead(bodies.length === 2 ? 503 : 200).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const file = path.join(bucket.directory, 'sent');
    await writeFile(file, 'x'.repeat(100_000));
    const client = new BucketClient(address(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), 1);
    const sha256 = createHash('sha256').update('x'.repeat(100_000)).digest('hex');
    await client.put('sent', { path: file, bytes: 100_000, sha256 });
    expect(bodies).toEqual([100_000, 100_000, 100_000]);
    server.close();
  });

  test.each([
    ['s3://user:secret@archive/', 'must not hold credentials'],
    ['s3://UP/', 'must name a bucket'],
    ['s3://archive/?endpoint=ftp://x', 'must have an endpoint that is a URL'],
    ['s3://archive/?endpiont=https://x', 'has no parameter "endpiont"'],
  ])('refuses %s: %s', (url, reason) => {
    expect(() => bucketAddress(url, bucketCredentials)).toThrow(reason);
    expect(() => bucketAddress(url, bucketCredentials)).not.toThrow('secret@');
  });

  test('asks for credentials by their variables, and knows Amazon’s addresses', () => {
    expect(() => bucketAddress('s3://archive/', {})).toThrow('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
    expect(bucketAddress('s3://archive/a/b/?region=eu-west-1', bucketCredentials)).toMatchObject({
      prefix: 'a/b/',
      baseUrl: 'https://s3.eu-west-1.amazonaws.com/archive/',
      region: 'eu-west-1',
    });
  });
});

/** The signature that a server expects (Amazon S3, "Authenticating Requests: Using the Authorization Header"). */
function signatureOf({ method, url, headers }: http.IncomingMessage, secret: string): string {
  const [, scope, signedHeaders] = /Credential=[^/]+\/([^,]+), SignedHeaders=([^,]+)/.exec(
    headers.authorization!,
  )!;
  const names = signedHeaders!.split(';');
  const canonical = [
    method,
    url,
    '',
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    signedHeaders,
    headers['x-amz-content-sha256'],
  ].join('\n');
  const text = [
    'AWS4-HMAC-SHA256',
    headers['x-amz-date'],
    scope,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n');
  const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
  const key = scope!.split('/').reduce<string | Buffer>((last, part) => hmac(last, part), `AWS4${secret}`);
  return hmac(key, text).toString('hex');
}
