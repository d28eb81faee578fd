const uuids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const longIds = /\b(?=[a-z_]*\d)[a-z0-9_]{10,}\b/gi;
const numbers = /(\d+(?:[.,:]\d+)*)(\s*(?:%|[kmg]i?b\b|[mn]?s\b|sec|min|byte|token))?/gi;
const status = /^[45]\d\d$/;

/**
 * An error's text without what differs from call to call: ids, addresses, numbers. A status such as 429 stays, for it
 * says what happened; "429 ms" is no status. At most 200 characters.
 */
export function errorPattern(text: string): string {
  return text
    .replace(uuids, '…')
    .replace(longIds, '…')
    .replace(numbers, (all, number: string, unit = '') =>
      unit === '' && status.test(number) ? all : `…${unit}`,
    )
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200);
}
