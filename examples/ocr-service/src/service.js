import { createServer } from 'node:http';
import { documentKind } from './documentKind.js';
import { VERSIONS } from './models.js';

const MAX_IMAGE_BYTES = 10 * 1024 * 1024;

/**
 * The service: `POST /ocr?version=ocr-v1` with an image as its body answers the text in it. Which version reads is
 * asked for by the caller, as by a gateway that splits traffic; `feature` says for which part of the product, and
 * `image_kind` whatever the sender knows of the image.
 *
 * @param {{
 *   models: import('./models.js').Models,
 *   nowcast: import('nowcast-client').Nowcast,
 *   port: number,
 * }} options port 0 for a free one
 * @returns {Promise<{ url: string, close(): Promise<void> }>}
 */
export async function startService({ models, nowcast, port }) {
  /** @param {import('node:http').IncomingMessage} request */
  async function answer(request) {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://service');
    if (pathname === '/health') return { status: 200, body: { status: 'ok', telemetry: nowcast.stats() } };
    if (pathname !== '/ocr' || request.method !== 'POST') {
      return { status: 404, body: { error: 'POST an image to /ocr' } };
    }
    const version = VERSIONS.find((name) => name === (searchParams.get('version') ?? VERSIONS[0]));
    if (version === undefined)
      return { status: 400, body: { error: `version is one of ${VERSIONS.join(', ')}` } };
    const image = await readBody(request);
    if (image === undefined) return { status: 413, body: { error: `more than ${MAX_IMAGE_BYTES} bytes` } };

    const started = performance.now();
    const outcome = await read(image, version);
    const inferenceTimeMs = performance.now() - started;

    // The article's way: one event for each inference, failed ones too. Nothing here waits for it.
    nowcast.track({
      model_version: version,
      inference_time_ms: inferenceTimeMs,
      confidence_score: outcome.confidence,
      input_size_bytes: image.length,
      prediction_class: outcome.kind,
      is_error: outcome.error !== null,
      error_message: outcome.error,
      feature: searchParams.get('feature'),
      metadata: {
        characters: outcome.text.length,
        words: outcome.text.split(/\s+/).filter(Boolean).length,
        image_kind: searchParams.get('image_kind'),
      },
    });
    if (outcome.error !== null)
      return { status: 422, body: { error: outcome.error, model_version: version } };
    const { text, confidence, kind } = outcome;
    return {
      status: 200,
      body: { text, confidence, kind, model_version: version, inference_time_ms: inferenceTimeMs },
    };
  }

  /**
   * @param {Buffer} image
   * @param {import('./models.js').Version} version
   */
  async function read(image, version) {
    try {
      const reading = await models.read(image, version);
      return { ...reading, kind: documentKind(reading.text), error: null };
    } catch (error) {
      return {
        text: '',
        confidence: null,
        kind: null,
        error: error instanceof Error ? error.message : String(error),
      };
    }
  }

  const server = createServer(async (request, response) => {
    const { status, body } = await answer(request).catch((error) => ({
      status: 500,
      body: { error: String(error) },
    }));
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

/**
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<Buffer | undefined>} undefined where it is too large
 */
async function readBody(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_IMAGE_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
