import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

export interface Bundle {
  readonly file: string;
  readonly code: string;
  remove(): Promise<void>;
}

/** One of the client's entries as one file, as an application's bundler makes it. */
export async function bundle(entry: 'index' | 'browser' | 'edge' | 'node' | 'spool'): Promise<Bundle> {
  const outDir = await mkdtemp(path.join(os.tmpdir(), 'nowcast-client-'));
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      outDir,
      target: 'es2022',
      minify: true,
      ssr: entry === 'node' || entry === 'spool',
      lib: {
        entry: fileURLToPath(new URL(`../../src/${entry}.ts`, import.meta.url)),
        formats: ['es'],
        fileName: () => 'client.mjs',
      },
      // Of a library in ES modules the bundler keeps the white space unless told so here; an application's goes.
      rolldownOptions: { output: { minify: true } },
    },
  });
  const [output] = [built].flat();
  if (output === undefined || !('output' in output)) throw new Error('nothing was built');
  return {
    file: path.join(outDir, output.output[0].fileName),
    code: output.output[0].code,
    remove: () => rm(outDir, { recursive: true }),
  };
}
