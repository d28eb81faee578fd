import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run on the sources, so that none passes on a stale build.
    alias: [
      { find: '@nowcast/protocol', replacement: source('packages/protocol/src/index.ts') },
      { find: /^nowcast\/dist\/(.*)\.js$/, replacement: source('packages/server/src/$1.ts') },
      { find: /^nowcast-client$/, replacement: source('packages/client/src/node.ts') },
      { find: /^nowcast-client\/(\w+)$/, replacement: source('packages/client/src/$1.ts') },
    ],
  },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts'],
    globalSetup: ['packages/server/test/support/globalSetup.ts'],
    setupFiles: ['packages/server/test/support/propertySeed.ts'],
    // Two cores run the tests, one PostgreSQL and the servers that tests start.
    maxWorkers: 2,
    // Waiting ends with the event. These end what will never come, and a busy machine must not reach them.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
    expect: { poll: { timeout: 90_000 } },
  },
});
