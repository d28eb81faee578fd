import { readFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { forBrowsers, launchBrowser, openPage } from '../../dashboard/test/support/browser.ts';
import { type Bundle, bundle } from './support/bundle.ts';

interface Received {
  readonly path: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

const html = `<!doctype html><link rel="icon" href="data:,"><script type="module">
  import { Nowcast } from '/client.mjs';
  const nowcast = new Nowcast({ url: location.origin, flushIntervalMs: 600_000 });
  for (let id = 0; id < 5; id++) nowcast.track({ model_version: 'v1', inference_time_ms: id });
  document.title = 'tracked';
</script>`;

forBrowsers();
let client: Bundle;
let site: http.Server;
let url: string;
let browser: Browser;
const received: Received[] = [];
beforeAll(async () => {
  client = await bundle('browser');
  site = http.createServer(async (request, response) => {
    if (request.method === 'POST') {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part);
      received.push({
        path: request.url,
        type: request.headers['content-type'],
        body: Buffer.concat(parts).toString(),
      });
      response.end('{"rejected":0}');
    } else if (request.url === '/client.mjs')
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(client.file));
    else
      response.writeHead(200, { 'content-type': 'text/html' }).end(request.url === '/tracking' ? html : '');
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  site.closeAllConnections();
  await new Promise((resolve) => site.close(resolve));
  await client.remove();
});
beforeEach(() => {
  received.length = 0;
});

/** A beacon cannot be told from another request but by what sends it. */
const markBeacons = `const { sendBeacon } = navigator;
  navigator.sendBeacon = (url, body) => sendBeacon.call(navigator, url + '?beacon', body);`;

/** Tracks in a page and leaves it for another before anything was flushed. @returns where the events arrived */
async function trackAndLeave(prepare = ''): Promise<string | undefined> {
  const { page, errors, close } = await openPage(browser, `${url}/tracking`, {
    before: (opened) => opened.addInitScript({ content: markBeacons + prepare }),
  });
  await page.waitForFunction("document.title === 'tracked'");
  expect(received).toEqual([]);
  await page.goto(`${url}/other`);
  await expect.poll(() => received.length).toBe(1);
  const [{ path, type, body }] = received as [Received];
  expect(type).toBe('application/json');
  expect(JSON.parse(body).events).toHaveLength(5);
  expect(errors).toEqual([]);
  await close();
  return path;
}

const batchPath = '/telemetry/inference/batch';

test('a page that is left sends what waits by a request that outlives it', async () => {
  expect(await trackAndLeave()).toBe(batchPath);
});

test('where requests cannot outlive a page, what waits goes by a beacon', async () => {
  // As in Firefox before version 133.
  expect(await trackAndLeave('delete Request.prototype.keepalive;')).toBe(`${batchPath}?beacon`);
});
