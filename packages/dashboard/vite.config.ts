import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), tailwindcss()],
  build: {
    target: 'es2022',
    // A data: URI would need a hole in `default-src 'self'`.
    assetsInlineLimit: 0,
    // Its polyfill is an inline script, which a strict CSP refuses; every browser we build for has modulepreload.
    modulePreload: { polyfill: false },
  },
  server: {
    // `npm run dev -w packages/dashboard` beside a running `npm start`.
    proxy: Object.fromEntries(
      ['/rest', '/realtime', '/telemetry', '/health'].map((path) => [path, { target: 'http://127.0.0.1:4318', ws: true }]),
    ),
  },
});
