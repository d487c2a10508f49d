// Names and values as nobody would choose them, on the page of live values: it stays a page.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const LONG = 'long'.repeat(250);
const MARKUP = '<b>a</b>\u202egnp.exe\n';
const VALUES = [1e308, -1e308, 5e-324, 0, 123_456_789, 12.5].map((value, index) => ({
  name: `${'very_'.repeat(20)}long_name_${index}`, labels: { site: LONG, 'مرحبا': 'עברית (1)', steering: MARKUP }, value,
}));

for (const [width, colorScheme] of [[320, 'light'], [700, 'dark'], [1600, 'light']]) {
  test(`what is odd stays within a page of ${width} pixels`, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const view = { viewport: { width, height: 800 }, colorScheme, timezoneId: 'Pacific/Kiritimati', locale: 'ar-EG' };
    const { server, page, faults } = await openPage(t, [], view);
    const body = VALUES.map((value) => JSON.stringify(value)).join('\n');
    const sent = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body });
    assert.equal(sent.status, 200);
    const wrong = `sum(${LONG}{a="${LONG}`;
    const parameters = new URLSearchParams([...VALUES.slice(0, 3).map(({ name }) => ['q', name]), ['q', `${VALUES[0].name} * 10`], ['q', wrong]]);
    await page.goto(`${server.url}/#/live?${parameters}`);
    await page.reload();
    const list = page.getByRole('region', { name: 'Live values' });
    for (const text of ['1e308', '-1e308', '4.941e-324', '123,500,000']) await list.locator('summary .value').getByText(text, { exact: true }).waitFor();
    await list.locator('summary').first().click();
    await list.getByText('steering=<b>a</b>\\u202egnp.exe\\n').first().waitFor();
    const panels = page.locator('.plot');
    await panels.nth(1).getByRole('cell').getByText('-1e308').first().waitFor();
    // Ten times as much is infinite.
    await panels.nth(3).getByRole('cell').getByText('Inf').first().waitFor();
    await panels.nth(4).getByRole('alert').waitFor();
    await panels.nth(2).locator('canvas').waitFor();
    await shoot(page, `live-odd-${width}`);
    const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= window, `${content} pixels wide`);
    assert.equal(await page.locator('b b, bdi b').count(), 0, 'what is written in a label is no markup');
    assert.deepEqual(faults, []);
  });
}
