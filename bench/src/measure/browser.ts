/** Chromium from npm, and the page in it. */
import chromium from '@sparticuz/chromium';
import { type Browser, type CDPSession, type Page, chromium as playwright } from 'playwright-core';
import type { NowcastSide } from '../side/nowcast.ts';

export async function launchBrowser(): Promise<Browser> {
  return await playwright.launch({
    executablePath: await chromium.executablePath(),
    // Not the package's own arguments, which are for AWS Lambda.
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  });
}

/** A view, live, in a context of its own: nothing is in its cache. */
export async function openView(browser: Browser, { port }: NowcastSide, path = '/'): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const opened = await context.newPage();
  await opened.goto(`http://127.0.0.1:${port}${path}`);
  await opened.locator('[data-connection="live"]').waitFor();
  return opened;
}

export interface PageFigures {
  atMs: number;
  /** CPU time of the main thread: the wall clock would count what others take from it. */
  busySeconds: number;
  heapMb: number;
  /** Those that scripts hold without their being in the document included. */
  nodes: number;
  listeners: number;
}

/** What the page costs its browser, read behind a full garbage collection. */
export class PageMeter {
  readonly #devTools: CDPSession;

  private constructor(devTools: CDPSession) {
    this.#devTools = devTools;
  }

  static async of(page: Page): Promise<PageMeter> {
    const devTools = await page.context().newCDPSession(page);
    await devTools.send('Performance.enable', { timeDomain: 'threadTicks' });
    return new PageMeter(devTools);
  }

  async read(): Promise<PageFigures> {
    await this.#devTools.send('HeapProfiler.collectGarbage');
    const { metrics } = await this.#devTools.send('Performance.getMetrics');
    const of = (name: string) => metrics.find((metric) => metric.name === name)!.value;
    return {
      atMs: performance.now(),
      busySeconds: of('TaskDuration'),
      heapMb: of('JSHeapUsedSize') / 1e6,
      nodes: of('Nodes'),
      listeners: of('JSEventListeners'),
    };
  }

  /** Trees of nodes that are in no document and that scripts still hold. */
  async detachedTrees(): Promise<number> {
    const { detachedNodes } = await this.#devTools.send('DOM.getDetachedDomNodes');
    return detachedNodes.length;
  }
}

/** Share of the main thread's time, in percent. */
export function busyPercent(before: PageFigures, after: PageFigures): number {
  return (100_000 * (after.busySeconds - before.busySeconds)) / (after.atMs - before.atMs);
}
