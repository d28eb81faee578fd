/**
 * What arrives, decided by its number alone: every demo sends the same images.
 *
 * @typedef {'invoice' | 'receipt' | 'letter' | 'sign'} Document
 * @typedef {'clean' | 'blurred' | 'turned' | 'empty' | 'corrupt'} ImageKind
 * @typedef {{
 *   number: number, document: Document, imageKind: ImageKind, feature: string,
 *   version: import('../src/models.js').Version,
 * }} Upload
 */

/** Where in a round of uploads an image is not clean. */
const ROUND = 48;
/** @type {[ImageKind, number[]][]} */
const NOT_CLEAN = [
  ['blurred', [1, 10, 19, 26, 34, 45]],
  ['turned', [4, 13, 18, 29, 37, 40]],
  ['empty', [7, 32]],
  ['corrupt', [22]],
];
/** @type {Record<Document, string>} the part of the product that each document is for */
const FEATURES = { invoice: 'accounting', receipt: 'expenses', letter: 'mail', sign: 'search' };
const DOCUMENTS = /** @type {Document[]} */ ([
  'invoice',
  'receipt',
  'letter',
  'invoice',
  'receipt',
  'sign',
  'invoice',
]);

/**
 * @param {number} number from 0
 * @param {boolean} newVersionRuns whether half of the uploads go to ocr-v2
 * @returns {Upload}
 */
export function upload(number, newVersionRuns) {
  const document = /** @type {Document} */ (DOCUMENTS[number % DOCUMENTS.length]);
  const imageKind = NOT_CLEAN.find(([, places]) => places.includes(number % ROUND))?.[0] ?? 'clean';
  // By turns within a round and the other way round in the next, so that both versions meet every kind of image.
  const round = Math.floor(number / ROUND);
  const version = newVersionRuns && (number + round) % 2 === 1 ? 'ocr-v2' : 'ocr-v1';
  return {
    number,
    document,
    imageKind,
    feature: FEATURES[document],
    version,
  };
}
