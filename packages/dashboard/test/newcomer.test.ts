import { spawn } from 'node:child_process';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import { forBrowsers, launchBrowser } from './support/browser.ts';
import { expectNoSidewaysScroll, openLive, panelState, tileValue } from './support/live.ts';
import { TestServer } from './support/server.ts';

forBrowsers();

let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([TestServer.start(), launchBrowser()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test('a newcomer copies the first event, sends it, and the page turns live by itself within a second', async () => {
  const { page, errors, requests, context, close } = await openLive(browser, server);
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: server.url });
  await page.getByRole('heading', { name: 'Waiting for the first event.' }).waitFor();

  for (const [colorScheme, width] of [
    ['light', 1440],
    ['dark', 390],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await expectAccessible(page, `empty page, ${colorScheme}`);
    await expectNoSidewaysScroll(page);
  }
  await page.setViewportSize({ width: 1440, height: 900 });

  await page.getByRole('tab', { name: 'TypeScript' }).click();
  await page.getByRole('button', { name: 'Copy the TypeScript example' }).click();
  const example = await page.evaluate(() => navigator.clipboard.readText());
  const loads = requests.filter((url) => url.endsWith('/')).length;
  await runAsModule(example);
  await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
  await page.getByRole('button', { name: 'v1', exact: true }).first().waitFor();

  expect(await tileValue(page, 'Requests')).toBe(1);
  await panelState(page, 'Latency', 'live');
  // A lone point has no line to be on.
  await page.locator('[data-panel="Latency"] circle').first().waitFor();
  expect(requests.filter((url) => url.endsWith('/')).length).toBe(loads);
  expect(errors).toEqual([]);
  await close();
});

/** As a person would run it, in a process of its own. */
async function runAsModule(code: string): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' });
  const exitCode = await new Promise((resolve) => child.once('close', resolve));
  expect(exitCode).toBe(0);
}
