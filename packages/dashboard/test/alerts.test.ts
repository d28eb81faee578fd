import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import {
  ago,
  event,
  events,
  eventually,
  expectNoSidewaysScroll,
  expectRest,
  live,
  neverGiveUp,
  panel,
  panelState,
} from './support/live.ts';
import { startPages } from './support/pages.ts';

const pages = startPages({
  env: {
    NOWCAST_INGEST_KEY: 'ingest-key',
    NOWCAST_ANON_KEY: 'anon-key',
    NOWCAST_SERVICE_KEY: 'service-key',
  },
  // A past that a rule can be tried on: for six minutes, an hour ago, a third of the requests failed.
  prepare: (server) =>
    server.post(
      ...events(1_200, (index) => ({
        timestamp: ago(20 + index / 10),
        model_version: 'past',
        is_error: index > 400 && index < 460 && index % 3 === 0,
      })),
    ),
});

const service = '#key=service-key';

const explanation = {
  sentence: '31 % of the requests to ocr-v2 fail instead of 1 %.',
  metric: 'error_rate',
  unit: '%',
  value: 31,
  baseline: 1,
  since: ago(2),
  baseline_since: ago(60),
  baseline_until: ago(2),
  causes: [
    { dimension: 'feature', value: 'scan', share: 0.94, sentence: 'Feature scan explains 94 % of it.' },
  ],
  cause_sentence: 'Feature scan explains 94 % of it.',
  examples: [1, 2, 3].map((number) => ({
    id: String(number),
    timestamp: ago(1),
    model_version: 'ocr-v2',
    inference_time_ms: 120,
    is_error: true,
    error_message: `worker ${number} is out of memory`,
    trace_id: `t-${number}`,
    feature: 'scan',
    user_id: null,
  })),
  deployed: [{ what: 'model_version', value: 'ocr-v2', first_seen_at: ago(9) }],
  data_age_seconds: 1.2,
};

/** @returns the incident's id */
async function raise(model: string, differences: Record<string, unknown> = {}): Promise<number> {
  await pages.server.insert('system_alerts', {
    severity: 'critical',
    alert_type: 'error_rate',
    message: `31 % of the requests to ${model} fail`,
    rule: `test_${model}`,
    labels: { model_version: model },
    explanation,
    ...differences,
  });
  const [row] = await pages.server.read(
    `system_alerts?select=incident_id&rule=eq.test_${model}&order=id.desc&limit=1`,
  );
  return Number(row!.incident_id);
}

async function resolveAll(): Promise<void> {
  await pages.server.cli('sql', `update system_alerts set status = 'resolved' where status = 'firing'`);
}

async function rowsOf(path: string): Promise<Record<string, unknown>[]> {
  return await pages.server.read(path);
}

/** Live, and told which alerts were open before: the page is live without them. */
async function watching(page: Page, go: () => Promise<unknown>): Promise<void> {
  const told = page.waitForResponse(/\/system_alerts/);
  await go();
  await live(page);
  await told;
}

const line = (page: Page, id: number) => page.locator(`[data-incident="${id}"]`);

