import type { Page, WebSocketRoute } from 'playwright-core';
import { beforeEach, expect, test } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import { openPage } from './support/browser.ts';
import {
  ago,
  event,
  events,
  eventually,
  live,
  neverGiveUp,
  panel,
  panelState,
  recordPhases,
  tileValue,
} from './support/live.ts';
import { startPages } from './support/pages.ts';

const pages = startPages({
  prepare: (server) =>
    server.post(
      ...events(60, (index) => ({
        timestamp: ago(index / 2),
        cost_usd: 0.01,
        quality_score: 0.8,
        input_tokens: 9,
      })),
    ),
});

// A test that fails while its server is down must not take the others with it.
beforeEach(() => pages.server.up());

/** Every panel of a page whose events carry everything. */
const charts = ['Requests', 'Latency', 'Error rate', 'Confidence', 'Quality', 'Tokens', 'Cost'];
const tiles = ['Requests', 'Latency p95', 'Error rate', 'Confidence', 'Quality', 'Tokens', 'Cost'].map(
  (name) => `tile ${name}`,
);
const fromMetrics = [...charts, ...tiles, 'Model versions'];
const allPanels = [...fromMetrics, 'Open alerts', 'Live tail'];
/** Those that are there before it is known what the events carry. */
const firstPanels = ['Requests', 'Latency', 'Error rate', 'Confidence', 'tile Requests', 'Model versions'];

const metrics = '**/rest/v1/rpc/metrics*';
const alerts = '**/rest/v1/system_alerts*';
const logs = '**/rest/v1/inference_logs*';

/** Five minutes of silence would be no good news, and the tests before may have taken them. */
async function expectWorking(page: Page): Promise<void> {
  await pages.server.post(event());
  await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
}

async function showTail(page: Page): Promise<void> {
  await panel(page, 'Live tail').scrollIntoViewIfNeeded();
}

test('a server that restarts under the open page: the page says so, comes back by itself and has what was missed', async () => {
  const { page, requests, errors, close } = await pages.open();
  await page.getByRole('heading', { name: 'Yes, it is working.' }).waitFor();
  // What the server is asked for while it goes down would be an error instead.
  for (const title of [...fromMetrics, 'Live tail']) await panelState(page, title, 'live');
  const before = await tileValue(page, 'Requests');
  const pageLoads = requests.filter((url) => url === `${pages.server.url}/`).length;

  await pages.server.down();
  await page.getByRole('heading', { name: 'Cannot tell: the connection to Nowcast is lost.' }).waitFor();
  await page.getByText('Last known: Yes, it is working.').waitFor();
  await page.locator('[data-connection="reconnecting"]').waitFor();
  for (const title of allPanels) await panelState(page, title, 'disconnected');
  await panel(page, 'Requests')
    .getByText(/As of \d\d:\d\d:\d\d$/)
    .waitFor();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const part of [
      'section[data-level]',
      '[data-panel="Requests"]',
      '[data-panel="tile Latency p95"]',
    ]) {
      await expectAccessible(page, `disconnected page, ${colorScheme}`, part);
    }
  }

  await pages.server.up();
  // Before the page is back, as other machines would.
  await pages.server.post(...events(7, () => ({ prediction_class: 'meanwhile' })));
  await live(page);
  await eventually(() => tileValue(page, 'Requests')).toBe(before + 7);
  for (const title of [...fromMetrics, 'Live tail']) await panelState(page, title, 'live');
  await panelState(page, 'Open alerts', 'empty');
  await panel(page, 'Live tail').locator('li', { hasText: 'meanwhile' }).first().waitFor();
  // And it listens again.
  await pages.server.post(event({ prediction_class: 'afterwards' }));
  await eventually(() => tileValue(page, 'Requests')).toBe(before + 8);
  await panel(page, 'Live tail').locator('li', { hasText: 'afterwards' }).waitFor();
  expect(requests.filter((url) => url === `${pages.server.url}/`).length).toBe(pageLoads);
  expect(errors).toEqual([]);
  await close();
});

test('while figures, alerts or events load, their panels say so', async () => {
  const { page, close } = await openPage(pages.browser, pages.server.url, {
    before: async (page) => {
      await neverGiveUp(page);
      // Never answered.
      for (const url of [metrics, alerts, logs]) await page.route(url, () => undefined);
    },
  });
  await page.getByRole('heading', { name: 'Looking …' }).waitFor();
  for (const title of [...firstPanels, 'Open alerts']) await panelState(page, title, 'loading');
  await showTail(page);
  await panelState(page, 'Live tail', 'loading');
  await close();
});

test('alerts that hang do not hold up the figures', async () => {
  const { page, close } = await openPage(pages.browser, pages.server.url, {
    before: async (page) => {
      await neverGiveUp(page);
      await page.route(alerts, () => undefined);
    },
  });
  await live(page);
  await panelState(page, 'Requests', 'live');
  await panelState(page, 'Open alerts', 'loading');
  await close();
});

