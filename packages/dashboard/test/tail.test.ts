import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { ago, event, events, eventually, neverGiveUp, panel, panelState, tileValue } from './support/live.ts';
import { startPages } from './support/pages.ts';

const pages = startPages({ prepare: (server) => server.post(event()) });

test('the tail pauses, resumes and stops listening when it is not seen', async () => {
  const joins: string[] = [];
  const { page, close } = await pages.open({
    before: async (opened) => {
      opened.on('websocket', (socket) =>
        socket.on('framesent', ({ payload }) => {
          const [, , topic, name] = JSON.parse(String(payload)) as [string, string, string, string];
          if (topic.includes('tail')) joins.push(name);
        }),
      );
    },
  });
  const tail = panel(page, 'Live tail');
  // On a slow server a client asks to join again: that is no leaving.
  await eventually(() => [...new Set(joins)]).toEqual(['phx_join']);
  await page.keyboard.press('p');
  await tail.getByText('paused').waitFor();
  await eventually(() => joins.at(-1)).toBe('phx_leave');
  await pages.server.postOne(event({ prediction_class: 'unseen' }));
  await page.keyboard.press('p');
  await tail.locator('li', { hasText: 'unseen' }).waitFor();
  await eventually(() => joins.at(-1)).toBe('phx_join');
  await page.setViewportSize({ width: 390, height: 500 });
  await page.evaluate(() => scrollTo(0, 0));
  await eventually(() => joins.at(-1)).toBe('phx_leave');
  await close();
});

let sent = 0;
/** So many events of a model, each with a number of its own. */
async function flood(model: string, count: number): Promise<void> {
  await pages.server.post(
    ...events(count, () => ({ model_version: model, prediction_class: `number ${++sent}` })),
  );
}

/** From the beginning: rows leave the list at its end. */
async function recordShown(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const shown = new Set<string>();
    Object.assign(window, { shown });
    new MutationObserver(() => {
      for (const row of document.querySelectorAll('[data-panel="Live tail"] li')) {
        const number = /number \d+/.exec(row.textContent ?? '');
        if (number !== null) shown.add(number[0]);
      }
    }).observe(document, { subtree: true, childList: true });
  });
}

/** Events that the tail has shown, and those that it says it has not. */
async function accountedFor(page: Page): Promise<number> {
  const counted = (await panel(page, 'Live tail').locator('[data-not-shown]').textContent())!;
  const shown = await page.evaluate(() => (window as unknown as { shown: Set<string> }).shown.size);
  return shown + Number(/\+(\d+)/.exec(counted.replaceAll(',', ''))?.[1] ?? 0);
}

test('a flood does not drown the tail: it shows a sample and counts the rest', async () => {
  const { page, close } = await pages.open({ path: '/?model=flood', before: recordShown });
  await panelState(page, 'Live tail', 'empty');
  for (let batch = 0; batch < 3; batch++) await flood('flood', 1_000);
  await eventually(() => accountedFor(page)).toBe(3_000);
  expect(await panel(page, 'Live tail').locator('li').count()).toBeLessThanOrEqual(120);
  await close();
});

test('what comes while the tail looks for a sample is counted too', async () => {
  let looks = 0;
  let answer = () => {};
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const { page, close } = await pages.open({
    path: '/?model=slow-look',
    before: async (page) => {
      await neverGiveUp(page);
      await recordShown(page);
    },
  });
  await panelState(page, 'Live tail', 'empty');
  await page.route(/inference_logs\?select=\*&/, async (route) => {
    looks++;
    await held;
    await route.continue();
  });
  await flood('slow-look', 1_000);
  await eventually(() => looks).toBe(1);
  await flood('slow-look', 1_000);
  await eventually(() => tileValue(page, 'Requests')).toBe(2_000);
  answer();
  await eventually(() => accountedFor(page)).toBe(2_000);
  await close();
});

test('what comes while the tail subscribes again after a flood is counted too', async () => {
  let joins = 0;
  let letJoin = () => {};
  const held = new Promise<void>((resolve) => {
    letJoin = resolve;
  });
  const { page, close } = await pages.open({
    path: '/?model=second-flood',
    before: async (page) => {
      await recordShown(page);
      await page.routeWebSocket(/realtime/, (socket) => {
        const upstream = socket.connectToServer();
        socket.onMessage(async (message) => {
          const [, , topic, name] = JSON.parse(String(message)) as [string, string, string, string];
          if (topic.includes('tail') && name === 'phx_join' && ++joins > 1) await held;
          upstream.send(message);
        });
      });
    },
  });
  await panelState(page, 'Live tail', 'empty');
  const before = sent;
  await flood('second-flood', 1_000);
  // Few enough that the tail subscribes again; a slow one asks more than once.
  await eventually(async () => {
    await flood('second-flood', 1);
    return joins;
  }).toBeGreaterThan(1);
  await flood('second-flood', 500);
  await eventually(() => tileValue(page, 'Requests')).toBe(sent - before);
  letJoin();
  await eventually(() => accountedFor(page)).toBe(sent - before);
  await close();
});

test('an event that the tail looked up before its row came is shown once', async () => {
  const frames: (() => void)[] = [];
  let areHeld = true;
  let look = () => {};
  const mayLook = new Promise<void>((resolve) => {
    look = resolve;
  });
  const { page, requests, close } = await pages.open({
    path: '/?model=twice',
    before: async (page) => {
      await neverGiveUp(page);
      await page.routeWebSocket(/realtime/, (socket) => {
        const upstream = socket.connectToServer();
        socket.onMessage((message) => upstream.send(message));
        upstream.onMessage((message) => {
          const [, , topic, name] = JSON.parse(String(message)) as [string, string, string, string];
          if (areHeld && topic.includes('tail') && name === 'postgres_changes')
            frames.push(() => socket.send(message));
          else socket.send(message);
        });
      });
      await page.route(/inference_logs\?select=\*&/, async (route) => {
        await mayLook;
        await route.continue();
      });
    },
  });
  await eventually(() => requests.some((url) => url.includes('inference_logs?select=*&'))).toBe(true);
  // Of a time that the question, which was asked before, reaches to.
  const first = { timestamp: ago(1), prediction_class: 'the first' };
  await pages.server.postOne(event({ model_version: 'twice', ...first }));
  await eventually(() => frames.length).toBe(1);
  look();
  const rows = panel(page, 'Live tail').locator('li');
  await rows.filter({ hasText: 'the first' }).waitFor();
  areHeld = false;
  for (const send of frames) send();
  await pages.server.postOne(event({ model_version: 'twice', prediction_class: 'the second' }));
  await rows.filter({ hasText: 'the second' }).waitFor();
  expect(await rows.count()).toBe(2);
  await close();
});
