/** An object, its place in the queue and its share of the queue's own arrays. */
const bytesPerObject = 120;
const bytesPerField = 24;
/** Deeper or wider than this, a value is measured by writing it, once. */
const maxNodes = 200;

/**
 * What an event holds in memory, estimated from above in well under a microsecond: strings are taken as two bytes a
 * character, of which most engines need one.
 *
 * @throws TypeError where a value beyond the node limit cannot be written as JSON
 */
export function heapBytes(event: object): number {
  let nodes = 0;
  return measure(event);

  function measure(value: object): number {
    let bytes = bytesPerObject;
    for (const key in value) {
      const field = (value as Record<string, unknown>)[key];
      bytes += bytesPerField;
      if (typeof field === 'string') bytes += field.length * 2;
      else if (typeof field === 'object' && field !== null) {
        if (++nodes > maxNodes) bytes += (JSON.stringify(field)?.length ?? 0) * 4;
        else bytes += measure(field);
      }
    }
    return bytes;
  }
}
