import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  forBrowsers,
  launchBrowser,
  openPage,
  waitAtMostMs,
} from '../../../packages/dashboard/test/support/browser.ts';
import { startTestServer, type TestServer } from '../../../packages/server/test/support/server.ts';

forBrowsers();
const key = 'an-ingest-key-of-16-or-more';
const serviceKey = 'a-service-key-of-16-or-more';
let directory: string;
let site: http.Server;
let siteUrl: string;
let nowcast: TestServer;
let browser: Browser;
beforeAll(async () => {
  const buildClient = fileURLToPath(new URL('../../../scripts/build.mjs', import.meta.url));
  await promisify(execFile)(process.execPath, [buildClient, 'client']);
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-page-'));
  await build({
    root: fileURLToPath(new URL('..', import.meta.url)),
    configFile: false,
    logLevel: 'error',
    build: { outDir: directory, emptyOutDir: true },
  });
  site = http.createServer(async (request, response) => {
    const name = new URL(request.url ?? '/', 'http://site').pathname;
    const file = path.join(directory, name === '/' ? 'index.html' : path.normalize(name));
    const text = await readFile(file).catch(() => undefined);
    const type = file.endsWith('.js') ? 'text/javascript' : 'text/html';
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': type }).end(text);
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  siteUrl = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  nowcast = await startTestServer({
    NOWCAST_INGEST_KEY: key,
    NOWCAST_SERVICE_KEY: serviceKey,
    NOWCAST_ALLOWED_ORIGINS: siteUrl,
  });
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  site.close();
  await nowcast.close();
  await rm(directory, { recursive: true, force: true });
});

async function rows(): Promise<Record<string, unknown>[]> {
  return (await nowcast.get('/rest/v1/inference_logs?order=id', { apikey: serviceKey })).body;
}

test('what a page tracked is stored when its tab is closed at once, gzip and key and all', async () => {
  const { page, errors, close } = await openPage(browser, `${siteUrl}/#nowcast=${nowcast.url}&key=${key}`);
  await page.fill('#review', 'It works and is great');
  await page.click('#judge');
  await page.getByText(/^positive/).waitFor();
  await page.fill('#review', 'Came late and broken');
  await page.click('#judge');
  await page.getByText(/^negative/).waitFor();
  await page.close({ runBeforeUnload: true });
  await expect.poll(async () => (await rows()).length, { timeout: waitAtMostMs }).toBe(2);
  expect(await rows()).toMatchObject([
    { model_version: 'review-judge-1', feature: 'reviews', prediction_class: 'positive', is_error: false },
    {
      model_version: 'review-judge-1',
      prediction_class: 'negative',
      metadata: { language: expect.any(String) },
    },
  ]);
  expect(errors).toEqual([]);
  await close();
});

test('a page that stays sends its batches compressed, each event once', async () => {
  const before = (await rows()).length;
  const { page, errors, requests, close } = await openPage(
    browser,
    `${siteUrl}/#nowcast=${nowcast.url}&key=${key}`,
  );
  await page.fill('#review', 'It works');
  // At one go: clicks from outside may come so far apart that each is a batch.
  await page.evaluate(
    `for (let clicked = 0; clicked < 30; clicked++) document.querySelector('#judge').click()`,
  );
  await expect.poll(async () => (await rows()).length - before, { timeout: waitAtMostMs }).toBe(30);
  expect(requests.filter((url) => url.includes('/telemetry/')).length).toBeLessThan(30);
  expect(errors).toEqual([]);
  await close();
  expect((await rows()).length - before).toBe(30);
});
