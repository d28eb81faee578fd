import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

interface Finding {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** axe-core finds nothing on the page, or on the part of it that a selector names, that it calls serious or critical. */
export async function expectAccessible(page: Page, where: string, part?: string): Promise<void> {
  await page.evaluate(axe.source);
  const findings = await page.evaluate(async (part) => {
    const axe = (
      window as unknown as {
        axe: { run(on: string | Document, options: object): Promise<{ violations: Finding[] }> };
      }
    ).axe;
    return (await axe.run(part ?? document, { resultTypes: ['violations'] })).violations;
  }, part);
  const serious = findings
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`,
    );
  expect(serious, where).toEqual([]);
}
