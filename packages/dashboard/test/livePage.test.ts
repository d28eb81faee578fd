import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchBrowser, openPage } from './support/browser.ts';
import { TestServer } from './support/server.ts';

let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launchBrowser()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test('a POST is on the page within a second, without reload and without an error on the console', async () => {
  const { page, errors, close } = await openPage(browser, server.url);
  await page.getByRole('heading', { name: 'Waiting for the first event.' }).waitFor();
  const posted = performance.now();
  await server.postOne({ model_version: 'ocr-v1', inference_time_ms: 123.4, confidence_score: 0.97 });
  await page.locator('tr[data-model="ocr-v1"]').waitFor();
  expect(performance.now() - posted).toBeLessThan(1_000);
  await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
  expect(errors).toEqual([]);
  await close();
});