test('woken at night: what, since when and which model stand on the first page, why one click further', async () => {
  const id = await raise('ocr-v2');
  const { page, context, errors, close } = await pages.open({ path: `/${service}` });
  const alert = panel(page, 'Open alerts').locator('li', { hasText: '31 % of the requests to ocr-v2 fail' });
  await alert.getByRole('link', { name: 'Why' }).click();
  await eventually(() => page.url()).toBe(`${pages.server.url}/alerts/${id}`);
  await page.getByRole('heading', { name: '31 % of the requests to ocr-v2 fail' }).waitFor();
  await eventually(() => page.locator('[data-since]').textContent()).toMatch(/^Since [\w ,]*\d\d:\d\d, /);
  await panel(page, 'Incident').getByRole('link', { name: 'ocr-v2' }).waitFor();
  const why = panel(page, 'What and why');
  await why.locator('[data-cause]', { hasText: 'Feature scan explains 94 % of it.' }).waitFor();
  await why.getByText('Model version ocr-v2, first seen').waitFor();
  await why.getByText('The newest data was 1 s old').waitFor();
  expect(await why.locator('[data-example]').count()).toBe(3);
  await why.getByText('worker 2 is out of memory').waitFor();
  await panel(page, 'Timeline').locator('[data-kind="began"]').waitFor();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `incident, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoSidewaysScroll(page);
  await expectAccessible(page, 'incident on a phone');
  await context.setOffline(true);
  for (const title of ['Incident', 'What and why', 'Timeline']) await panelState(page, title, 'disconnected');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `incident offline, ${colorScheme}`);
  }
  expect(errors).toEqual([]);
  await close();
  await resolveAll();
});

test('one click acknowledges or silences, one takes it back, and every open page follows', async () => {
  const id = await raise('hands');
  const { page, requests, close } = await pages.open({ path: `/alerts${service}` });
  const other = await pages.open({ path: `/alerts${service}` });
  await page.getByLabel('Your name, for the timeline').fill('Ann');
  await line(page, id).getByRole('button', { name: 'Acknowledge' }).click();
  await line(other.page, id).getByText('Acknowledged by Ann').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await line(other.page, id).getByRole('button', { name: 'Acknowledge' }).waitFor();

  await line(page, id).getByRole('button', { name: 'Silence 1 h' }).click();
  await line(other.page, id).getByText('Silenced').waitFor();
  await panel(other.page, 'Silences and maintenance').getByText('hands').waitFor();
  await page.locator('[data-notice]').getByRole('button', { name: 'Undo' }).click();
  await line(other.page, id).getByRole('button', { name: 'Silence 1 h' }).waitFor();

  await line(page, id).getByRole('button', { name: 'Silence …' }).click();
  const dialog = page.getByRole('dialog', { name: 'Silence hands' });
  await dialog.getByLabel('For').selectOption('240');
  await dialog.getByLabel('Reason').fill('rolling back');
  await expectAccessible(page, 'silencing', '[role=dialog]');
  await dialog.getByRole('button', { name: 'Silence' }).click();
  const silence = panel(other.page, 'Silences and maintenance').locator('[data-silence]');
  await silence.getByText('“rolling back”, Ann').waitFor();
  await silence.getByRole('button', { name: 'End the silence of hands' }).click();
  await panelState(page, 'Silences and maintenance', 'empty');

  await resolveAll();
  await panelState(page, 'Open incidents', 'empty');
  await panel(page, 'History').locator(`[data-incident="${id}"]`).getByText('Critical, over').waitFor();
  // Nothing happens any more: nothing is asked.
  await expectRest(page, requests);
  await other.close();
  await close();
});

test('a key that may only read sees what is wrong but no names and no reasons, and is asked for another one before it changes anything', async () => {
  const id = await raise('secret');
  const { page, errors, close } = await pages.open({ path: `/alerts/${id}#key=anon-key` });
  await panel(page, 'What and why').getByText('it needs a service key').waitFor();
  expect(await page.textContent('main')).not.toContain('out of memory');
  await page.getByRole('button', { name: 'Acknowledge' }).click();
  const dialog = page.getByRole('dialog', { name: 'Acknowledging needs a service key' });
  await dialog.getByLabel('Key', { exact: true }).fill('service-key');
  await dialog.getByRole('button', { name: 'Open' }).click();
  await panel(page, 'Incident').getByText('Acknowledged').waitFor();
  await page.getByText('worker 1 is out of memory').waitFor();
  expect(await rowsOf(`incidents?select=acknowledged&id=eq.${id}`)).toEqual([{ acknowledged: true }]);
  expect(errors).toEqual([]);
  await close();
  await resolveAll();
});

