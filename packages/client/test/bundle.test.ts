import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { bundle } from './support/bundle.ts';

const maxGzipBytes = 6 * 1024;

for (const entry of ['index', 'browser', 'edge'] as const) {
  test(`the core is at most 6 KB, minified and compressed, and imports nothing (${entry})`, async () => {
    const { code, remove } = await bundle(entry);
    await remove();
    expect(code).not.toMatch(/\bimport\b|\brequire\(/);
    expect(gzipSync(code).length).toBeLessThanOrEqual(maxGzipBytes);
  });
}
