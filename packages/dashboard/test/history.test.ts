import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { expect, test, vi } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import { event, events, eventually, expectNoSidewaysScroll, panel, panelState } from './support/live.ts';
import { startPages } from './support/pages.ts';

const dayMs = 24 * 3_600_000;
/** Of the run: a test that goes past midnight still means the same days. */
const today = Math.floor(Date.now() / dayMs);
/** In the middle of a day, so that its events are that day's at whatever hour the test runs. */
const noon = (daysAgo: number, minutes = 0) =>
  new Date((today - daysAgo) * dayMs + dayMs / 2 + minutes * 60_000).toISOString();
/** Weeks begin on Monday, and 1970 began on a Thursday. */
const weekOf = (daysAgo: number) => Math.floor((today - daysAgo + 3) / 7);
/** Text that a spreadsheet would run. */
const formula = '=HYPERLINK("http://127.0.0.1/","v")';

const pages = startPages({
  async prepare(server) {
    const days = Array.from({ length: 24 }, (_, index) => index + 1);
    await server.post(
      ...days.flatMap((day) => [
        ...events(20 + (day % 3), (index) => ({
          timestamp: noon(day, index),
          model_version: 'ocr-v1',
          cost_usd: 0.01,
          quality_score: 0.9,
        })),
        // Each week twice the requests of the week before: at midnight another one may be the last that is over.
        ...events(3 * 2 ** (weekOf(day) - weekOf(24)) + (day % 2), (index) => ({
          timestamp: noon(day, index),
          model_version: 'ocr-v2',
          inference_time_ms: 100 + (day % 5),
        })),
      ]),
      event({ timestamp: noon(2), model_version: formula }),
    );
    // Summaries of days come a few seconds after their events.
    await vi.waitFor(
      async () => {
        await server.cli('etl', 'run');
        expect(await server.read('daily_metrics_summary?select=date')).toHaveLength(24 * 2 + 1);
      },
      { timeout: 200_000 },
    );
  },
});

test('days, weeks and months are shown by model, the URL holds them, and a point leads further down', async () => {
  const { page, errors, close } = await pages.open({ path: '/history' });
  await page
    .getByRole('heading', {
      name: /^\d[\d,]+ requests to 3 model versions, 0 % with an error\. They cost \$\d/,
    })
    .waitFor();
  for (const title of [
    'Requests',
    'Latency',
    'Error rate',
    'Confidence',
    'Quality',
    'Cost',
    'Changes',
    'Model versions',
  ])
    await panelState(page, title, 'live');
  await page.getByRole('button', { name: 'Weeks' }).click();
  await eventually(() => page.url()).toBe(`${pages.server.url}/history?by=week`);
  await page.getByRole('button', { name: '90 d, last 90 days' }).click();
  await eventually(() => page.url()).toBe(`${pages.server.url}/history?by=week&last=90d`);
  await panel(page, 'Requests').getByRole('button', { name: 'Table: Requests' }).click();
  const rows = panel(page, 'Requests').getByRole('row');
  await rows
    .nth(1)
    .getByRole('rowheader', { name: /^week of / })
    .waitFor();
  await rows.nth(1).getByRole('button').press('Enter');
  await eventually(() => page.url()).toMatch(/history\?from=\d{4}-\d\d-\d\d&to=\d{4}-\d\d-\d\d$/);
  const [from, to] = [page.getByLabel('From', { exact: true }), page.getByLabel('To', { exact: true })];
  const days = async () =>
    (Date.parse(await to.inputValue()) - Date.parse(await from.inputValue())) / 86_400_000;
  await eventually(days).toBe(6);
  await rows.nth(1).getByRole('button').press('Enter');
  await eventually(() => page.url()).toMatch(/\/\?at=\d{4}-\d\d-\d\dT00%3A00%3A00.000Z&for=86400$/);
  await page.getByRole('dialog').getByRole('status').getByText(/found/).waitFor();
  expect(errors).toEqual([]);
  await close();
});

