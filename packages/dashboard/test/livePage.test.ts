import { expect, test } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import {
  ago,
  event,
  events,
  eventually,
  expectNoSidewaysScroll,
  expectRest,
  panel,
  panelState,
  tileValue,
} from './support/live.ts';
import { startPages } from './support/pages.ts';

const pages = startPages({
  prepare: (server) =>
    server.post(
      // None of it leaves the hour while a test counts what is in it.
      ...events(240, (index) => ({
        timestamp: ago(index / 6),
        model_version: index % 3 === 0 ? 'llm-v1' : 'ocr-v1',
        inference_time_ms: 80 + (index % 40),
        ...(index % 3 === 0 && {
          input_tokens: 500,
          output_tokens: 100,
          cost_usd: 0.002,
          quality_score: 0.9,
        }),
      })),
      // Yesterday's, for the longer ranges.
      ...events(60, (index) => ({ timestamp: ago(60 * 20 + index), model_version: 'ocr-v0' })),
    ),
});

test('a POST changes the figures without reload and without an error on the console', async () => {
  // Of a model of its own: from the others' last hour a minute leaves with every minute.
  await pages.server.postOne(event({ model_version: 'posted' }));
  const { page, errors, requests, close } = await pages.open({ path: '/?model=posted' });
  await panelState(page, 'Live tail', 'live');
  await page.locator('[data-panel="Latency"] .recharts-surface').first().waitFor();
  await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
  await expectRest(page, requests);
  const loads = requests.length;
  for (let posts = 0; posts < 5; posts++) {
    const before = await tileValue(page, 'Requests');
    await pages.server.postOne(event({ model_version: 'posted', prediction_class: 'a new one' }));
    await eventually(() => tileValue(page, 'Requests')).toBe(before + 1);
  }
  await page.locator('[data-panel="Live tail"] li', { hasText: 'a new one' }).first().waitFor();
  expect(requests.slice(loads)).toEqual([]);
  await eventually(async () => await panel(page, 'tile Latency p95').getAttribute('data-state')).toBe('live');
  expect(errors).toEqual([]);
  await close();
});

test('a browser whose clock is hours off shows the right figures and ages', async () => {
  for (const offMs of [3 * 3_600_000, -3 * 3_600_000]) {
    const { page, close } = await pages.open({
      before: (page) =>
        page.addInitScript((offMs) => {
          const real = Date.now;
          Date.now = () => real() + offMs;
        }, offMs),
    });
    await pages.server.post(event());
    await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
    await panelState(page, 'Latency', 'live');
    await eventually(() => page.locator('[data-age]').textContent()).toMatch(/^(under 1|\d+) s ago$/);
    await eventually(() => tileValue(page, 'Requests')).toBeGreaterThan(100);
    await close();
  }
});

test('an idle page makes no request', async () => {
  const { page, requests, close } = await pages.open();
  await panelState(page, 'Live tail', 'live');
  await page.locator('[data-panel="Latency"] .recharts-surface').first().waitFor();
  await expectRest(page, requests);
  await close();
});

test('each range has its URL and says its window; longer ones keep following what comes', async () => {
  const { page, close } = await pages.open({ path: '/?range=24h' });
  await eventually(() => panel(page, 'tile Requests').textContent()).toContain('last 24 hours');
  await page.locator('tr[data-row="ocr-v0"]').waitFor();
  const before = await tileValue(page, 'Requests');
  await pages.server.post(...events(3));
  await eventually(() => tileValue(page, 'Requests')).toBe(before + 3);

  await page.getByRole('button', { name: '1 h, last hour' }).click();
  await eventually(() => page.url()).toBe(`${pages.server.url}/`);
  await eventually(() => page.locator('tr[data-row="ocr-v0"]').count()).toBe(0);
  await page.keyboard.press('4');
  await eventually(() => page.url()).toBe(`${pages.server.url}/?range=7d`);
  await page.locator('tr[data-row="ocr-v0"]').waitFor();
  await page.goBack();
  await eventually(() => page.url()).toBe(`${pages.server.url}/`);
  await close();
});

test('a model version can be looked at alone, with its whole latency spread, and the link keeps it', async () => {
  const { page, close } = await pages.open();
  await page.locator('tr[data-row="llm-v1"] button').click();
  await eventually(() => page.url()).toBe(`${pages.server.url}/?model=llm-v1`);
  for (const name of ['p50', 'p95', 'p99', 'mean of 5 minutes', 'mean of 1 hour']) {
    await panel(page, 'Latency').locator('li', { hasText: name }).first().waitFor();
  }
  for (const title of ['Tokens', 'Cost', 'Quality']) await panelState(page, title, 'live');
  expect(await panel(page, 'tile Cost').locator('output').textContent()).toMatch(/^\$0\.\d+$/);
  await page.reload();
  await page
    .getByRole('button', { name: 'llm-v1' })
    .and(page.locator('[aria-pressed=true]'))
    .first()
    .waitFor();
  await close();
});

