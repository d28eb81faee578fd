import type { InferenceEvent } from './event.ts';

/**
 * Whether an event is in the share that is sent. Errors always are; the successes of a trace share their fate, in every
 * process that samples by the same rate, and in one of a higher rate those that a lower one keeps are kept too.
 */
export function isSampled({ is_error, trace_id }: InferenceEvent, rate: number): boolean {
  if (!(rate < 1) || is_error === true) return true;
  return (typeof trace_id === 'string' ? uniformOf(trace_id) : Math.random()) < rate;
}

/**
 * From 0 to below 1, by the text alone: FNV-1a and the finalizer "lowbias32", both in the public domain. Not the hash by
 * which Nowcast samples: it would keep everything that was kept here, and weigh it as if it had not.
 */
function uniformOf(text: string): number {
  let hash = 0x6e6f7763;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