test('figures that cannot be loaded are an error with its reason, and come by themselves when they can', async () => {
  const { page, close } = await openPage(pages.browser, pages.server.url, {
    before: (page) =>
      page.route(metrics, (route) => route.fulfill({ status: 500, json: { message: 'statement timeout' } })),
  });
  await page.getByRole('heading', { name: 'Cannot tell: the figures could not be loaded.' }).waitFor();
  for (const title of firstPanels) await panelState(page, title, 'error');
  await panel(page, 'Latency').getByText('Could not load: statement timeout').waitFor();
  await expectAccessible(page, 'page with errors');
  const again = page.waitForRequest(metrics);
  await panel(page, 'Latency').getByRole('button', { name: 'Try now' }).click();
  await again;
  await page.unroute(metrics);
  for (const title of fromMetrics) await panelState(page, title, 'live');
  await close();
});

test('alerts that cannot be loaded are an error of their own, and no good news', async () => {
  const { page, close } = await openPage(pages.browser, pages.server.url, {
    before: (page) =>
      page.route(alerts, (route) => route.fulfill({ status: 503, json: { message: 'busy' } })),
  });
  await panelState(page, 'Open alerts', 'error');
  await panelState(page, 'Requests', 'live');
  await page.getByText('The open alerts could not be loaded.').waitFor();
  await page.unroute(alerts);
  await panelState(page, 'Open alerts', 'empty');
  await expectWorking(page);
  await close();
});

test('a longer range that cannot be loaded is an error, and repairs itself', async () => {
  const { page, close } = await pages.open();
  await panelState(page, 'Requests', 'live');
  await page.route(metrics, (route) => route.abort());
  await page.getByRole('button', { name: '6 h, last 6 hours' }).click();
  await panelState(page, 'Requests', 'error');
  await panel(page, 'Requests').getByText('The server does not answer.').waitFor();
  await page.unroute(metrics);
  await panelState(page, 'Requests', 'live');
  await close();
});

test('the tail shows what went wrong with it, and an empty tail says that it is empty', async () => {
  const { page, close } = await pages.open({
    before: (page) =>
      page.route(logs, (route) =>
        route.request().url().includes('limit=1') && !route.request().url().includes('limit=1&')
          ? route.continue()
          : route.request().url().includes('select=timestamp')
            ? route.continue()
            : route.fulfill({ status: 500, json: { message: 'no rows today' } }),
      ),
  });
  await showTail(page);
  await panelState(page, 'Live tail', 'error');
  await page.unroute(logs);
  await page.goto(`${pages.server.url}/?model=nobody`);
  await live(page);
  await panelState(page, 'Live tail', 'empty');
  for (const title of ['Open alerts']) await panelState(page, title, 'empty');
  await close();
});

test('a window without an event is empty, not broken', async () => {
  const { page, close } = await pages.open({
    before: (page) => page.route(metrics, (route) => route.fulfill({ json: [] })),
  });
  for (const title of ['Requests', 'Latency', 'Error rate', 'Model versions', 'tile Requests'])
    await panelState(page, title, 'empty');
  await close();
});

test('after a silent break of the line everything is stale until it has been loaded anew', async () => {
  let sockets: WebSocketRoute[] = [];
  const { page, close } = await pages.open({
    before: async (page) => {
      await neverGiveUp(page);
      await page.routeWebSocket(/realtime/, (socket) => {
        socket.connectToServer();
        sockets.push(socket);
      });
    },
  });
  await showTail(page);
  for (const title of [...fromMetrics, 'Live tail']) await panelState(page, title, 'live');
  await panelState(page, 'Open alerts', 'empty');
  let answer = () => {};
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  for (const url of [metrics, alerts, logs])
    await page.route(url, (route) => held.then(() => route.continue()));
  const broken = sockets;
  sockets = [];
  for (const socket of broken) await socket.close({ code: 1012 });
  for (const title of allPanels) await panelState(page, title, 'stale');
  await panel(page, 'Requests').getByText('Catching up').waitFor();
  answer();
  for (const title of fromMetrics) await panelState(page, title, 'live');
  await live(page);
  await close();
});

test('a database that does not answer is told on the Live page until it is back', async () => {
  await pages.server.post(event());
  let away = true;
  const { page, errors, close } = await pages.open({
    before: (page) =>
      page.routeWebSocket(/realtime/, (socket) => {
        const server = socket.connectToServer();
        server.onMessage((frame) =>
          socket.send(
            away ? String(frame).replace('"database":"connected"', '"database":"unreachable"') : frame,
          ),
        );
      }),
  });
  await page
    .getByRole('heading', { name: 'Cannot tell: the database of Nowcast does not answer.' })
    .waitFor();
  await page.getByText('Last known: Yes, it is working.').waitFor();
  await page.getByText('Nothing new is known since.').waitFor();
  await expectAccessible(page, 'page without a database', 'section[data-level]');
  await page.getByRole('link', { name: 'Pipeline', exact: true }).last().waitFor();
  // The server tells it with its next test event.
  away = false;
  await expectWorking(page);
  await page.getByText('This page is up to date.').waitFor();
  expect(errors).toEqual([]);
  await close();
});

