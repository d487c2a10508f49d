// What people do with alerts on the page: take them up and back, assign, comment, silence with a preview;
// one and many.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, postAlerts, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const ALERTS = [
  { labels: { alertname: 'BoilerHot', site: 'oslo', severity: 'critical' }, annotations: { summary: 'Boiler at 93 °C' } },
  { labels: { alertname: 'DoorOpen', site: 'oslo', severity: 'warning' }, annotations: {} },
  { labels: { alertname: 'DoorOpen', site: 'rome', severity: 'warning' }, annotations: {} },
];

const alertsOf = async (server) => (await (await fetch(`${server.url}/v1/alerts`)).json()).alerts;

/** Opens the panel of one alert; gives it. */
async function open(page, server, name) {
  const { fingerprint } = (await alertsOf(server)).find(({ labels }) => labels.alertname === name);
  await page.evaluate((to) => { location.hash = `#/alerts/${to}`; }, fingerprint);
  const panel = page.locator('dialog.detail');
  await panel.locator('.parts').waitFor();
  return panel;
}

test('alerts are taken up, assigned, commented on, silenced and taken back on the page', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, ALERTS);
  const row = page.locator('.row.alert', { hasText: 'BoilerHot' });
  const dialog = page.locator('dialog.attend');
  await row.getByRole('button', { name: 'Acknowledge' }).click();
  assert.ok(await dialog.getByLabel('Your name').evaluate((field) => field === document.activeElement));
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByText('Say who you are.').waitFor();
  await dialog.getByLabel('Your name').fill('ada');
  await dialog.getByLabel('Note').fill('on it');
  await shoot(page, 'acknowledge');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await row.getByText('ada has it: on it').waitFor();

  const panel = await open(page, server, 'BoilerHot');
  await panel.getByText(/ada has it, since .*: on it/).waitFor();
  await panel.getByRole('button', { name: 'Assign' }).click();
  await dialog.getByLabel('Who is to see to it').fill('grace');
  await dialog.getByRole('button', { name: 'Assign' }).click();
  await panel.getByText('grace is to see to it, says ada').waitFor();
  await panel.getByLabel('Say something').fill('<b>the pump</b>');
  await panel.getByRole('button', { name: 'Send' }).click();
  await panel.locator('.comments .said', { hasText: '<b>the pump</b>' }).waitFor();
  await panel.locator('.past .event', { hasText: 'grace is to see to it' }).waitFor();
  await panel.locator('.past .event', { hasText: 'ada said <b>the pump</b>' }).waitFor();
  await shoot(page, 'attended');

  await panel.getByRole('button', { name: 'Silence' }).click();
  await dialog.getByText('It matches 1 alert now:').waitFor();
  await dialog.getByRole('button', { name: 'Silence' }).click();
  await dialog.getByText('Say why: others will ask.').waitFor();
  await dialog.getByLabel('Reason').fill('maintenance');
  await dialog.getByLabel('Ends with the alerts').check();
  await shoot(page, 'silence');
  await dialog.getByRole('button', { name: 'Silence' }).click();
  await panel.locator('.silence', { hasText: 'by ada' }).getByText('maintenance').waitFor();
  const [silence] = await (await fetch(`${server.url}/api/v2/silences`)).json();
  assert.deepEqual([silence.createdBy, silence.until_resolved], ['ada', true]);
  await panel.locator('.silence').getByRole('button', { name: 'End' }).click();
  await panel.getByText('Was silenced until').waitFor();

  await panel.getByRole('button', { name: 'Take back' }).click();
  await dialog.getByRole('button', { name: 'Take back' }).click();
  await panel.locator('.past .event', { hasText: 'nobody is on it any more' }).waitFor();
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
  assert.equal(new URL(page.url()).hash, '#/alerts');
  assert.deepEqual(faults, []);
});