test('a point of a chart leads to its events, by pointer and, through the table, by keyboard', async () => {
  const { page, close } = await pages.open({ path: '/?model=ocr-v1' });
  const chart = panel(page, 'Latency').locator('.recharts-surface').first();
  await chart.waitFor();
  const { width, height } = (await chart.boundingBox())!;
  // Not the mouse at a place that was right a moment ago: what is above the chart may still grow.
  await chart.click({ position: { x: width * 0.7, y: height / 2 } });
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('heading', { name: 'Events of ocr-v1' }).waitFor();
  await dialog.locator('details').first().click();
  await dialog.getByRole('term').filter({ hasText: 'inference_time_ms' }).first().waitFor();
  expect(new URL(page.url()).searchParams.get('for')).toBe('60');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Table: Requests' }).press('Enter');
  // By its minute: with the next one the rows move down.
  const time = await panel(page, 'Requests').getByRole('row').nth(2).locator('time').getAttribute('datetime');
  const row = panel(page, 'Requests')
    .getByRole('row')
    .filter({ has: page.locator(`time[datetime="${time}"]`) });
  const requests = Number(await row.getByRole('cell').first().textContent());
  await row.getByRole('button').press('Enter');
  await dialog.getByRole('status').getByText(`${requests} found`).waitFor();
  await page.goBack();
  await dialog.waitFor({ state: 'detached' });
  await close();
});

test('counts of the minute under way are told and not drawn as a fall', async () => {
  await pages.server.post(
    ...events(120, (index) => ({ timestamp: ago(index / 12), model_version: 'counted' })),
  );
  const { page, close } = await pages.open({ path: '/?model=counted' });
  const chart = panel(page, 'Requests');
  const line = chart.locator('.recharts-area-curve');
  await line.waitFor();
  const edgeOf = async (part: 'left' | 'right', selector: string) =>
    await chart.locator(selector).evaluate((element, part) => element.getBoundingClientRect()[part], part);
  // The line ends where the ground of the minute under way begins.
  await eventually(async () => {
    // However long it takes: of a minute after an empty one there is no fall to draw.
    await pages.server.postOne(event({ model_version: 'counted' }));
    return Math.abs(
      (await edgeOf('right', '.recharts-area-curve')) -
        (await edgeOf('left', '.recharts-reference-area-rect')),
    );
  }).toBeLessThan(3);
  await eventually(async () => {
    const plot = (await chart.locator('.recharts-cartesian-grid').boundingBox())!;
    for (const fromRight of [2, 1])
      await page.mouse.move(plot.x + plot.width - fromRight, plot.y + plot.height / 2);
    return await chart.locator('.recharts-tooltip-wrapper').textContent();
  }).toMatch(/, so far.*counted\d+Click/);
  await close();
});

test('axe finds nothing serious on the busy page, in dialogs and tables, in either theme', async () => {
  const { page, close } = await pages.open();
  await page.locator('[data-panel="Latency"] .recharts-surface').first().waitFor();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `busy page, ${colorScheme}`);
  }
  await page.getByRole('button', { name: 'Table: Latency' }).click();
  await expectAccessible(page, 'table', '[data-panel="Latency"]');
  await panel(page, 'Latency').getByRole('row').nth(1).getByRole('button').click();
  await page.getByRole('dialog').locator('details').first().click();
  await expectAccessible(page, 'events', '[role=dialog]');
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
  await expectAccessible(page, 'shortcuts', '[role=dialog]');
  await close();
});

test('on a phone everything is there and nothing scrolls sideways', async () => {
  const long = 'a long message without an end, '.repeat(20);
  await pages.server.post(
    event({ model_version: `phone-${'with-a-very-long-name-'.repeat(5)}`, prediction_class: long }),
    event({ model_version: 'phone', is_error: true, error_message: long }),
  );
  const { page, close } = await pages.open({ viewport: { width: 390, height: 844 } });
  await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
  await page.locator('[data-panel="Latency"] .recharts-surface').first().waitFor();
  await expectNoSidewaysScroll(page);
  await page.getByRole('button', { name: 'Table: Error rate' }).click();
  await expectNoSidewaysScroll(page);
  await panel(page, 'Live tail').scrollIntoViewIfNeeded();
  await panelState(page, 'Live tail', 'live');
  await panel(page, 'Live tail').locator('li', { hasText: 'without an end' }).first().waitFor();
  await expectNoSidewaysScroll(page);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `live on a phone, ${colorScheme}`);
  }
  await panel(page, 'Live tail').locator('li button').first().click();
  await page.getByRole('dialog').getByRole('term').filter({ hasText: 'model_version' }).waitFor();
  await expectNoSidewaysScroll(page);
  await expectAccessible(page, 'phone', '[role=dialog]');
  await close();
});

test('the keyboard reaches the content first, the list of shortcuts is under ?, and single keys can be switched off', async () => {
  const { page, close } = await pages.open();
  await page.keyboard.press('Tab');
  await eventually(() => page.evaluate(() => document.activeElement?.textContent)).toBe(
    'Skip to the content',
  );
  await page.keyboard.press('Enter');
  await eventually(() => page.evaluate(() => document.activeElement?.id)).toBe('content');
  await page.keyboard.press('?');
  await page.getByLabel('Single-key shortcuts').uncheck();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('3');
  expect(page.url()).not.toContain('range');
  await close();
});

test('the theme that was chosen stays, and is there before the first paint', async () => {
  const { page, close } = await pages.open({ colorScheme: 'light' });
  await page.keyboard.press('t');
  await page.keyboard.press('t');
  await page.getByRole('button', { name: 'Theme: dark. Change' }).waitFor();
  await page.reload({ waitUntil: 'commit' });
  await page.waitForFunction(() => document.body !== null);
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('dark');
  await close();
});
