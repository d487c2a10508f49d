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

const row = (page, name) => page.locator('.alert', { hasText: name });

test('alerts are acknowledged and silenced on the page', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, ALERTS, { hash: '#/alerts?group=none' });
  const boiler = row(page, 'BoilerHot');
  const dialog = page.getByRole('dialog');
  await boiler.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByLabel('Who').fill('ada');
  await dialog.getByLabel('Note').fill('on it');
  await shoot(page, 'acknowledge');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await boiler.locator('.state', { hasText: 'acknowledged' }).waitFor();
  assert.equal(await boiler.locator('.attention').textContent(), 'ada has it: on it');

  const rome = row(page, 'site=rome');
  await rome.getByRole('button', { name: 'Silence' }).click();
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
  await rome.locator('.state', { hasText: 'silenced' }).waitFor();
  const [silence] = await (await fetch(`${server.url}/api/v2/silences`)).json();
  assert.deepEqual([silence.createdBy, silence.until_resolved], ['ada', true]);

  await boiler.getByRole('button', { name: 'Take back' }).click();
  await dialog.getByRole('button', { name: 'Take back' }).click();
  await boiler.locator('.state', { hasText: 'firing' }).waitFor();
  assert.deepEqual(faults, []);
});

test('a group is acknowledged as one, and silenced by what its alerts have in common', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, faults } = await openPage(t, ALERTS);
  const doors = page.locator('.group', { hasText: 'DoorOpen' });
  const dialog = page.getByRole('dialog');
  await doors.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByRole('heading', { name: 'Acknowledge 2 alerts' }).waitFor();
  await dialog.getByLabel('Who').fill('ada');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await doors.getByText('ada: 2 of them').waitFor();
  await doors.getByRole('button', { name: 'Silence' }).click();
  await dialog.getByText('Matches 2 alerts now: DoorOpen').waitFor();
  assert.equal(await dialog.getByLabel('Matching').inputValue(), '{alertname="DoorOpen",severity="warning"}');
  await dialog.getByLabel('Matching').fill('{site="rome"}');
  await dialog.getByText('One that was meant is not among them.').waitFor();
  assert.deepEqual(faults, []);
});

test('a silence is of the alert that the dialog shows, whatever its labels are', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const odd = { alertname: 'Odd', 'a name': 'x', text: 'tab\t "quote" \\ line\nend é' };
  const { page, faults } = await openPage(t, [{ labels: odd }, { labels: { alertname: 'Other' } }]);
  const dialog = page.getByRole('dialog');
  const silence = (name) => row(page, name).getByRole('button', { name: 'Silence' }).click();
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

test('what is not taken back is told', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, faults } = await openPage(t, ALERTS);
  const dialog = page.getByRole('dialog');
  await row(page, 'BoilerHot').getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByLabel('Who').fill('ada');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await page.route('**/v1/alerts/*/ack', (route) => route.abort());
  await row(page, 'BoilerHot').getByRole('button', { name: 'Take back' }).click();
  await dialog.getByRole('button', { name: 'Take back' }).click();
  await dialog.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor();
  assert.deepEqual(faults, []);
});

test('an alert leads to what it is and what has become of it', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const linked = [{ ...ALERTS[0], annotations: { ...ALERTS[0].annotations, runbook_url: 'https://runbooks.example/boiler' }, generatorURL: 'javascript:alert(1)' }];
  const { page, faults } = await openPage(t, linked);
  await row(page, 'BoilerHot').locator('.name').click();
  await page.getByRole('heading', { name: 'BoilerHot' }).waitFor();
  await page.locator('.story li', { hasText: 'firing' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Runbook' }).getAttribute('href'), 'https://runbooks.example/boiler');
  assert.equal(await page.getByRole('link', { name: 'Source' }).count(), 0, 'a link of a script is none');
  await shoot(page, 'detail');
  await page.getByRole('button', { name: 'Acknowledge' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Who').fill('ada');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await page.locator('.story li', { hasText: 'ada' }).waitFor();
  await page.getByRole('link', { name: 'Back to the alerts' }).click();
  await row(page, 'BoilerHot').getByText('ada has it').waitFor();
  assert.deepEqual(faults, []);
});