test('charts ask for what they draw; comparisons are asked for the one period that is compared', async () => {
  const { page, requests, close } = await pages.open({ path: '/history?by=week&last=1y' });
  await panelState(page, 'Changes', 'live');
  const asked = requests
    .map((url) => new URL(url))
    .filter(({ pathname }) => pathname.endsWith('/weekly_metrics_trend'));
  const compared = asked.filter(({ searchParams }) => searchParams.get('select')!.includes('_change_'));
  expect(asked.length).toBeGreaterThan(compared.length);
  expect(compared.length).toBeGreaterThan(0);
  const drawn = [
    'avg_confidence',
    'avg_latency_ms',
    'avg_quality',
    'cost_usd',
    'error_rate_pct',
    'input_tokens',
    'model_version',
    'output_tokens',
    'p50_latency_ms',
    'p95_latency_ms',
    'p99_latency_ms',
    'period_start',
    'total_requests',
  ];
  for (const one of asked.filter((url) => !compared.includes(url))) {
    expect(one.searchParams.get('select')!.split(',').sort()).toEqual(drawn);
  }
  for (const { searchParams } of compared) {
    expect(searchParams.get('select')).not.toMatch(/\*|latency_ms|cost_usd/);
    const [from, to] = searchParams.getAll('period_start').map((bound) => bound.split('.')[1]);
    expect(from).toBe(to);
  }
  await close();
});

test('a change is told with its uncertainty, and only where it is larger than that', async () => {
  const { page, close } = await pages.open({ path: '/history?by=week' });
  const changes = panel(page, 'Changes');
  await changes.getByText(/^week of .*, by the day$/).waitFor();
  const clear = changes.locator('[data-row="ocr-v2"] [data-clear]');
  await clear.first().waitFor();
  expect((await clear.allTextContents()).join(' ')).toMatch(/[+−][\d.]+ % ± [\d.]+/);
  await changes.getByText('A change in plain grey is smaller than that').waitFor();
  await close();
});

test('the export holds every period and model, and none of its text is a formula', async () => {
  const { page, close } = await pages.open({ path: '/history' });
  await panelState(page, 'Model versions', 'live');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export CSV' }).click(),
  ]);
  expect(download.suggestedFilename()).toMatch(/^nowcast-days-\d{4}-\d\d-\d\d-to-\d{4}-\d\d-\d\d\.csv$/);
  const rows = parse(await readFile(await download.path(), 'utf8'), { columns: true, bom: true }) as Record<
    string,
    string
  >[];
  expect(rows.length).toBe(24 * 2 + 1);
  const [ofView] = await pages.server.read('daily_metrics_trend?limit=1');
  expect(Object.keys(rows[0]!)).toEqual(Object.keys(ofView!));
  expect(rows.map((row) => row.model_version)).toContain(`'${formula}`);
  const stored = await pages.server.read(
    'daily_metrics_summary?select=total_requests&model_version=eq.ocr-v2',
  );
  const sum = (values: unknown[]) => values.reduce<number>((total, value) => total + Number(value), 0);
  expect(sum(rows.filter((row) => row.model_version === 'ocr-v2').map((row) => row.total_requests))).toBe(
    sum(stored.map((row) => row.total_requests)),
  );
  await close();
});

test('an open page follows when a day is closed, says when nothing is there and when it could not load', async () => {
  const { page, close } = await pages.open({ path: '/history?from=2020-01-01&to=2020-01-31' });
  await page.getByRole('heading', { name: 'No closed day from 1 Jan to 31 Jan 2020.' }).waitFor();
  await panelState(page, 'Model versions', 'empty');
  await expectAccessible(page, 'history without days');

  await page.goto(`${pages.server.url}/history`);
  await panelState(page, 'Model versions', 'live');
  await pages.server.post(event({ timestamp: noon(3), model_version: 'late' }));
  await eventually(async () => {
    await pages.server.cli('etl', 'run');
    return await panel(page, 'Model versions').locator('[data-row="late"]').count();
  }).toBe(1);

  const leaders = '**/rest/v1/rpc/model_leaderboard*';
  await page.route(leaders, (route) =>
    route.fulfill({ status: 500, json: { message: 'statement timeout' } }),
  );
  await page.getByRole('button', { name: 'Months' }).click();
  await panelState(page, 'Requests', 'error');
  await page.getByRole('heading', { name: /^Cannot tell: .* could not be loaded\.$/ }).waitFor();
  await panel(page, 'Requests').getByText('Could not load: statement timeout').waitFor();
  await page.unroute(leaders);
  await panelState(page, 'Requests', 'live');
  await close();
});

test('axe finds nothing serious in either theme, and a phone shows everything without scrolling sideways', async () => {
  const { page, close } = await pages.open({ path: '/history?by=week' });
  await page.locator('[data-panel="Latency"] .recharts-surface').first().waitFor();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `history, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoSidewaysScroll(page);
  await page.getByRole('button', { name: 'Table: Latency' }).click();
  await expectNoSidewaysScroll(page);
  await expectAccessible(page, 'history on a phone');
  await close();
});
