import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { build } from 'vite';

/** The article's page, on an origin of its own as a Vite or Next.js application would be. */
export async function serveArticlePage(nowcastUrl: string): Promise<{ url: string; close(): Promise<void> }> {
  const outDir = await mkdtemp(path.join(os.tmpdir(), 'nowcast-article-'));
  await build({
    configFile: false,
    root: fileURLToPath(new URL('../article', import.meta.url)),
    logLevel: 'error',
    build: { outDir, minify: false, target: 'es2022' },
    plugins: [
      {
        // The component stands there as printed; these two strings are what its reader changes.
        name: 'url-and-key',
        enforce: 'pre',
        transform: (code, id) =>
          id.endsWith('InferenceMonitor.jsx')
            ? code.replace('https://your-project.supabase.co', nowcastUrl).replace('your-anon-key', 'local')
            : undefined,
      },
      react(),
    ],
  });
  const server = createServer((request, response) => {
    const name = request.url === '/' ? 'index.html' : request.url!.slice(1);
    readFile(path.join(outDir, name)).then(
      (content) => {
        response.setHeader('content-type', name.endsWith('.html') ? 'text/html' : 'text/javascript');
        response.end(content);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(outDir, { recursive: true, force: true });
    },
  };
}
