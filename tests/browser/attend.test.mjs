// What people do with alerts on the page: acknowledge, take back, silence with a preview.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const ALERTS = [
  { labels: { alertname: 'BoilerHot', site: 'oslo', severity: 'critical' }, annotations: { summary: 'Boiler at 93 °C' } },
  { labels: { alertname: 'DoorOpen', site: 'oslo', severity: 'warning' }, annotations: {} },
  { labels: { alertname: 'DoorOpen', site: 'rome', severity: 'warning' }, annotations: {} },
];

test('alerts are acknowledged and silenced on the page', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, ALERTS);
  const row = (name, site) => page.locator('.alert', { hasText: name }).filter({ hasText: `site=${site}` });
  const boiler = row('BoilerHot', 'oslo');

  const dialog = page.getByRole('dialog');
  await boiler.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByLabel('Who').fill('ada');
  await dialog.getByLabel('Note').fill('on it');
  await shoot(page, 'acknowledge');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await boiler.locator('.state', { hasText: 'acknowledged' }).waitFor();
  assert.equal(await boiler.locator('.attention').textContent(), 'ada has it: on it');
  await page.locator('.transition', { hasText: 'ada: on it' }).waitFor();

  await row('DoorOpen', 'rome').getByRole('button', { name: 'Silence' }).click();
  await dialog.getByText('Matches 1 alert now: DoorOpen').waitFor();
  await dialog.getByLabel('Matching').fill('{alertname="DoorOpen"}');
  await dialog.getByText('Matches 2 alerts now').waitFor();
  await dialog.getByLabel('Matching').fill('{alertname=~"["}');
  await dialog.locator('.error', { hasText: 'error parsing regexp' }).waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Silence' }).isDisabled());
  await dialog.getByLabel('Matching').fill('{alertname="DoorOpen",site="rome"}');
  await dialog.getByText('Matches 1 alert now').waitFor();
  assert.equal(await dialog.getByLabel('Who').inputValue(), 'ada', 'who it was is remembered');
  await dialog.getByLabel('Why').fill('maintenance');
  await dialog.getByLabel('or until').check();
  await shoot(page, 'silence');
  await dialog.getByRole('button', { name: 'Silence' }).click();
  await page.locator('#muted summary').click();
  await page.locator('#muted .alert', { hasText: 'site=rome' }).waitFor();
  assert.equal(await page.locator('#count-muted').textContent(), '1');
  await shoot(page, 'board');
  const [silence] = await (await fetch(`${server.url}/api/v2/silences`)).json();
  assert.deepEqual([silence.createdBy, silence.until_resolved], ['ada', true]);

  await boiler.getByRole('button', { name: 'Take back' }).click();
  await boiler.locator('.state', { hasText: 'firing' }).waitFor();
  assert.deepEqual(faults, []);
});

test('a silence is of the alert that the dialog shows, whatever its labels are', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const odd = { alertname: 'Odd', 'a name': 'x', text: 'tab\t "quote" \\ line\nend é' };
  const { page, faults } = await openPage(t, [{ labels: odd }, { labels: { alertname: 'Other' } }]);
  const dialog = page.getByRole('dialog');
  const silence = (name) => page.locator('.alert', { hasText: name }).getByRole('button', { name: 'Silence' }).click();
  await silence('Odd');
  await dialog.getByText('Matches 1 alert now: Odd').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();

  // Without a preview of its own, nothing is silenced: above all not the alert of before.
  await page.route('**/v1/silences/preview', (route) => route.abort());
  await silence('Other');
  await dialog.locator('.error', { hasText: 'cannot be reached' }).waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Silence' }).isDisabled());
  assert.deepEqual(faults, []);
});

test('matchers are typed as they are, and what is not taken back is told', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, ALERTS);
  const boiler = page.locator('.alert', { hasText: 'BoilerHot' });
  const dialog = page.getByRole('dialog');
  await boiler.getByRole('button', { name: 'Silence' }).click();
  await dialog.getByLabel('Matching').fill('');
  await dialog.getByLabel('Matching').pressSequentially('{site=~"/os.*"}');
  assert.equal(await dialog.getByLabel('Matching').inputValue(), '{site=~"/os.*"}');
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'search');

  await boiler.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByLabel('Who').fill('ada');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  const takeBack = boiler.getByRole('button', { name: 'Take back' });
  await takeBack.waitFor();
  await server.end('SIGKILL');
  await takeBack.click();
  await page.getByRole('alert').filter({ hasText: 'It was not taken back: The server cannot be reached.' }).waitFor();
  await shoot(page, 'not-taken-back');
  assert.deepEqual(faults, []);
});
