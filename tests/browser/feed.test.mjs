// The page of all that happens: as it comes, held while somebody is at it, and read back from the journal.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertOf, postAll } from './crowd.mjs';
import { openPage, postAlerts, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const HOT = { labels: { alertname: 'BoilerHot', site: 'oslo', severity: 'critical' }, annotations: { summary: 'Boiler at 93 °C' } };
const WET = { labels: { alertname: 'CellarWet', site: 'rome', severity: 'warning' }, annotations: {} };
const over = (alert) => ({ ...alert, endsAt: new Date().toISOString() });

const rows = (page) => page.locator('.happening');
const told = (page) => rows(page).evaluateAll((all) => all.map((row) => [row.querySelector('.name').textContent, row.querySelector('.verb').textContent]));
const isTold = (page, expected) => page.waitForFunction(
  (expected) => JSON.stringify([...document.querySelectorAll('.happening')].slice(0, expected.length).map((row) => [row.querySelector('.name').textContent, row.querySelector('.verb').textContent])) === JSON.stringify(expected),
  expected,
);

async function act(server, path, body) {
  const answer = await fetch(`${server.url}/v1/alerts/${path}`, { method: 'POST', body: JSON.stringify(body) });
  assert.ok(answer.ok, await answer.text());
}

test('what happens is told as it comes, the newest first, and leads to its alert', { timeout: 4 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, [HOT], { hash: '#/history', locale: 'en' });
  await isTold(page, [['BoilerHot', 'fires']]);
  const { alerts: [{ fingerprint }] } = await (await fetch(`${server.url}/v1/alerts`)).json();
  await act(server, `${fingerprint}/ack`, { by: 'ada', note: 'on it' });
  await act(server, `${fingerprint}/comments`, { by: 'ada', text: '<b>the pump</b>' });
  await postAlerts(server, [WET]);
  await isTold(page, [['CellarWet', 'fires'], ['BoilerHot', 'ada said'], ['BoilerHot', 'ada took it up'], ['BoilerHot', 'fires']]);
  await page.getByText('<b>the pump</b>').waitFor();
  await postAlerts(server, [over(HOT)]);
  await isTold(page, [['BoilerHot', 'resolved'], ['CellarWet', 'fires']]);
  await shoot(page, 'history');

  await page.getByLabel('What').selectOption('people');
  await isTold(page, [['BoilerHot', 'ada said'], ['BoilerHot', 'ada took it up']]);
  assert.equal(await rows(page).count(), 2);
  await page.getByLabel('What').selectOption('all');
  await page.getByRole('searchbox', { name: 'Filter' }).fill('site="rome"');
  await page.waitForFunction(() => document.querySelectorAll('.happening').length === 1);
  assert.deepEqual(await told(page), [['CellarWet', 'fires']]);
  assert.match(page.url(), /filter=site/);
  await page.getByRole('searchbox', { name: 'Filter' }).fill('');

  await rows(page).first().getByRole('link', { name: 'BoilerHot' }).click();
  await page.locator('dialog.detail', { hasText: 'BoilerHot' }).waitFor();
  assert.ok(page.url().endsWith(`#/alerts/${fingerprint}`));
  // What has happened meanwhile is there when somebody comes back.
  await postAlerts(server, [over(WET)]);
  await page.evaluate(() => { location.hash = '#/history'; });
  await isTold(page, [['CellarWet', 'resolved'], ['BoilerHot', 'resolved']]);
  assert.deepEqual(faults, []);
});

test('while somebody is at it nothing moves, and what is new waits', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, [HOT], { hash: '#/history', locale: 'en' });
  await isTold(page, [['BoilerHot', 'fires']]);
  await rows(page).first().hover();
  await postAlerts(server, [WET]);
  await postAlerts(server, [over(HOT)]);
  const show = page.getByRole('button', { name: '2 new · show' });
  await show.waitFor();
  assert.deepEqual(await told(page), [['BoilerHot', 'fires']]);
  await show.click();
  await isTold(page, [['BoilerHot', 'resolved'], ['CellarWet', 'fires'], ['BoilerHot', 'fires']]);
  await rows(page).first().getByRole('link').focus();
  await postAlerts(server, [over(WET)]);
  await page.getByRole('button', { name: '1 new · show' }).waitFor();
  await page.locator('h1').click();
  await page.evaluate(() => document.activeElement.blur());
  await isTold(page, [['CellarWet', 'resolved']]);
  assert.deepEqual(faults, []);
});

test('what was before is read back, all of it and once, also while more comes', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, [], { locale: 'en' });
  await page.locator('#connection[data-state="live"]').waitFor();
  const all = Array.from({ length: 1_500 }, (_, index) => alertOf(index));
  await postAll(server, all);
  await page.goto('about:blank');
  await page.goto(`${server.url}/#/history`);
  await rows(page).first().waitFor();
  const names = new Set();
  for (let times = 0; names.size < all.length && times < 40; times += 1) {
    if (times === 1) await postAlerts(server, [HOT]);
    for (const text of await page.locator('.happening .labels').allTextContents()) {
      const shard = /shard=(\d+)/.exec(text)?.[1];
      if (shard !== undefined) names.add(shard);
    }
    const older = page.getByRole('button', { name: 'Older' });
    await page.locator('.history [role="status"]', { hasText: 'Reading' }).waitFor({ state: 'detached' });
    if (await older.count() === 0) break;
    await older.click();
  }
  assert.equal(names.size, all.length);
  await page.getByText('What was before is not kept.').waitFor();
  // The list has grown below the pointer, and holds what has come.
  await page.mouse.move(2, 2);
  await isTold(page, [['BoilerHot', 'fires']]);
  const shards = await page.locator('.happening .labels').allTextContents();
  assert.equal(new Set(shards).size, shards.length, 'each is there once');
  assert.deepEqual(faults, []);
});

test('a server without an event says that there is none, and one that goes away leaves what was told', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, [], { hash: '#/history', locale: 'en' });
  await page.getByText('Nothing has happened yet that is kept.').waitFor();
  await shoot(page, 'history-empty');
  await postAlerts(server, [HOT]);
  await isTold(page, [['BoilerHot', 'fires']]);
  await server.end('SIGKILL');
  await page.locator('.history[data-stale]').waitFor();
  assert.deepEqual(await told(page), [['BoilerHot', 'fires']]);
  await server.start();
  await page.locator('.history:not([data-stale])').waitFor();
  await postAlerts(server, [WET]);
  await isTold(page, [['CellarWet', 'fires']]);

  // Who comes to it meanwhile is told why there is nothing, and sees all of it once the server is back.
  await page.evaluate(() => { location.hash = '#/alerts'; });
  await page.reload();
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.route('**/v1/topics?*', (route) => route.abort());
  await page.evaluate(() => { location.hash = '#/history'; });
  await page.getByText('It could not be read: The server cannot be reached.').waitFor();
  assert.equal(await page.getByText('Nothing has happened yet that is kept.').count(), 0);
  await page.unrouteAll();
  await server.end('SIGKILL');
  await page.locator('.history[data-stale]').waitFor();
  await server.start();
  await isTold(page, [['CellarWet', 'fires']]);
  assert.deepEqual(faults, []);
});