test('a critical alert raises one toast in every open tab, on every view, and one notification for the browser', async () => {
  const first = await pages.open({ path: `/${service}` });
  await first.context.grantPermissions(['notifications'], { origin: pages.server.url });
  await first.context.addInitScript(() => {
    const shown: string[] = [];
    Object.assign(window, { shown });
    class Recorded {
      static permission = 'granted';
      constructor(title: string, options: NotificationOptions) {
        shown.push(`${title} ${options.tag} ${options.body}`);
      }
    }
    Object.assign(window, { Notification: Recorded });
  });
  await watching(first.page, () => first.page.reload());
  const second = await first.context.newPage();
  await watching(second, () => second.goto(`${pages.server.url}/pipeline`));
  // A tab in the background draws no frames.
  const hidden = await first.context.newPage();
  await hidden.addInitScript(() => {
    Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
    window.requestAnimationFrame = () => 0;
  });
  await watching(hidden, () => hidden.goto(`${pages.server.url}/pipeline`));
  for (const page of [first.page, second]) expect(await page.locator('[data-toast]').count()).toBe(0);
  const id = await raise('loud');
  await raise('loud', { rule: 'second_loud', message: 'loud is slow' });
  await pages.server.insert('system_alerts', {
    severity: 'warning',
    alert_type: 'other',
    message: 'only a warning',
    rule: 'quiet',
  });
  for (const page of [first.page, second]) {
    const toast = page.locator(`[data-toast="incident ${id}"]`);
    await toast.getByText('31 % of the requests to loud fail').waitFor();
    await expectAccessible(page, 'a toast', '[data-toast]');
    expect(await page.locator('[data-toast]').count()).toBe(1);
  }
  for (const page of [first.page, second, hidden]) {
    const shown = () => page.evaluate(() => (window as unknown as { shown: string[] }).shown);
    await eventually(shown).toEqual([
      `Nowcast: critical alert nowcast incident ${id} 31 % of the requests to loud fail`,
    ]);
  }
  await first.page.getByRole('button', { name: 'Dismiss' }).click();
  expect(await first.page.locator('[data-toast]').count()).toBe(0);
  await second.getByRole('link', { name: 'What and why' }).click();
  await eventually(() => second.url()).toBe(`${pages.server.url}/alerts/${id}`);
  await first.close();
  await resolveAll();
});

test('a critical alert that begins while the open ones are still being loaded is told like any other', async () => {
  let pushed = false;
  let answer = () => {};
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const { page, close } = await pages.open({
    path: `/${service}`,
    before: async (page) => {
      await neverGiveUp(page);
      page.on('websocket', (socket) =>
        socket.on('framereceived', ({ payload }) => {
          pushed ||= String(payload).includes('requests to sudden fail');
        }),
      );
      await page.route('**/rest/v1/system_alerts*', async (route) => {
        const response = await route.fetch();
        await held;
        await route.fulfill({ response });
      });
    },
  });
  const id = await raise('sudden');
  await eventually(() => pushed).toBe(true);
  answer();
  await page.locator(`[data-toast="incident ${id}"]`).waitFor();
  await close();
  await resolveAll();
});

test('a rule is tried on what was stored before it is saved, and a complaint of the server stands at its field', async () => {
  const { page, errors, close } = await pages.open({ path: `/alerts${service}`, before: neverGiveUp });
  const rules = panel(page, 'Rules');
  await rules.getByRole('button', { name: 'New threshold' }).click();
  const dialog = page.getByRole('dialog', { name: 'New threshold' });
  await dialog.getByLabel('Name').fill('many_errors');
  await dialog.getByLabel('Value').fill('10');
  await dialog.getByLabel('Window, s').fill('5');
  await dialog.getByRole('button', { name: 'Save' }).click();
  const field = dialog.getByLabel('Window, s');
  await eventually(() => field.getAttribute('aria-invalid')).toBe('true');
  await dialog.getByText('condition.window_seconds must be a number from 60 to 3600, not 5').waitFor();
  await expectAccessible(page, 'a rule with a mistake', '[role=dialog]');
  await field.fill('60');
  await dialog.getByRole('button', { name: 'What would it have done?' }).click();
  await dialog.getByText(/^[1-9]\d* alerts? since/).waitFor();
  await dialog.locator('[data-would]', { hasText: 'past' }).first().waitFor();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  const row = rules.locator('[data-row="many_errors"]');
  await row.getByText('> 10').waitFor();
  let answer = () => {};
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await page.route('**/rest/v1/alert_rules*', async (route) => {
    if (route.request().method() === 'PATCH') await held;
    await route.continue();
  });
  await row.getByRole('checkbox').click();
  // Until it is told, the way back would be that of the change before, and take the rule away.
  await eventually(() => page.getByRole('button', { name: 'Undo' }).isDisabled()).toBe(true);
  answer();
  await eventually(() => rowsOf('alert_rules?select=enabled&name=eq.many_errors')).toEqual([
    { enabled: false },
  ]);
  await page.getByRole('button', { name: 'Undo' }).click();
  await eventually(() => row.getByRole('checkbox').isChecked()).toBe(true);
  // What somebody else changes comes by itself.
  await pages.server.cli('sql', `update alert_rules set severity = 'critical' where name = 'many_errors'`);
  await row.getByText('critical').waitFor();
  expect(errors).toEqual([]);
  await close();
});

