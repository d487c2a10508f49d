// Nothing moves under whoever looks: what is new waits, is counted, and comes when it is asked for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, postAlerts, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const alert = (name, severity = 'warning', more = {}) => ({ labels: { alertname: name, severity, site: 'oslo' }, annotations: { summary: `about ${name}` }, ...more });
const ALERTS = ['A', 'B', 'C'].map((name, index) => alert(name, 'warning', { startsAt: new Date(Date.now() - (index + 1) * 60_000).toISOString() }));

function proves(name, body, view = {}) {
  test(name, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const { server, page, faults } = await openPage(t, ALERTS, view);
    await page.locator('.alert', { hasText: 'about C' }).waitFor();
    await body({ server, page });
    assert.deepEqual(faults, []);
  });
}

const names = (page) => page.locator('.alert .name').allTextContents();
const waits = (page, text) => page.locator('.waits button', { hasText: text }).waitFor();
const row = (page, name) => page.locator('.alert', { hasText: `about ${name}` });

/** All of it comes at once where nobody looks. */
proves('rows move where nobody is at them', async ({ server, page }) => {
  await postAlerts(server, [alert('New', 'critical')]);
  await row(page, 'New').waitFor();
  assert.deepEqual(await names(page), ['New', 'A', 'B', 'C']);
});

/** What comes while somebody is at the list, who `begins` and `ends` that. */
const attentions = {
  'the pointer is over them': {
    begins: (page) => row(page, 'B').hover(),
    ends: (page) => page.mouse.move(5, 5),
  },
  'the focus is in them': {
    begins: (page) => row(page, 'B').locator('.name').focus(),
    ends: (page) => page.evaluate(() => document.activeElement.blur()),
  },
  'something of them is selected': {
    begins: (page) => page.evaluate(() => getSelection().selectAllChildren(document.querySelector('.alert .summary'))),
    ends: (page) => page.evaluate(() => getSelection().removeAllRanges()),
  },
};

for (const [what, { begins, ends }] of Object.entries(attentions)) {
  proves(`while ${what} rows stay, what is new waits, and what changes shows in place`, async ({ server, page }) => {
    await begins(page);
    const before = await row(page, 'B').boundingBox();
    await postAlerts(server, [alert('New', 'critical'), alert('Later'), { ...ALERTS[0], endsAt: new Date(Date.now() - 1000).toISOString() }]);
    await waits(page, '2 new, some critical, 1 gone · show');
    // What has gone from its lane says so where it is, in the past tense.
    await row(page, 'A').locator('.state', { hasText: 'resolved' }).waitFor();
    await row(page, 'A').getByText('was firing for 1 min').waitFor();
    assert.deepEqual(await names(page), ['A', 'B', 'C']);
    assert.deepEqual(await row(page, 'B').boundingBox(), before);
    await shoot(page, `held-${what.split(' ')[1]}`);
    // The counts of the whole board go on.
    await page.locator('.totals [data-look="critical"] b', { hasText: '1' }).waitFor();
    await ends(page);
    await row(page, 'New').waitFor();
    assert.deepEqual(await names(page), ['New', 'Later', 'B', 'C']);
  });
}

proves('what waits comes by a key, and the focus stays where it was', async ({ server, page }) => {
  await row(page, 'B').locator('.name').focus();
  await postAlerts(server, [alert('New', 'critical')]);
  await waits(page, '1 new, some critical · show');
  await page.keyboard.press('n');
  await row(page, 'New').waitFor();
  assert.deepEqual(await names(page), ['New', 'A', 'B', 'C']);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'B');
  // Who is still at the list is not surprised by the next one either.
  await postAlerts(server, [alert('Next', 'critical')]);
  await waits(page, '1 new, some critical · show');
  assert.equal((await names(page)).length, 4);
});

proves('a finger that has touched the list holds it, until it touches elsewhere', async ({ server, page }) => {
  await row(page, 'B').locator('.age').tap();
  await postAlerts(server, [alert('New', 'critical')]);
  await waits(page, '1 new');
  assert.deepEqual(await names(page), ['A', 'B', 'C']);
  await page.locator('.waits button').tap();
  await row(page, 'New').waitFor();
}, { hasTouch: true, viewport: { width: 390, height: 800 } });

proves('a pause holds everything, counts what waits, and ends with all of it', async ({ server, page }) => {
  const pause = page.getByRole('button', { name: 'Pause' });
  await pause.click();
  await page.mouse.move(5, 5);
  const age = await row(page, 'A').locator('.age').textContent();
  await postAlerts(server, [{ ...ALERTS[0], annotations: { summary: 'about A otherwise' } }, alert('New')]);
  await waits(page, /changed, 1 new · show/);
  assert.deepEqual(await names(page), ['A', 'B', 'C']);
  assert.equal(await page.getByText('about A otherwise').count(), 0);
  assert.equal(await row(page, 'A').locator('.age').textContent(), age);
  await page.keyboard.press('p');
  await page.getByText('about A otherwise').waitFor();
  await row(page, 'New').waitFor();
});

proves('a group that is opened moves nothing above it, and lets what waits wait', async ({ server, page }) => {
  await page.mouse.move(5, 5);
  const many = [1, 2, 3].map((shard) => ({ labels: { alertname: 'Many', severity: 'info', shard: String(shard) }, annotations: {} }));
  await postAlerts(server, many);
  const group = page.locator('.group', { hasText: '3 alerts' });
  await group.waitFor();
  await group.hover();
  await postAlerts(server, [alert('New', 'critical')]);
  await waits(page, '1 new');
  const before = await group.boundingBox();
  await group.getByRole('button', { expanded: false }).first().click();
  await page.locator('.alert', { hasText: 'shard=3' }).waitFor();
  assert.deepEqual(await group.boundingBox(), before);
  assert.deepEqual(await names(page), ['A', 'B', 'C', 'Many', 'Many', 'Many']);
  await waits(page, '1 new');
});
