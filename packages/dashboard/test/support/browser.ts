import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
  chromium as playwright,
} from 'playwright-core';
import { vi } from 'vitest';
import { chromiumPath } from './chromium.ts';

/**
 * Limits for a machine that runs other work beside: Chromium, the server and PostgreSQL want three cores. They end what
 * will never come, so a machine that is ten times slower must not reach them.
 */
export const waitAtMostMs = 90_000;
export function forBrowsers(): void {
  vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });
}

/** Headless Chromium from npm. */
export async function launchBrowser(): Promise<Browser> {
  return await playwright.launch({
    executablePath: await chromiumPath(),
    timeout: waitAtMostMs,
    // Not the package's own arguments, which are for AWS Lambda: a single process, and no CORS.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--no-first-run',
    ],
  });
}

export interface WatchedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors on the console and exceptions, except what the browser says of requests that a test makes fail. */
  readonly errors: string[];
  /** URLs of HTTP requests, in order. */
  readonly requests: string[];
  close(): Promise<void>;
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions & { before?: (page: Page) => Promise<unknown> } = {},
): Promise<WatchedPage> {
  const { before, ...contextOptions } = options;
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...contextOptions });
  const page = await context.newPage();
  page.setDefaultTimeout(waitAtMostMs);
  const errors: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !isNetworkNoise(message.text())) errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await before?.(page);
  await page.goto(url);
  return { page, context, errors, requests, close: () => context.close() };
}

/** The browser itself reports failed requests; those that tests provoke are not the page's errors. */
function isNetworkNoise(text: string): boolean {
  return /net::ERR_|Failed to load resource|WebSocket connection to/.test(text);
}