test('a socket that died in a sleep is found out and replaced', async () => {
  let dead = false;
  let opened = 0;
  let phases = async (): Promise<string[]> => [];
  let posted = () => {};
  const afterPost = new Promise<void>((resolve) => {
    posted = resolve;
  });
  const { page, close } = await pages.open({
    before: async (page) => {
      phases = await recordPhases(page);
      await page.routeWebSocket(/realtime/, async (socket) => {
        const mine = ++opened;
        // The next one opens when there is something that the first one missed.
        if (mine > 1) await afterPost;
        const upstream = socket.connectToServer();
        // As when the other side is gone without a goodbye: nothing arrives any more.
        socket.onMessage((message) => (dead && mine === 1 ? undefined : upstream.send(message)));
        upstream.onMessage((message) => (dead && mine === 1 ? undefined : socket.send(message)));
      });
    },
  });
  await panelState(page, 'Requests', 'live');
  const before = await tileValue(page, 'Requests');
  dead = true;
  await page.evaluate(() => document.dispatchEvent(new Event('resume')));
  await pages.server.post(event());
  posted();
  await eventually(() => tileValue(page, 'Requests')).toBe(before + 1);
  await live(page);
  expect((await phases()).join()).toContain('live,doubtful,reconnecting,catchingUp,live');
  expect(opened).toBe(2);
  await close();
});

test('time slept through does not look like time in which nothing happened', async () => {
  let asleep = false;
  // So that what is known last is good.
  await pages.server.post(event());
  const { page, close } = await pages.open({
    before: async (page) => {
      await page.routeWebSocket(/realtime/, (socket) => {
        if (asleep) return socket.close();
        const upstream = socket.connectToServer();
        socket.onMessage((message) => (asleep ? undefined : upstream.send(message)));
        upstream.onMessage((message) => (asleep ? undefined : socket.send(message)));
      });
      await page.addInitScript(() => {
        const real = Date.now;
        let sleptMs = 0;
        Date.now = () => real() + sleptMs;
        Object.assign(window, {
          sleep: (ms: number) => {
            sleptMs += ms;
          },
        });
      });
    },
  });
  await panelState(page, 'Requests', 'live');
  const before = await tileValue(page, 'Requests');
  for (const url of [metrics, alerts, logs]) await page.route(url, (route) => route.abort());
  asleep = true;
  await page.evaluate(() => (window as unknown as { sleep(ms: number): void }).sleep(5 * 3_600_000));
  const fellAsleepAt = new Date();
  for (const title of allPanels) await panelState(page, title, 'disconnected');
  const asOf = await panel(page, 'Requests')
    .getByText(/^Disconnected\. As of/)
    .textContent();
  const [, hours, minutes] = /(\d\d):(\d\d):\d\d$/.exec(asOf ?? '')!;
  const agoMinutes =
    fellAsleepAt.getHours() * 60 + fellAsleepAt.getMinutes() - Number(hours) * 60 - Number(minutes);
  expect((agoMinutes + 1_440) % 1_440).toBeLessThan(2);
  expect(await tileValue(page, 'Requests')).toBe(before);
  await page.getByText('Last known: Yes, it is working.').waitFor();

  asleep = false;
  for (const url of [metrics, alerts, logs]) await page.unroute(url);
  await pages.server.post(event());
  await live(page);
  await eventually(() => tileValue(page, 'Requests')).toBe(before + 1);
  await close();
});

test('without a network the page says that this device is offline', async () => {
  const { page, context, close } = await pages.open();
  await context.setOffline(true);
  await page.getByRole('heading', { name: 'Cannot tell: this device is offline.' }).waitFor();
  await context.setOffline(false);
  await live(page);
  await expectWorking(page);
  await close();
});

test('on the narrowest phones the header tells the connection in a word, with every view beside it', async () => {
  const { page, context, close } = await pages.open();
  const header = page.getByRole('banner');
  const fits = async (word: string) => {
    for (const width of [320, 360, 390]) {
      await page.setViewportSize({ width, height: 700 });
      await header.getByText(word, { exact: true }).filter({ visible: true }).first().waitFor();
      // How much of something lies outside of the screen, or is scrolled away inside of the header.
      const hidden = await header.evaluate((element) =>
        [...element.querySelectorAll('*')]
          // What only screen readers get.
          .filter((part) => part.clientWidth > 1)
          .map((part) => {
            const { left, right } = part.getBoundingClientRect();
            return Math.max(part.scrollWidth - part.clientWidth, -left, right - window.innerWidth);
          })
          .filter((pixels) => pixels > 0.5),
      );
      expect(hidden, `${word} at ${width} px`).toEqual([]);
    }
  };
  await fits('Live');
  await context.setOffline(true);
  await page.locator('[data-connection="offline"]').waitFor();
  await fits('Offline');
  await expectAccessible(page, 'offline on a phone', 'header');
  await context.setOffline(false);
  await live(page);
  // Longer words take no more of the line.
  await pages.server.down();
  await page.locator('[data-connection="reconnecting"]').waitFor();
  await fits('Reconnecting');
  await close();
});
