// Alerts and values as nobody would choose them: the page stays a page.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, shoot } from './page.mjs';
import { serve } from './served.mjs';
import { PATIENCE_MS } from './setting.mjs';

const LONG = 'long'.repeat(500);
const ALERTS = [
  { labels: { alertname: 'Long', site: LONG, severity: LONG }, annotations: { summary: LONG, description: 'words '.repeat(500) } },
  { labels: { alertname: 'مرحبا', site: 'עברית (1)', severity: 'critical' }, annotations: { summary: 'مرحبا بالعالم' } },
  { labels: { alertname: 'Steering', site: '<b>a</b>\u202egnp.exe\n', severity: 'warning' }, annotations: {} },
  { labels: { alertname: '🚀', site: '👩‍👩‍👧‍👦' }, annotations: {} },
];

for (const [width, colorScheme, hash] of [[320, 'light', ''], [360, 'dark', '#/alerts?view=grid&by=site'], [700, 'dark', ''], [1600, 'light', ''], [1920, 'light', '#/alerts?wall=1']]) {
  test(`what is odd stays within a page of ${width} pixels${hash && `, at ${hash}`}`, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const view = { viewport: { width, height: 800 }, colorScheme, timezoneId: 'Pacific/Kiritimati', locale: 'ar-EG', hash };
    const { page, faults } = await openPage(t, ALERTS, view);
    await page.getByText('Long').first().waitFor();
    for (const { labels } of hash ? [] : ALERTS) await page.locator('.alert', { hasText: labels.alertname }).waitFor();
    if (!hash) await page.locator('.alert .labels', { hasText: 'site=<b>a</b>\\u202egnp.exe\\n' }).waitFor();
    await shoot(page, `odd-${width}`);
    const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= window, `${content} pixels wide`);
    for (const row of await page.locator('.row').all()) {
      const { height } = await row.boundingBox();
      assert.ok(height < 200, `a row as high as ${height} pixels`);
    }
    assert.deepEqual(faults, []);
  });
}

test('in pages all of it is read', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, faults } = await openPage(t, ALERTS, { viewport: { width: 360, height: 800 } });
  await page.getByRole('button', { name: 'Options' }).click();
  await page.getByLabel('In pages, each row whole').check();
  await page.keyboard.press('Escape');
  const summary = page.locator('.alert', { hasText: 'Long' }).locator('.summary');
  const [shown, whole] = await summary.evaluate((element) => [element.getBoundingClientRect().height, element.getClientRects().length]);
  assert.ok(shown > 1000 || whole > 50, `${shown} pixels in ${whole} lines`);
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${content} pixels wide`);
  await shoot(page, 'odd-paged');
  assert.deepEqual(faults, []);
});

test('on a phone a value is whole, whoever has its alert', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const rules = `groups: [{name: g, rules: [{alert: BoilerHot, expr: boiler_temperature_celsius > 90, labels: {severity: critical}}]}]`;
  const { server, page, post, open } = await serve(t, { rules, view: { viewport: { width: 360, height: 740 } } });
  await post('/v1/samples', JSON.stringify({ name: 'boiler_temperature_celsius', labels: { site: 'oslo' }, value: 1097.25 }));
  const { alerts: [{ fingerprint }] } = await (await fetch(`${server.url}/v1/alerts`)).json();
  await post(`/v1/alerts/${fingerprint}/ack`, JSON.stringify({ by: 'ada' }));
  await open('');
  const row = page.locator('.row.alert', { hasText: 'acknowledged' });
  await row.waitFor();
  const [hidden, outside] = await row.evaluate((element) => {
    const value = element.querySelector('.value');
    return [value.scrollWidth - value.clientWidth, element.scrollWidth - element.clientWidth];
  });
  assert.deepEqual([hidden <= 0, outside <= 0], [true, true], `${hidden} ${outside}`);
});
