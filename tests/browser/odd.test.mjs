// Alerts and values as nobody would choose them: the page stays a page.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const LONG = 'long'.repeat(500);
const ALERTS = [
  { labels: { alertname: 'Long', site: LONG, severity: LONG }, annotations: { summary: LONG, description: 'words '.repeat(500) } },
  { labels: { alertname: 'مرحبا', site: 'עברית (1)', severity: 'critical' }, annotations: { summary: 'مرحبا بالعالم' } },
  { labels: { alertname: 'Steering', site: '<b>a</b>\u202egnp.exe\n', severity: 'warning' }, annotations: {} },
  { labels: { alertname: '🚀', site: '👩‍👩‍👧‍👦' }, annotations: {} },
];
const VALUES = [1e308, -1e308, 5e-324, 0, 123_456_789, 12.5].map((value, index) => ({
  name: `${'very_'.repeat(20)}long_name_${index}`, labels: { site: LONG }, value,
}));

for (const [width, colorScheme] of [[320, 'light'], [700, 'dark'], [1600, 'light']]) {
  test(`what is odd stays within a page of ${width} pixels`, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const view = { viewport: { width, height: 800 }, colorScheme, timezoneId: 'Pacific/Kiritimati', locale: 'ar-EG' };
    const { server, page, faults } = await openPage(t, ALERTS, view);
    const body = VALUES.map((value) => JSON.stringify(value)).join('\n');
    const headers = { 'content-type': 'application/x-ndjson' };
    const sent = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body });
    assert.equal(sent.status, 200);
    for (const { labels } of ALERTS) await page.locator('.alert', { hasText: labels.alertname }).waitFor();
    for (const text of ['1e308', '-1e308', '4.941e-324', '123,500,000']) {
      await page.locator('.metric-value').getByText(text, { exact: true }).waitFor();
    }
    await page.locator('.alert .labels', { hasText: 'site=<b>a</b>\\u202egnp.exe\\n' }).waitFor();
    await shoot(page, `odd-${width}`);
    const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= window, `${content} pixels wide`);
    const long = page.locator('.alert', { hasText: 'Long' });
    const { height } = await long.boundingBox();
    assert.ok(height < 600, `an alert as high as ${height} pixels`);
    assert.match(await page.locator('.transition time').first().textContent(), /^\d\d:\d\d:\d\d$/);

    // Whoever goes there sees all of it.
    await long.getByRole('button', { name: 'Silence' }).focus();
    assert.ok((await long.boundingBox()).height > height);
    assert.deepEqual(faults, []);
  });
}
