import { expect, test } from 'vitest';
import { event, eventually, panel, panelState } from './support/live.ts';
import { startPages } from './support/pages.ts';

const pages = startPages();

const attack = 'window.attacked=1';
const corpus = [
  `<script>${attack}</script>`,
  `"><img src=x onerror="${attack}">`,
  `'><svg onload=${attack}>`,
  `</title></style></textarea><script>${attack}</script>`,
  `<iframe srcdoc="<script>parent.${attack}</script>">`,
  `javascript:${attack}`,
  `<a href="javascript:${attack}">x</a>`,
  `{{constructor.constructor('${attack}')()}}`,
  `\${${attack}}`,
  `<math><mtext><table><mglyph><style><img src=x onerror=${attack}>`,
  `<details open ontoggle=${attack}>`,
  `&lt;script&gt;${attack}&lt;/script&gt;`,
  `__proto__`,
  `constructor`,
  `\u202e\u0007<b>x`,
  `url(javascript:${attack})`,
];

const strict = "default-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'";

test('text from events never runs, in no field and on no part of the page, and the page needs no hole in a strict CSP', async () => {
  const { page, errors, close } = await pages.open({
    before: async (page) => {
      await page.route(/\/(\?.*)?$/, async (route) => {
        const response = await route.fetch();
        await route.fulfill({
          response,
          headers: { ...response.headers(), 'content-security-policy': strict },
        });
      });
      await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
          console.error(`CSP: ${violatedDirective} ${blockedURI}`);
        });
      });
    },
  });
  for (const text of corpus) {
    await pages.server.post(
      event({
        model_version: text,
        prediction_class: text,
        error_message: text,
        is_error: true,
        user_id: text,
        feature: text,
        variant: text,
        session_id: text,
        trace_id: text,
        provider: text,
        metadata: { [text]: text },
      }),
    );
    await pages.server.insert('system_alerts', {
      severity: 'critical',
      alert_type: text,
      message: text,
      metadata: { model_version: text, [text]: text },
      rule: text,
    });
  }
  // Each as it was sent, in the table, the alerts and the tail.
  for (const text of corpus) {
    await page
      .locator('[data-row]')
      .filter({ has: page.getByText(text, { exact: true }) })
      .first()
      .waitFor();
    await page.locator('[data-alert] p').filter({ hasText: text }).first().waitFor();
  }
  // Toasts of critical alerts lie over the tail.
  while ((await page.locator('[data-toast]').count()) > 0)
    await page.locator('[data-toast]').first().getByRole('button', { name: 'Dismiss' }).click();
  // It rests while it is not seen, and sixteen alerts may stand above it by now.
  await panel(page, 'Live tail').scrollIntoViewIfNeeded();
  await panelState(page, 'Live tail', 'live');
  await panel(page, 'Live tail').locator('li button').first().click();
  await page.getByRole('dialog').getByText('user_id').waitFor();
  await page.keyboard.press('Escape');

  const [first] = corpus;
  await page.goto(
    `${pages.server.url}/?model=${encodeURIComponent(first!)}&latency=${encodeURIComponent(first!)}`,
  );
  await panelState(page, 'Latency', 'live');
  await page.getByRole('button', { name: 'Table: Latency' }).click();
  await panel(page, 'Latency').getByRole('row').nth(1).getByRole('button').click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('summary').first().click();
  await dialog.getByText(first!).first().waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  const chart = panel(page, 'Requests').locator('.recharts-surface').first();
  // Whatever is drawn anew meanwhile.
  await eventually(async () => {
    for (const x of [150, 151]) await chart.hover({ position: { x, y: 60 } });
    return (await panel(page, 'Requests').locator('.recharts-tooltip-wrapper').textContent()) ?? '';
  }).toContain(first!);

  expect(await page.evaluate(() => (window as { attacked?: number }).attacked)).toBeUndefined();
  expect(errors).toEqual([]);
  await close();
});
