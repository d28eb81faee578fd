import type { Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { forBrowsers, launchBrowser, type WatchedPage } from './browser.ts';
import { openLive } from './live.ts';
import { TestServer } from './server.ts';

export interface Pages {
  readonly server: TestServer;
  readonly browser: Browser;
  /** The product's page, opened and live. */
  open(options?: Parameters<typeof openLive>[2]): Promise<WatchedPage>;
}

export interface PagesOptions {
  /** Settings of the server. */
  readonly env?: Record<string, string>;
  /** What is there before the first test. */
  readonly prepare?: (server: TestServer) => Promise<unknown>;
}

/**
 * For a test file: a Nowcast of its own and a browser, from before its first test to after its last. Of its rules only
 * the one that judges each event by itself is on: to the others a test that takes minutes is traffic that stopped.
 */
export function startPages({ env = {}, prepare }: PagesOptions = {}): Pages {
  forBrowsers();
  let server: TestServer | undefined;
  let browser: Browser | undefined;
  beforeAll(async () => {
    [server, browser] = await Promise.all([TestServer.start(env), launchBrowser()]);
    await server.update('alert_rules', 'name=neq.high_latency', { enabled: false });
    await prepare?.(server);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });
  return {
    get server() {
      return server!;
    },
    get browser() {
      return browser!;
    },
    open: (options) => openLive(browser!, server!, options),
  };
}
