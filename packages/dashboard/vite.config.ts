import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const parts = fileURLToPath(new URL('src/data/supabaseParts.ts', import.meta.url));

// Whatever the environment that builds says: React's development build is twice as large and half as fast.
if (process.argv.includes('build')) process.env.NODE_ENV = 'production';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), tailwindcss(), themeScript(), compressed()],
  resolve: {
    alias: [{ find: /^@supabase\/(auth|storage|functions)-js$/, replacement: parts }],
  },
  build: {
    // light-dark() as it stands: what older browsers would get instead is three times the CSS.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // A data: URI would need a hole in `default-src 'self'`.
    assetsInlineLimit: 0,
    // Its polyfill is an inline script, which a strict CSP refuses; every browser we build for has modulepreload.
    modulePreload: { polyfill: false },
  },
  server: {
    // `npm run dev -w packages/dashboard` beside a running `npm start`.
    proxy: Object.fromEntries(
      ['/rest', '/realtime', '/telemetry', '/health'].map((path) => [
        path,
        { target: 'http://127.0.0.1:4318', ws: true },
      ]),
    ),
  },
});

/** Puts src/app/applyTheme.js, under a hashed name, before everything that paints. */
function themeScript(): Plugin {
  let reference: string;
  return {
    name: 'theme-script',
    apply: 'build',
    buildStart() {
      reference = this.emitFile({
        type: 'asset',
        name: 'theme.js',
        source: readFileSync(new URL('src/app/applyTheme.js', import.meta.url)),
      });
    },
    transformIndexHtml: {
      order: 'post',
      handler: (_html, { bundle = {} }) => {
        const file = Object.values(bundle).find(
          (output) => output.type === 'asset' && output.names.includes('theme.js'),
        );
        if (file === undefined) throw new Error(`theme.js (${reference}) is not in the bundle`);
        return [{ tag: 'script', attrs: { src: `/${file.fileName}` }, injectTo: 'head-prepend' }];
      },
    },
  };
}

/** Each text file also as .br and .gz, so that serving it compressed costs the server nothing. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    writeBundle({ dir }, bundle) {
      for (const name of Object.keys(bundle).filter((file) => /\.(js|css|html|svg)$/.test(file))) {
        const file = path.join(dir!, name);
        const content = readFileSync(file);
        writeFileSync(`${file}.br`, brotliCompressSync(content));
        writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}
