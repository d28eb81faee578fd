import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type InferenceEvent, Nowcast } from 'nowcast-client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { reservedPort } from '../../../packages/server/test/support/ports.ts';
import { temporaryDirectory } from '../../../packages/server/test/support/processes.ts';
import { startTestServer, type TestServer } from '../../../packages/server/test/support/server.ts';
import { endingOf, isOver } from '../demo/ending.js';
import { imageOf, render } from '../demo/images.js';
import { upload } from '../demo/plan.js';
import { documentKind } from '../src/documentKind.js';
import { loadModels, type Models } from '../src/models.js';
import { startService } from '../src/service.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const INVOICE = 'INVOICE 2041\nDesk lamp 3 x 12.50\nTotal due 37.50\nPayable within 14 days';

// Text is read from dozens of images, and the demo starts a Nowcast: seconds, or minutes on a machine that is busy.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let models: Models;
beforeAll(async () => {
  models = await loadModels();
});
afterAll(() => models.close());

type OcrAnswer = {
  text: string;
  kind: string;
  confidence: number;
  model_version: string;
  inference_time_ms: number;
  error?: string;
};

/** The service with its telemetry going to `url`; stopped after the test. */
async function startOcr(url: string, options: { timeoutMs?: number } = {}) {
  const nowcast = new Nowcast({ url, flushIntervalMs: 10, onWarning: () => undefined, ...options });
  const service = await startService({ models, nowcast, port: 0 });
  onTestFinished(async () => {
    await service.close();
    await nowcast.close({ timeoutMs: 0 });
  });
  const post = async (image: Buffer, search = '') => {
    const answer = await fetch(`${service.url}/ocr?${search}`, { method: 'POST', body: image });
    return { status: answer.status, body: (await answer.json()) as OcrAnswer };
  };
  return { post, nowcast, url: service.url };
}

