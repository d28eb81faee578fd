import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { expectAccessible } from './support/axe.ts';
import { panel, panelState } from './support/live.ts';
import { startPages } from './support/pages.ts';

/** Slack's end of an incoming webhook, on loopback. */
const received: string[] = [];
let answer = 200;
const slack = createServer((request, response) => {
  let body = '';
  request.on('data', (piece) => {
    body += piece;
  });
  request.on('end', () => {
    received.push(body);
    response.writeHead(answer).end(answer === 200 ? 'ok' : 'no_service');
  });
});
await new Promise<void>((resolve) => slack.listen(0, '127.0.0.1', resolve));
afterAll(() => new Promise((resolve) => slack.close(resolve)));
const { port } = slack.address() as AddressInfo;

const pages = startPages({
  env: {
    SLACK_WEBHOOK_URL: `http://127.0.0.1:${port}/services/T/B/secret`,
    NOWCAST_WEBHOOK_ALLOW: '127.0.0.1',
  },
});

test('a channel is tried from the page, which tells whether the message arrived and never its secret', async () => {
  const { page, close } = await pages.open({ path: '/alerts' });
  const channel = panel(page, 'Channels').locator('li').first();
  await panelState(page, 'Channels', 'live');
  await channel.getByText('Not tried yet').waitFor();
  await channel.getByRole('button', { name: /^Send a test to / }).click();
  await page
    .locator('[data-notice]')
    .getByText(/^The test message to .* was delivered\.$/)
    .waitFor();
  expect(received.length).toBe(1);

  answer = 404;
  await channel.getByRole('button', { name: /^Send a test to / }).click();
  await page.locator('[data-notice]').getByText('was not delivered').waitFor();
  expect(await page.content()).not.toContain('services/T/B');
  await expectAccessible(page, 'channels');
  await close();
});

test('a channel that begins to fail by itself is shown to whoever looks, and that it works again', async () => {
  answer = 200;
  const { page, close } = await pages.open({ path: '/alerts' });
  const channel = panel(page, 'Channels').locator('li').first();
  await channel.getByRole('button', { name: /^Send a test to / }).click();
  await channel.getByText('Working', { exact: true }).waitFor();
  answer = 503;
  await pages.server.insert('system_alerts', {
    severity: 'critical',
    alert_type: 'error_rate',
    message: 'a third of the requests fail',
    rule: 'test_channels',
    labels: { model_version: 'v2' },
  });
  await channel.getByText('Failing', { exact: true }).waitFor();
  await channel.getByText('1 message waiting: answered 503').waitFor();
  answer = 200;
  await channel.getByText('Working', { exact: true }).waitFor();
  await close();
});
