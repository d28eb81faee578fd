import { createRequire } from 'node:module';
import path from 'node:path';
import { createCanvas, loadImage } from '@napi-rs/canvas';
import { createWorker } from 'tesseract.js';

const require = createRequire(import.meta.url);

// The English model lies in node_modules: nothing is downloaded at run time, nor kept elsewhere.
const LANGUAGE_FILE = require.resolve('@tesseract.js-data/eng/4.0.0_best_int/eng.traineddata.gz');

/** How much smaller ocr-v2 makes an image, in width and in height. */
const COPY_SCALE = 0.38;
/** And how much larger the copy is made again for its second reading: to twice the size of the original. */
const ENLARGING = 2 / COPY_SCALE;

/** What ocr-v2 asks of itself: it fails rather than answer something that it is less sure of. */
const LEAST_CONFIDENCE = 0.65;

/**
 * Two versions of one model. The second is honestly worse, so that there is something to find on the page:
 *
 * - `ocr-v1` reads the image as it came.
 * - `ocr-v2` throws detail away: it keeps a small copy only (to save storage, say) and reads that one twice, as it is
 *   and enlarged, to make up for it. Two readings take longer than one, and enlarging brings no detail back: it is
 *   slower, less sure, and fails on blurred and turned images that `ocr-v1` reads.
 */
export const VERSIONS = /** @type {const} */ (['ocr-v1', 'ocr-v2']);

/**
 * @typedef {typeof VERSIONS[number]} Version
 * @typedef {{ text: string, confidence: number | null }} Reading confidence from 0 to 1; null where nothing was read
 * @typedef {{ read(image: Buffer, version: Version): Promise<Reading>, close(): Promise<unknown> }} Models
 */

/**
 * Loads tesseract into a worker thread, which reads one image after the other.
 *
 * @returns {Promise<Models>}
 */
export async function loadModels() {
  const worker = await createWorker('eng', undefined, {
    langPath: path.dirname(LANGUAGE_FILE),
    gzip: true,
    cacheMethod: 'none',
    // Without it, one broken image would end the process; `recognize` rejects all the same.
    errorHandler: () => undefined,
  });

  /** @param {Buffer} image */
  async function readOnce(image) {
    // It rejects with a text, not with an Error.
    const { data } = await worker.recognize(image).catch((/** @type {unknown} */ reason) => {
      throw new Error(String(reason).replace(/^Error: /, ''));
    });
    const text = data.text.trim();
    return { text, confidence: text === '' ? null : data.confidence / 100 };
  }

  return {
    async read(image, version) {
      if (version === 'ocr-v1') return await readOnce(image);
      const copy = await scaled(image, COPY_SCALE);
      const readings = /** @type {[Reading, Reading]} */ ([
        await readOnce(copy),
        await readOnce(await scaled(copy, ENLARGING)),
      ]);
      const [best] = readings.sort((one, other) => (other.confidence ?? 0) - (one.confidence ?? 0));
      if (best.confidence !== null && best.confidence < LEAST_CONFIDENCE) {
        throw new Error(`unsure: confidence below ${LEAST_CONFIDENCE}`);
      }
      return best;
    },
    close: () => worker.terminate(),
  };
}

/**
 * @param {Buffer} image
 * @param {number} factor
 */
async function scaled(image, factor) {
  const source = await loadImage(image);
  const canvas = createCanvas(Math.ceil(source.width * factor), Math.ceil(source.height * factor));
  canvas.getContext('2d').drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.toBuffer('image/png');
}
