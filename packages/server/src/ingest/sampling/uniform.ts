const scale = 2 ** -32;

/**
 * A number from 0 to below 1 that depends on the key alone and is spread evenly over keys: FNV-1a and the finalizer of
 * MurmurHash3 (32 bits), both in the public domain. Not the bits of a trace id itself: a sampler before us may have chosen
 * by those, and everything that arrives would be kept.
 */
export function uniformOf(key: string | number): number {
  return (
    (typeof key === 'number' ? finalize(Math.floor(key / 2 ** 32) ^ finalize(key | 0)) : ofText(key)) * scale
  );
}

function ofText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return finalize(hash);
}

function finalize(given: number): number {
  let hash = given;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