/** Something that listens where Nowcast should be. */
async function startCollector(onRequest: (request: IncomingMessage) => number | undefined): Promise<string> {
  const server = createServer((request, response) => {
    const status = onRequest(request);
    if (status !== undefined) response.writeHead(status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('beside Nowcast', () => {
  let nowcast: TestServer;
  beforeAll(async () => {
    nowcast = await startTestServer();
  });
  afterAll(() => nowcast.close());

  /** The stored events of one feature, once there are so many. */
  async function stored(feature: string, count: number): Promise<InferenceEvent[]> {
    const read = async () =>
      (await nowcast.get(`/rest/v1/inference_logs?feature=eq.${feature}&order=id`)).body;
    await expect.poll(read).toHaveLength(count);
    return await read();
  }

  test('a rendered text is read correctly, and its telemetry arrives', async () => {
    const { post } = await startOcr(nowcast.url);
    const image = render(INVOICE);
    const { status, body } = await post(image, 'feature=accounting&image_kind=clean');
    expect(status).toBe(200);
    expect(body.text.split(/\n+/)).toEqual(INVOICE.split('\n'));
    expect(body).toMatchObject({ kind: 'invoice', model_version: 'ocr-v1' });

    const [event] = await stored('accounting', 1);
    expect(event).toMatchObject({
      model_version: 'ocr-v1',
      inference_time_ms: body.inference_time_ms,
      confidence_score: body.confidence,
      input_size_bytes: image.length,
      prediction_class: 'invoice',
      is_error: false,
      error_message: null,
      metadata: { characters: body.text.length, words: 14, image_kind: 'clean' },
    });
    expect(event!.confidence_score).toBeGreaterThan(0.8);
    expect(event!.confidence_score).toBeLessThanOrEqual(1);
  });

  test.each(['ocr-v1', 'ocr-v2'])(
    'what is no image is an error event of %s, and the next image is read',
    async (version) => {
      const { post } = await startOcr(nowcast.url);
      const feature = `broken-${version}`;
      const { status, body } = await post(Buffer.from('no image'), `feature=${feature}&version=${version}`);
      expect(status).toBe(422);
      const damaged = imageOf({ ...upload(0, 'before'), imageKind: 'corrupt' });
      expect((await post(damaged, `feature=${feature}&version=${version}`)).status).toBe(422);
      expect((await post(render(INVOICE), `feature=${feature}&version=${version}`)).status).toBe(200);

      const events = await stored(feature, 3);
      expect(events.map((event) => event.is_error)).toEqual([true, true, false]);
      expect(events[0]).toMatchObject({
        model_version: version,
        error_message: body.error,
        prediction_class: null,
        confidence_score: null,
      });
      expect(body.error).not.toBe('');
    },
  );

  test('an empty image is of the kind `empty`, without a confidence that nobody has', async () => {
    const { post } = await startOcr(nowcast.url);
    expect((await post(render(''), 'feature=nothing')).status).toBe(200);
    const [event] = await stored('nothing', 1);
    expect(event).toMatchObject({ prediction_class: 'empty', confidence_score: null, is_error: false });
  });

  test('ocr-v2 fails on a blurred image that ocr-v1 reads', async () => {
    const { post } = await startOcr(nowcast.url);
    const blurred = imageOf(upload(1, 'before'));
    expect((await post(blurred, 'version=ocr-v1')).body.kind).toBe('receipt');
    const { status, body } = await post(blurred, 'feature=unsure&version=ocr-v2');
    expect(status).toBe(422);
    expect((await stored('unsure', 1))[0]).toMatchObject({ is_error: true, error_message: body.error });
    expect(body.error).toContain('unsure');
  });

  test('ocr-v2 fails on every small receipt, and ocr-v1 reads them as it reads others', async () => {
    const { post } = await startOcr(nowcast.url);
    const small = Array.from({ length: 21 }, (_, number) => upload(number, 'smallReceipts')).filter(
      ({ imageKind }) => imageKind === 'small',
    );
    expect(small.length).toBeGreaterThan(2);
    for (const one of small) {
      expect(one.feature).toBe('expenses');
      expect((await post(imageOf(one), 'version=ocr-v1')).body.kind).toBe('receipt');
      expect((await post(imageOf(one), 'version=ocr-v2')).status).toBe(422);
    }
  });

  test('ocr-v2 is less sure than ocr-v1 of the same images, as the demo tells', async () => {
    const { post } = await startOcr(nowcast.url);
    for (const number of [0, 2]) {
      const image = imageOf(upload(number, 'before'));
      const surer = await post(image, 'version=ocr-v1');
      const other = await post(image, 'version=ocr-v2');
      expect(other.body.confidence).toBeLessThan(surer.body.confidence);
    }
  });

  test('npm run demo -- --once N sends N images to the Nowcast that runs, and ends', async () => {
    const demo = spawnDemo(['--once', '8'], { PORT: new URL(nowcast.url).port });
    expect(await demo.ended).toBe(0);
    expect(demo.output()).toMatch(/ocr-v1: 6 images.*ocr-v2: 2 images/s);
    const { body } = await nowcast.get('/rest/v1/inference_logs?metadata->>image_kind=not.is.null');
    const kinds = new Set(body.map((event: InferenceEvent) => event.metadata?.image_kind));
    expect([...kinds].sort()).toEqual(['blurred', 'clean', 'empty', 'turned']);
    expect((await nowcast.get('/health')).status).toBe(200);
  });
});

describe('without Nowcast, the service answers as well', () => {
  test('when nothing listens, and says what waits', async () => {
    const { post, url } = await startOcr(`http://127.0.0.1:${await reservedPort()}`);
    const { status, body } = await post(render(INVOICE));
    expect(status).toBe(200);
    expect(body.kind).toBe('invoice');
    expect(await (await fetch(`${url}/health`)).json()).toEqual({
      status: 'ok',
      telemetry: { tracked: 1, sent: 0, queued: 1, dropped: {} },
    });
  });

  test('and as fast when Nowcast takes events and never answers', async () => {
    let taken = 0;
    const collector = await startCollector(() => {
      taken++;
      return undefined;
    });
    // Whoever waited for telemetry would wait for ever.
    const { post, nowcast } = await startOcr(collector, { timeoutMs: 600_000 });
    for (let image = 0; image < 3; image++) expect((await post(render(INVOICE))).status).toBe(200);
    await expect.poll(() => taken).toBe(1);
    expect(nowcast.stats()).toMatchObject({ tracked: 3, queued: 3 });
  });
});

test.each([
  ['INVOICE 12\nTotal due 3.00', 'invoice'],
  ['Cash 5.00', 'receipt'],
  ['Dear reader', 'letter'],
  ['Platform 7', 'other'],
  [' .\n', 'empty'],
])('the text %j is of the kind %s', (text, kind) => {
  expect(documentKind(text)).toBe(kind);
});

describe('npm run demo', () => {
  test('ends by the clock, but where there is time for the end of its alert not before that', () => {
    const plan = [{ act: 'takenBack', afterSeconds: 220 }] as const;
    const whole = endingOf([...plan], 600);
    expect(isOver(whole, { elapsedSeconds: 599, openAlerts: 0 })).toBe(false);
    expect(isOver(whole, { elapsedSeconds: 600, openAlerts: 0 })).toBe(true);
    expect(isOver(whole, { elapsedSeconds: 700, openAlerts: 1 })).toBe(false);
    // Something else may be wrong with it.
    expect(isOver(whole, { elapsedSeconds: 780, openAlerts: 1 })).toBe(true);
    for (const short of [endingOf([...plan], 240), endingOf([], 240)])
      expect(isOver(short, { elapsedSeconds: 240, openAlerts: 1 })).toBe(true);
  });

  test('shows both versions every kind of image and document', () => {
    const uploads = Array.from({ length: 96 }, (_, number) => upload(number, 'newVersion'));
    for (const version of ['ocr-v1', 'ocr-v2']) {
      const seen = uploads.filter((one) => one.version === version);
      expect(seen).toHaveLength(48);
      expect(new Set(seen.map((one) => one.imageKind))).toHaveProperty('size', 5);
      expect(new Set(seen.map((one) => one.document))).toHaveProperty('size', 4);
    }
  });

  test('Ctrl-C stops the Nowcast and the service that it started', async () => {
    const dataDir = path.join(await temporaryDirectory(), 'data');
    const port = String(await reservedPort());
    const demo = spawnDemo([], {
      PORT: port,
      NOWCAST_DATA_DIR: dataDir,
      DATABASE_URL: 'postgres://not.used/',
    });
    await demo.says(`Open http://127.0.0.1:${port}`);
    const service = /curl .* (http:\S+)\/ocr/.exec(demo.output())![1]!;
    expect((await fetch(`${service}/health`)).status).toBe(200);
    expect(await (await fetch(`http://127.0.0.1:${port}/health`)).json()).toMatchObject({
      database: 'connected',
    });

    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(0);
    await expect(fetch(`${service}/health`)).rejects.toThrow();
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow();
  });

  test('a port that another program holds is named', async () => {
    const other = await startCollector(() => 404);
    const demo = spawnDemo([], { PORT: new URL(other).port });
    expect(await demo.ended).toBe(1);
    expect(demo.output()).toContain(`Port ${new URL(other).port} is in use by another program`);
  });

  test('an option that is none is a wrong usage', async () => {
    const demo = spawnDemo(['--minutes', 'soon'], {});
    expect(await demo.ended).toBe(2);
    expect(demo.output()).toContain('--minutes must be a number above 0, not "soon".');
  });
});

function spawnDemo(args: string[], env: Record<string, string>) {
  const child: ChildProcess = spawn(process.execPath, [path.join(root, 'scripts/demo.mjs'), ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const heard = new Set<() => void>();
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const listener of heard) listener();
    });
  }
  onTestFinished(async () => {
    // Asked, not killed: what it started has to go as well.
    child.kill('SIGTERM');
    await ended;
  });
  return {
    child,
    ended,
    output: () => output,
    says: (text: string) =>
      new Promise<void>((resolve, reject) => {
        const look = () => output.includes(text) && resolve();
        heard.add(look);
        look();
        void ended.then(() => reject(new Error(output)));
      }),
  };
}