test('many are taken up at once, and a silence of many matches them and no other', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, ALERTS);
  const dialog = page.locator('dialog.attend');
  await page.getByLabel('Select all of DoorOpen').check();
  const bar = page.getByRole('region', { name: 'What to do with what is selected' });
  await bar.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByText('2 alerts').waitFor();
  await dialog.getByLabel('Your name').fill('ada');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.waitFor({ state: 'detached' });
  const holders = async () => (await alertsOf(server)).map(({ labels, acknowledged }) => `${labels.alertname}: ${acknowledged?.by}`).sort();
  assert.deepEqual(await holders(), ['BoilerHot: undefined', 'DoorOpen: ada', 'DoorOpen: ada']);

  await bar.getByRole('button', { name: 'Silence' }).click();
  await dialog.getByText('It matches 2 alerts now:').waitFor();
  await dialog.locator('.chip', { hasText: 'site=~"oslo|rome"' }).waitFor();
  await dialog.getByRole('button', { name: 'Remove site=~"oslo|rome"' }).click();
  await dialog.getByRole('combobox', { name: 'Matchers' }).fill('site="rome"');
  await dialog.getByRole('button', { name: 'Add' }).click();
  await dialog.getByText('It matches 1 alert now:').waitFor();
  await dialog.getByText('1 of the selected alerts is not matched.').waitFor();
  await dialog.getByLabel('Reason').fill('painters');
  await shoot(page, 'silence-of-many');
  await dialog.getByRole('button', { name: 'Silence' }).click();
  await dialog.waitFor({ state: 'detached' });

  await page.getByRole('link', { name: 'Silences' }).click();
  const silence = page.locator('.silence-row', { hasText: 'painters' });
  await silence.getByRole('button', { name: 'Silences 1 alert' }).click();
  await silence.getByRole('link', { name: 'DoorOpen' }).waitFor();
  await silence.getByRole('button', { name: 'Change' }).click();
  await dialog.getByLabel('Reason').fill('painters, until tonight');
  await dialog.getByLabel('For how long').selectOption({ label: '8 hours' });
  await dialog.getByRole('button', { name: 'Change the silence' }).click();
  await page.locator('.silence-row', { hasText: 'until tonight' }).getByText('ends in 7 h 59 min').waitFor();
  await shoot(page, 'silences');
  await page.locator('.silence-row[data-state="active"]').getByRole('button', { name: 'End' }).click();
  await page.locator('.silence-row[data-state="expired"]', { hasText: 'until tonight' }).getByRole('button', { name: 'Again' }).waitFor();
  assert.deepEqual(faults, []);
});

test('a silence is of the alert that the dialog shows, whatever its labels are', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const odd = { alertname: 'Odd', 'a name': 'x', text: 'tab\t "quote" \\ line\nend é', long: 'x'.repeat(1_000), markup: '<img src=x onerror=alert(1)>', rtl: 'שלום \u202e עולם' };
  const { server, page, faults } = await openPage(t, [{ labels: odd }, { labels: { alertname: 'Other' } }], { viewport: { width: 360, height: 720 } });
  const dialog = page.locator('dialog.attend');
  const panel = await open(page, server, 'Odd');
  await panel.getByRole('button', { name: 'Silence' }).click();
  await dialog.getByText('It matches 1 alert now:').waitFor();
  const fits = (element) => element.evaluate(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth);
  assert.ok(await fits(dialog) && await fits(panel), 'nothing is cut off on a small screen');
  await shoot(page, 'silence-odd');
  await dialog.getByRole('button', { name: 'Cancel' }).click();

  // Without a preview of its own, nothing is silenced: above all not the alert of before.
  await page.route('**/v1/silences/preview', (route) => route.abort());
  await open(page, server, 'Other');
  await panel.getByRole('button', { name: 'Silence' }).click();
  await dialog.locator('.error', { hasText: 'cannot be reached' }).waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Silence' }).isDisabled());
  assert.deepEqual(faults, []);
});

