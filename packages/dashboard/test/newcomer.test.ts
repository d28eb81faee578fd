import { spawn } from 'node:child_process';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import { event, eventually, expectNoSidewaysScroll, panel, panelState, tileValue } from './support/live.ts';
import { startPages } from './support/pages.ts';

const pages = startPages();

test('a newcomer copies the first event, sends it, and the page turns live by itself within a second', async () => {
  const { page, errors, requests, context, close } = await pages.open();
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: pages.server.url });
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
  const moving = () => page.evaluate(() => document.getAnimations().length);
  await eventually(moving).toBeGreaterThan(0);
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await eventually(moving).toBe(0);

  await page.getByRole('tab', { name: 'TypeScript' }).click();
  await page.getByRole('button', { name: 'Copy the TypeScript example' }).click();
  // Written a moment after the click.
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await eventually(copied).toContain('await fetch(');
  const example = await copied();
  const loads = requests.filter((url) => url.endsWith('/')).length;
  await runAsModule(example);
  await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
  await page.getByRole('button', { name: 'v1', exact: true }).first().waitFor();

  await eventually(() => tileValue(page, 'Requests')).toBe(1);
  await panelState(page, 'Latency', 'live');
  // A lone point has no line to be on.
  await page.locator('[data-panel="Latency"] circle').first().waitFor();
  // Of an hour it would be one dot at the right.
  await eventually(() => minutesShown(page, 'Latency')).toBeLessThan(10);
  expect(requests.filter((url) => url.endsWith('/')).length).toBe(loads);
  expect(errors).toEqual([]);
  await close();
});

test('a first event that comes while the page asks is not overlooked', async () => {
  await pages.server.post(event());
  const { page, close } = await pages.open({
    // As answered before it came.
    before: (page) => page.route(/inference_logs\?select=timestamp&/, (route) => route.fulfill({ json: [] })),
  });
  await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
  await close();
});

/** From the first time written below a chart to the last one. */
async function minutesShown(page: Page, title: string): Promise<number> {
  const times = await panel(page, title).locator('.recharts-xAxis-tick-labels text').allTextContents();
  const [first, last] = [times[0], times.at(-1)].map((text) => {
    const [hours, minutes] = (text ?? '').split(':').map(Number);
    return hours! * 60 + minutes!;
  });
  // Over midnight, too.
  return (last! - first! + 24 * 60) % (24 * 60);
}

/** As a person would run it, in a process of its own, but as patient as a busy machine needs it. */
async function runAsModule(code: string): Promise<void> {
  const patient = code.replace('AbortSignal.timeout(2000)', 'AbortSignal.timeout(60_000)');
  expect(patient).not.toBe(code);
  const child = spawn(process.execPath, ['--input-type=module', '-e', patient], { stdio: 'inherit' });
  const exitCode = await new Promise((resolve) => child.once('close', resolve));
  expect(exitCode).toBe(0);
}

test('the first closed day is drawn as the end of a week, and nothing is compared with nothing', async () => {
  const yesterday = new Date(Date.now() - 24 * 3_600_000).toISOString();
  await pages.server.post(event({ timestamp: yesterday }));
  await eventually(async () => {
    await pages.server.cli('etl', 'run');
    return await pages.server.read('daily_metrics_summary?limit=1');
  }).not.toEqual([]);
  const { page, errors, close } = await pages.open({ path: '/history' });
  const days = panel(page, 'Requests').locator('.recharts-xAxis-tick-labels text');
  await eventually(() => days.count()).toBe(7);
  await panel(page, 'Changes')
    .getByText(/^Nothing to compare .* with yet\.$/)
    .waitFor();
  await expectAccessible(page, 'history of one day');
  expect(errors).toEqual([]);
  await close();
});

test('names that differ at their end are told apart where there is no room for them', async () => {
  const names = ['a', 'b'].map((id) => `ft:gpt-4o-mini-2024-07-18:a-company-with-a-long-name::version-${id}`);
  await pages.server.post(...names.map((name) => event({ model_version: name })));
  const { page, close } = await pages.open({ viewport: { width: 390, height: 844 } });
  for (const name of names) {
    const shown = panel(page, 'Model versions').getByTitle(name);
    await shown.waitFor();
    const [whole, end] = await Promise.all([shown.boundingBox(), shown.locator('span').last().boundingBox()]);
    expect(await shown.textContent()).toBe(name);
    expect(end!.width).toBeGreaterThan(20);
    expect(end!.x + end!.width).toBeLessThanOrEqual(whole!.x + whole!.width + 1);
    // Nor does the cell cut it.
    const room = await shown.evaluate((element) => element.closest('th')!.getBoundingClientRect().right);
    expect(end!.x + end!.width).toBeLessThanOrEqual(room);
  }
  await close();
});
