/**
 * What arrives, decided by its number alone: every demo sends the same images.
 *
 * @typedef {'invoice' | 'receipt' | 'letter' | 'sign'} Document
 * @typedef {'clean' | 'blurred' | 'turned' | 'empty' | 'corrupt' | 'small'} ImageKind
 * @typedef {{
 *   number: number, document: Document, imageKind: ImageKind, feature: string,
 *   version: import('../src/models.js').Version,
 * }} Upload
 */

/**
 * What happens: ocr-v1 alone; ocr-v2 takes half of the images; the app for expenses begins to send small ones; ocr-v2 and
 * that app are taken back.
 *
 * @typedef {'before' | 'newVersion' | 'smallReceipts' | 'takenBack'} Act
 */

/** Where in a round of uploads an image is not clean. */
const ROUND = 48;
/** @type {[ImageKind, number[]][]} */
const NOT_CLEAN = [
  ['blurred', [1, 19, 34]],
  ['turned', [4, 29, 40]],
  ['empty', [7, 32]],
  ['corrupt', [22]],
];
/** @type {Record<Document, string>} the part of the product that each document is for */
const FEATURES = { invoice: 'accounting', receipt: 'expenses', letter: 'mail', sign: 'search' };
const DOCUMENTS = /** @type {Document[]} */ ([
  'invoice',
  'receipt',
  'letter',
  'receipt',
  'invoice',
  'sign',
  'receipt',
]);

/**
 * @param {number} number from 0
 * @param {Act} act
 * @returns {Upload}
 */
export function upload(number, act) {
  const document = /** @type {Document} */ (DOCUMENTS[number % DOCUMENTS.length]);
  const asEver = NOT_CLEAN.find(([, places]) => places.includes(number % ROUND))?.[0] ?? 'clean';
  // By turns within a round and the other way round in the next, so that both versions meet every kind of image.
  const round = Math.floor(number / ROUND);
  const isShared = act === 'newVersion' || act === 'smallReceipts';
  return {
    number,
    document,
    imageKind: act === 'smallReceipts' && document === 'receipt' && asEver === 'clean' ? 'small' : asEver,
    feature: FEATURES[document],
    version: isShared && (number + round) % 2 === 1 ? 'ocr-v2' : 'ocr-v1',
  };
}
