import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveArticlePage } from './support/article.ts';
import { forBrowsers, launchBrowser, openPage } from './support/browser.ts';
import { eventually } from './support/live.ts';
import { TestServer } from './support/server.ts';

forBrowsers();

let server: TestServer;
let browser: Browser;
let article: Awaited<ReturnType<typeof serveArticlePage>>;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launchBrowser()]);
  article = await serveArticlePage(server.url);
});

afterAll(async () => {
  await browser?.close();
  await article?.close();
  await server?.stop();
});

test("the article's component, unmodified but for URL and key, sees events and alerts within a second", async () => {
  const subscribed = new Set<string>();
  const { page, errors, close } = await openPage(browser, article.url, {
    before: async (page) => {
      page.on('websocket', (socket) =>
        socket.on('framereceived', ({ payload }) => {
          const [, topic] =
            /"(realtime:[\w-]+)","phx_reply",\{"status":"ok","response":\{"postgres_changes":\[\{/.exec(
              String(payload),
            ) ?? [];
          if (topic !== undefined) subscribed.add(topic);
        }),
      );
    },
  });
  await eventually(() => [...subscribed].sort()).toEqual(['realtime:alerts', 'realtime:inference-logs']);

  await server.postOne({ model_version: 'ocr-v1', inference_time_ms: 100, confidence_score: 0.97 });
  await page.locator('#chart', { hasText: 'ocr-v1: 1 requests' }).waitFor();
  await page.locator('#stats', { hasText: /^1 requests, 100 ms$/ }).waitFor();

  await server.postOne({ model_version: 'ocr-v1', inference_time_ms: 9_000 });
  await page.locator('#alerts', { hasText: 'warning: Inference latency spike: 9000' }).waitFor();

  await server.insert('system_alerts', {
    severity: 'critical',
    alert_type: 'test',
    message: 'The model is down.',
  });
  await page.locator('#alerts', { hasText: 'critical: The model is down.' }).waitFor();
  await eventually(() => page.title()).toBe('The model is down.');
  expect(errors).toEqual([]);
  await close();
});