test('maintenance is planned ahead, and what makes no sense is refused in the dialog', async () => {
  const { page, close } = await pages.open({ path: `/alerts${service}` });
  await page.getByRole('button', { name: 'Plan maintenance' }).click();
  const dialog = page.getByRole('dialog', { name: 'Plan maintenance' });
  await dialog.getByLabel('Until').fill('2020-01-01T00:00');
  await dialog.getByRole('button', { name: 'Plan' }).click();
  await dialog.getByRole('alert').getByText('a maintenance window ends after it starts').waitFor();
  await dialog.getByLabel('Until').fill('2099-01-01T00:00');
  await dialog.getByLabel('From').fill('2098-12-31T23:00');
  await dialog.getByLabel('Of').selectOption('model_version');
  await dialog.getByLabel('Model version').fill('ocr-v1');
  await dialog.getByLabel('Reason').fill('new disks');
  await dialog.getByRole('button', { name: 'Plan' }).click();
  await dialog.waitFor({ state: 'detached' });
  const planned = panel(page, 'Silences and maintenance').locator('li', { hasText: 'Maintenance: ocr-v1' });
  await planned.getByText('“new disks”').waitFor();
  await planned.getByRole('button', { name: 'End the silence of ocr-v1' }).click();
  await panelState(page, 'Silences and maintenance', 'empty');
  await close();
});

test('the overview is usable on a phone and by a screen reader in either theme, also when something cannot be loaded', async () => {
  await raise('phone');
  await pages.server.post(event());
  const { page, close } = await pages.open({ path: `/alerts${service}` });
  await panelState(page, 'Rules', 'live');
  await panelState(page, 'Open incidents', 'live');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `alerts, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoSidewaysScroll(page);
  // Nor inside: whoever reads a rule reads it whole.
  const cut = panel(page, 'Rules')
    .locator('*')
    .evaluateAll(
      (all) =>
        all.filter(
          (one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== 'visible',
        ).length,
    );
  expect(await cut).toBe(0);
  await expectAccessible(page, 'alerts on a phone');
  const rules = '**/rest/v1/alert_rules*';
  await page.route(rules, (route) => route.fulfill({ status: 500, json: { message: 'statement timeout' } }));
  await page.reload();
  await panelState(page, 'Rules', 'error');
  await panelState(page, 'Open incidents', 'live');
  await page.unroute(rules);
  await panelState(page, 'Rules', 'live');
  const everything = '**/rest/v1/**';
  await page.route(everything, (route) => route.fulfill({ status: 500, json: { message: 'timeout' } }));
  await page.reload();
  // What is not known is not "none".
  await page.getByRole('heading', { name: 'Cannot tell: the alerts could not be loaded.' }).waitFor();
  await panelState(page, 'Open incidents', 'error');
  expect(await panel(page, 'Open incidents').textContent()).not.toContain('0 now');
  await close();
  await resolveAll();
});
