import { expect, test } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import { event, events, eventually, expectNoSidewaysScroll, panel, panelState } from './support/live.ts';
import { startPages } from './support/pages.ts';

const pages = startPages();

const wrong = event({ confidence_score: 7 });

async function send(...events: object[]): Promise<unknown> {
  const answer = await fetch(`${pages.server.url}/telemetry/inference/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client: 'checkout', events }),
  });
  return await answer.json();
}

const losses = '**/rest/v1/rpc/loss_accounting*';

test('the pipeline view says that the monitor works, what became of each sender’s events and why, and what it could not load', async () => {
  const { page, errors, close } = await pages.open({ path: '/pipeline' });
  await panelState(page, 'Senders', 'empty');
  await page
    .getByRole('heading', { name: /^The monitor works: data is [\d.]+ m?s old, measured end to end\.$/ })
    .waitFor();
  for (const stage of ['Ingest', 'Store', 'Process', 'Deliver'])
    await page.locator(`[data-stage="${stage}"][data-level="good"]`).waitFor();

  expect(await send(...events(5), wrong, wrong)).toMatchObject({ accepted: 5 });
  await page.getByRole('button', { name: '6 h, last 6 hours' }).click();
  const sender = panel(page, 'Senders').locator('tbody[data-sender="checkout"]');
  const why = sender.getByRole('listitem').filter({ hasText: /rejected: .*confidence_score/ });
  await why.filter({ hasText: /^2 / }).waitFor();
  // Sent, stored, sampled out, duplicate, rejected, dropped; then the reasons.
  await eventually(() => sender.getByRole('row').first().getByRole('cell').allTextContents()).toEqual([
    '7',
    '5',
    '0',
    '0',
    '2',
    '0',
  ]);
  await panelState(page, 'Senders', 'live');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page, `pipeline, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoSidewaysScroll(page);
  await expectAccessible(page, 'pipeline on a phone');

  // Nothing is stored: the server tells that something was lost.
  await send(wrong);
  await why.filter({ hasText: /^3 / }).waitFor();

  await page.route(losses, (route) => route.fulfill({ status: 500, json: { message: 'statement timeout' } }));
  await page.getByRole('button', { name: '24 h, last 24 hours' }).click();
  await panelState(page, 'Senders', 'error');
  await panel(page, 'Senders').getByText('Could not load: statement timeout').waitFor();
  await panelState(page, 'Stages', 'live');
  await expectAccessible(page, 'pipeline with an error');
  await page.unroute(losses);
  await panelState(page, 'Senders', 'live');

  await page.getByRole('link', { name: 'Live' }).click();
  await panelState(page, 'Requests', 'live');
  expect(errors).toEqual([]);
  await close();
});
