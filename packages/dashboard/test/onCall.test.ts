import { expect, test } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import { openPage } from './support/browser.ts';
import { ago, event, events, eventually, live, panel, panelState } from './support/live.ts';
import { startPages } from './support/pages.ts';

const keys = {
  NOWCAST_INGEST_KEY: 'ingest-key',
  NOWCAST_ANON_KEY: 'anon-key',
  NOWCAST_SERVICE_KEY: 'service-key',
};

/** An event of each model every six seconds, the newest one first; the newest hundred of ocr-v2 are its bad ones. */
let begunAt: number;
const at = (index: number) => begunAt - index * 6_000;
/** Of the newest hundred every second one fails, and pages count by the minute. */
let failingSince: number;

const pages = startPages({
  env: keys,
  prepare: (server) => {
    // Not before: a server that takes minutes to start would have little of it in its last five.
    begunAt = Date.now();
    failingSince = new Date(at(98)).setSeconds(0, 0);
    return server.post(
      ...events(400, (index) => ({ timestamp: new Date(at(index)).toISOString(), model_version: 'ocr-v1' })),
      ...events(400, (index) => ({
        timestamp: new Date(at(index)).toISOString(),
        model_version: 'ocr-v2',
        // For ten minutes now, half of them fail.
        ...(index < 100 &&
          index % 2 === 0 && { is_error: true, error_message: `worker ${index} is out of memory` }),
      })),
    );
  },
});

test('woken at night: what is wrong, since when and with which model is read at once, its errors in two clicks', async () => {
  const { page, close } = await pages.open({ path: '/#key=anon-key' });
  await page.getByRole('heading', { name: 'No, something is wrong.' }).waitFor();
  const reason = page.locator('[data-reason="errors ocr-v2"]');
  expect(await reason.textContent()).toMatch(
    /(4|5)\d(\.\d)? % of the requests to ocr-v2 failed in the last 5 minutes/,
  );
  const clock = new Date(failingSince).toTimeString().slice(0, 5);
  const since = await readWithinOneMinute(() => reason.textContent());
  expect(since.text).toContain(`${clock}, ${since.minutes} min ago`);
  await eventually(() => page.title()).toContain('Problem');

  await reason.getByRole('button', { name: 'Show ocr-v2' }).click();
  await eventually(() => page.url()).toBe(`${pages.server.url}/?model=ocr-v2`);
  await reason.getByRole('button', { name: 'Its errors' }).click();
  const dialog = page.getByRole('dialog', { name: 'Errors of ocr-v2' });
  await dialog.getByText('50 found').waitFor();
  // What an anon key may not read is not there.
  expect(await dialog.textContent()).not.toContain('out of memory');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `errors in the night, ${colorScheme}`, '[role=dialog]');
  }
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `broken page, ${colorScheme}`);
  }
  await close();
});

/** Read where the page, which counts on by the second, cannot be of another minute than the test. */
async function readWithinOneMinute(
  read: () => Promise<string | null>,
): Promise<{ readonly text: string | null; readonly minutes: number }> {
  const minutesAt = (at: number) => Math.floor((at - failingSince) / 60_000);
  let text: string | null = null;
  let minutes = Number.NaN;
  await eventually(async () => {
    minutes = minutesAt(Date.now() - 10_000);
    text = await read();
    return minutesAt(Date.now()) - minutes;
  }).toBe(0);
  return { text, minutes };
}

test('a server with keys asks for one once, refuses a wrong one, and keeps the right one in this browser', async () => {
  const { page, errors, close } = await openPage(pages.browser, pages.server.url);
  await page.getByRole('heading', { name: 'This server wants a key' }).waitFor();
  await expectAccessible(page, 'asking for a key');
  await page.getByLabel('Key', { exact: true }).fill('wrong');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('is not accepted any more').waitFor();
  await page.getByLabel('Key', { exact: true }).fill('anon-key');
  await page.getByRole('button', { name: 'Open' }).click();
  await live(page);
  await page.reload();
  await live(page);
  await page.getByRole('heading', { name: 'No, something is wrong.' }).waitFor();
  expect(errors).toEqual([]);
  await close();
});

test('a key in the link is taken, and leaves the address bar and the history', async () => {
  const { page, close } = await pages.open({ path: '/?range=6h#key=anon-key' });
  await eventually(() => page.url()).toBe(`${pages.server.url}/?range=6h`);
  await panelState(page, 'Requests', 'live');
  await close();
});

test('an alert appears by itself, is acknowledged with a service key only, and leaves when it is over', async () => {
  const { page, errors, close } = await pages.open({ path: '/#key=anon-key' });
  const alerts = panel(page, 'Open alerts');
  await pages.server.post(event({ model_version: 'ocr-v1', inference_time_ms: 9_000 }));
  const alert = alerts.locator('li', { hasText: 'Inference latency spike: 9000' });
  await alert.waitFor();
  await alert.getByText('High latency').waitFor();

  await alert.getByRole('button', { name: 'Acknowledge' }).click();
  const dialog = page.getByRole('dialog', { name: 'Acknowledging needs a service key' });
  await dialog.getByLabel('Key', { exact: true }).fill('service-key');
  await expectAccessible(page, 'asking for a service key', '[role=dialog]');
  await dialog.getByRole('button', { name: 'Open' }).click();
  await alert.getByText('Acknowledged').waitFor();
  const [row] = await pages.server.read('system_alerts?select=acknowledged&alert_type=eq.high_latency');
  expect(row).toEqual({ acknowledged: true });

  // Another one, now that the key is there.
  await pages.server.insert('system_alerts', {
    severity: 'critical',
    alert_type: 'other',
    message: 'by hand',
    status: 'resolved',
  });
  const other = alerts.locator('li', { hasText: 'by hand' });
  await other.getByRole('button', { name: 'Acknowledge' }).click();
  // Neither firing nor unseen: it is over.
  await other.waitFor({ state: 'detached' });
  expect(errors).toEqual([]);
  await close();
});

test('what ended a moment ago is told with its end', async () => {
  const { page, errors, close } = await pages.open({ path: '/#key=anon-key' });
  await pages.server.post(
    ...events(40, () => ({ model_version: 'ocr-v3', timestamp: ago(2), is_error: true })),
    ...events(40, () => ({ model_version: 'ocr-v3' })),
  );
  await page
    .locator('[data-reason="errors ocr-v3"]')
    // With the day where it was before midnight.
    .getByText(/^From [\w ,]*\d\d:\d\d to [\w ,]*\d\d:\d\d, not since$/)
    .waitFor();
  expect(errors).toEqual([]);
  await close();
});

test('when everything fails at once the figures stay in sight: a few reasons, how many more, and where they are', async () => {
  const { page, errors, close } = await pages.open({ path: '/#key=anon-key' });
  for (let model = 1; model <= 9; model++) {
    await pages.server.post(...events(40, () => ({ model_version: `down-${model}`, is_error: true })));
  }
  const card = page.getByRole('region', { name: 'Is it working?' });
  await card.getByText(/^And \d+ more\./).waitFor();
  expect(await card.locator('[data-reason]').count()).toBe(4);
  await card.getByRole('link', { name: 'All incidents' }).click();
  await page.getByRole('heading', { name: 'Open incidents' }).waitFor();
  expect(errors).toEqual([]);
  await close();
});