test('what is not taken back is told, in the server’s words where it has any', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, ALERTS);
  const panel = await open(page, server, 'BoilerHot');
  const dialog = page.locator('dialog.attend');
  await panel.getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByLabel('Your name').fill('ada');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  const takeBack = () => dialog.getByRole('button', { name: 'Take back' }).click();
  await panel.getByRole('button', { name: 'Take back' }).click();
  const { fingerprint } = (await alertsOf(server)).find(({ labels }) => labels.alertname === 'BoilerHot');
  const refused = { results: [{ fingerprint, error: { code: 'alert_not_found', detail: 'there is no alert of this fingerprint' } }] };
  await page.route('**/v1/alerts/actions', (route) => route.fulfill({ json: refused }));
  await takeBack();
  await dialog.getByRole('alert').filter({ hasText: 'there is no alert of this fingerprint' }).waitFor();
  await page.unroute('**/v1/alerts/actions');
  await page.route('**/v1/alerts/actions', (route) => route.abort());
  await takeBack();
  await dialog.getByRole('alert').filter({ hasText: 'The server cannot be reached' }).waitFor();
  await page.unroute('**/v1/alerts/actions');
  await takeBack();
  await dialog.waitFor({ state: 'detached' });
  await panel.getByText('Nobody has taken it up.').waitFor();
  assert.deepEqual(faults, []);
});

test('by keyboard alone an alert is opened and taken up, and the focus is never lost', { timeout: 4 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, ALERTS.slice(0, 1), { locale: 'en' });
  const focused = (locator) => locator.and(page.locator(':focus')).waitFor();
  const link = page.locator('.row.alert a.name');
  const panel = page.locator('dialog.detail');
  await link.focus();
  await page.keyboard.press('Enter');
  await panel.locator('.parts').waitFor();
  await page.keyboard.press('Escape');
  await focused(link);
  await page.keyboard.press('Enter');
  await panel.getByRole('button', { name: 'Acknowledge' }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.locator('dialog.attend');
  await dialog.getByLabel('Your name').fill('ada');
  await page.keyboard.press('Enter');
  await focused(panel.getByRole('button', { name: 'Take back' }));
  // A row that leaves the board stays while somebody is at it.
  await postAlerts(server, [{ ...ALERTS[0], endsAt: new Date().toISOString() }]);
  await panel.locator('.words .state', { hasText: 'resolved' }).waitFor();
  await page.keyboard.press('Escape');
  await focused(link);
  // Where nothing had it, it is where the page begins.
  await page.evaluate(() => { document.activeElement.blur(); });
  await open(page, server, 'BoilerHot');
  await page.keyboard.press('Escape');
  await focused(page.locator('#content'));
  assert.deepEqual(faults, []);
});

test('what fires once no silence keeps it quiet is said to who only listens', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const { server, page } = await openPage(t, ALERTS.slice(0, 1), { locale: 'en' });
  await page.locator('.row.alert').waitFor();
  const post = (path, method, body) => fetch(`${server.url}${path}`, { method, headers: { 'content-type': 'application/json' }, body });
  const silence = {
    matchers: [{ name: 'site', value: 'oslo', isRegex: false, isEqual: true }],
    startsAt: new Date().toISOString(), endsAt: new Date(Date.now() + 3_600_000).toISOString(), createdBy: 'ada', comment: 'known',
  };
  const { silenceID } = await (await post('/api/v2/silences', 'POST', JSON.stringify(silence))).json();
  await page.locator('.lane-head', { hasText: 'Silenced' }).waitFor();
  await post(`/api/v2/silence/${silenceID}`, 'DELETE');
  await page.locator('[aria-live="polite"]', { hasText: 'BoilerHot' }).waitFor({ state: 'attached' });
});

test('a server that does not answer about silences is told of, and not asked beside the question before', { timeout: 4 * PATIENCE_MS }, async (t) => {
  const { page, faults } = await openPage(t, ALERTS, { locale: 'en', hash: '#/silences' });
  await page.getByText('There are no silences.').or(page.locator('.silences .empty')).first().waitFor();
  let open = 0;
  let most = 0;
  page.on('requestfailed', (request) => { if (request.url().endsWith('/v1/silences')) open -= 1; });
  await page.route('**/v1/silences', () => { most = Math.max(most, open += 1); });
  await page.getByRole('alert').filter({ hasText: 'cannot be reached' }).waitFor();
  assert.equal(most, 1);
  await page.unrouteAll();
  await page.getByRole('alert').waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
});
