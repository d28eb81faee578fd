/** Words that give a document away; the first kind with one of them wins. */
const SIGNS = {
  invoice: /\b(invoice|payable|due)\b/i,
  receipt: /\b(receipt|cash|change)\b/i,
  letter: /\b(dear|regards|sincerely)\b/i,
};

/**
 * What a text is. Deliberately simple: where letters were misread the words are missing, and the kind is `other`.
 *
 * @param {string} text
 * @returns {'empty' | 'invoice' | 'receipt' | 'letter' | 'other'}
 */
export function documentKind(text) {
  if (!/\w/.test(text)) return 'empty';
  for (const kind of /** @type {const} */ (['invoice', 'receipt', 'letter'])) {
    if (SIGNS[kind].test(text)) return kind;
  }
  return 'other';
}
