import type { Browser, Page } from 'playwright-core';
import { expect } from 'vitest';
import { requestTimeoutMs } from '../../src/data/client.ts';
import { openPage, type WatchedPage, waitAtMostMs } from './browser.ts';
import type { Event, TestServer } from './server.ts';

type Options = Parameters<typeof openPage>[2] & { path?: string };

/** Waits until what is asked for is so. */
export function eventually<T>(ask: () => T | Promise<T>) {
  return expect.poll(ask, { interval: 25, timeout: waitAtMostMs });
}

/** The product's page, opened and live. */
export async function openLive(
  browser: Browser,
  server: TestServer,
  options: Options = {},
): Promise<WatchedPage> {
  const { path = '/', ...others } = options;
  const opened = await openPage(browser, server.url + path, others);
  await live(opened.page);
  // Until a frame of it was on the screen, a browser drops what is typed.
  await firstPaintMs(opened.page);
  return opened;
}

/** When the page was first on the screen, which is later than in the document. */
export async function firstPaintMs(page: Page): Promise<number> {
  return await page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        new PerformanceObserver((list) => {
          const [entry] = list.getEntriesByName('first-contentful-paint');
          if (entry !== undefined) resolve(entry.startTime);
        }).observe({ type: 'paint', buffered: true });
      }),
  );
}

export async function live(page: Page): Promise<void> {
  await page.locator('[data-connection="live"]').waitFor();
}

export function panel(page: Page, title: string) {
  return page.locator(`[data-panel="${title}"]`);
}

/** The value on a tile, as a number. */
export async function tileValue(page: Page, label: string): Promise<number> {
  const text = await panel(page, `tile ${label}`).locator('output').textContent();
  return Number((text ?? '').replaceAll(',', ''));
}

export async function panelState(page: Page, title: string, state: string): Promise<void> {
  await page.locator(`[data-panel="${title}"][data-state="${state}"]`).waitFor();
}

/** A request that a test holds up stays under way for as long as the test looks, not until the page gives it up. */
export async function neverGiveUp(page: Page): Promise<void> {
  await page.addInitScript((requestTimeoutMs) => {
    const real = window.setTimeout;
    const patient = (...given: Parameters<typeof window.setTimeout>) =>
      given[1] === requestTimeoutMs ? 0 : real.apply(window, given);
    Object.assign(window, { setTimeout: patient });
  }, requestTimeoutMs);
}

/** What the connection was said to be, one after the other: what is there for a moment is missed by whoever asks. */
export async function recordPhases(page: Page): Promise<() => Promise<string[]>> {
  await page.addInitScript(() => {
    const phases: string[] = [];
    Object.assign(window, { phases });
    new MutationObserver(() => {
      const phase = document.querySelector('[data-connection]')?.getAttribute('data-connection');
      if (phase != null && phase !== phases.at(-1)) phases.push(phase);
    }).observe(document, { subtree: true, childList: true, attributes: true });
  });
  return () => page.evaluate(() => (window as unknown as { phases: string[] }).phases);
}

/** The page comes to rest: for two seconds of its own time it asks for nothing, once what was under way has ended. */
export async function expectRest(page: Page, requests: readonly string[]): Promise<void> {
  await eventually(async () => {
    const before = requests.length;
    // The clock of the page moves by minutes, its own time by milliseconds.
    await page.evaluate(async () => {
      const frames = performance.now() + 2_000;
      while (performance.now() < frames) await new Promise(requestAnimationFrame);
    });
    return requests.slice(before);
  }).toEqual([]);
}

/** An ordinary event, now. */
export function event(differences: Partial<Event> = {}): Event {
  return { model_version: 'ocr-v1', inference_time_ms: 100, confidence_score: 0.95, ...differences };
}

export function events(count: number, differences: (index: number) => Partial<Event> = () => ({})): Event[] {
  return Array.from({ length: count }, (_, index) => event(differences(index)));
}

/** Minutes ago, as an event's timestamp. */
export function ago(minutes: number): string {
  return new Date(Date.now() - minutes * 60_000).toISOString();
}

/** Nothing but what is on the screen may be wider than it. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  // Charts take a new width a frame after the page does.
  await eventually(() =>
    page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth),
  ).toBeLessThanOrEqual(0);
}
