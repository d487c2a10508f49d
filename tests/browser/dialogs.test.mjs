// Every dialog and sheet as axe sees it: what opens above a page is not there when the page is looked at.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bringAxe, excessOf, faultsOf, smallOf, VIEWS } from './axe.mjs';
import { provesLogin } from './login.mjs';
import { openPage, postAlerts, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const ALERTS = [
  { labels: { alertname: 'BoilerHot', site: 'oslo', severity: 'critical' }, annotations: { summary: 'Boiler at 93 °C', runbook_url: 'https://example.org/boiler' } },
  { labels: { alertname: 'DoorOpen', site: 'rome', severity: 'warning' }, annotations: { summary: 'A door' } },
];

const button = (within, name) => within.getByRole('button', { name, exact: true });
const onRow = (name) => (page) => button(page.locator('.row.alert', { hasText: 'BoilerHot' }), name).click();

async function openPanel(page) {
  await page.locator('.row.alert', { hasText: 'BoilerHot' }).locator('a.name').click();
  await page.locator('dialog.detail .parts').waitFor();
}

async function inPanel(page, name) {
  await openPanel(page);
  await button(page.locator('dialog.detail'), name).first().click();
}

async function option(page, name) {
  await page.getByRole('button', { name: 'Options' }).click();
  await button(page.locator('.board-options'), name).click();
}

async function silenceAndChange(page) {
  await page.evaluate(() => { location.hash = '#/silences'; });
  await button(page.locator('.silence-row').first(), 'Change').click();
}

async function narrowUntilSlow(page) {
  await page.evaluate(() => { location.hash = `#/alerts?filter=${encodeURIComponent('text=~"(.*x){100}"')}`; });
  await page.locator('.filter .error', { hasText: 'Not applied' }).waitFor();
}

/** How each is opened, by what it is. */
const OPENED = {
  keys: (page) => option(page, 'Keys'),
  grouping: (page) => page.getByLabel('Group by').selectOption('other'),
  options: (page) => page.getByRole('button', { name: 'Options' }).click(),
  notifications: (page) => page.locator('#notify-open').click(),
  alert: openPanel,
  acknowledge: onRow('Acknowledge'),
  silence: onRow('Silence'),
  assign: (page) => inPanel(page, 'Assign'),
  comment: (page) => inPanel(page, 'Comment'),
  'a silence that is changed': silenceAndChange,
  'a filter that is too slow': narrowUntilSlow,
};

async function openBoard(t, view) {
  const opened = await openPage(t, ALERTS, { locale: 'en', ...view });
  const { page, server } = opened;
  await postAlerts(server, [{ labels: { alertname: 'Slow', text: 'x'.repeat(3_000), severity: 'info' }, annotations: {} }]);
  const silence = { matchers: [{ name: 'alertname', value: 'Nothing', isRegex: false, isEqual: true }], startsAt: new Date().toISOString(), endsAt: new Date(Date.now() + 3_600_000).toISOString(), createdBy: 'ada', comment: 'a test' };
  const headers = { 'content-type': 'application/json' };
  assert.equal((await fetch(`${server.url}/api/v2/silences`, { method: 'POST', headers, body: JSON.stringify(silence) })).status, 200);
  return opened;
}

/** Loads the page anew, so that nothing is left of what was opened before, and opens it. */
async function openAnew(page, url, open) {
  await page.goto('about:blank');
  await page.goto(url);
  await page.locator('#connection[data-state="live"]').waitFor();
  await page.getByText('BoilerHot').first().waitFor();
  await open(page);
  await page.locator('dialog[open], .dropped:not([hidden]), .filter .error:not(:empty)').last().waitFor();
}

/** What is wrong with what is open. */
async function inspect(page, name) {
  await bringAxe(page);
  // What is looked at is drawn to its end.
  await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)));
  const [faults, small, excess] = [await faultsOf(page), await smallOf(page), await excessOf(page) + await page.evaluate(cutOff)];
  await shoot(page, `dialog-${name}`);
  return [...faults, ...small.map((one) => `small: ${one}`), ...(excess > 0 ? [`${excess} pixels too wide`] : [])];
}

/** On the page: how much of a dialog is seen by scrolling sideways alone. */
function cutOff() {
  return [...document.querySelectorAll('dialog[open]')].reduce((sum, { scrollWidth, clientWidth }) => sum + scrollWidth - clientWidth, 0);
}

for (const name of ['light', 'dark', 'phone']) {
  test(`axe finds nothing wrong in any dialog: ${name}`, { timeout: 10 * PATIENCE_MS }, async (t) => {
    const { server, page, faults } = await openBoard(t, VIEWS[name]);
    const found = {};
    for (const [what, open] of Object.entries(OPENED)) {
      await openAnew(page, server.url, open);
      const wrong = await inspect(page, `${name}-${what}`);
      if (wrong.length > 0) found[what] = wrong;
    }
    assert.deepEqual(found, {});
    assert.deepEqual(faults, []);
  });
}

provesLogin('axe finds nothing wrong in the dialogs of the login and of access', { hasUser: false }, async ({ page, url, keys }) => {
  const found = {};
  const see = async (what) => {
    const wrong = await inspect(page, what);
    if (wrong.length > 0) found[what] = wrong;
  };
  await page.goto(`${url}/#/access`);
  const login = page.getByRole('dialog', { name: 'Log in' });
  await login.waitFor();
  await see('login');
  const choice = login.getByLabel('Token or key', { exact: true });
  if (await choice.isVisible()) await choice.check();
  await login.getByLabel('Token or API key').fill(keys.root);
  await button(login, 'Log in').click();
  const region = (name) => page.getByRole('region', { name, exact: true });
  await button(region('API keys'), 'Make a key…').click();
  const making = page.getByRole('dialog', { name: 'Make an API key' });
  await making.waitFor();
  await see('a key that is made');
  await making.getByLabel('For whom').fill('oven-3');
  await making.getByLabel('Roles').fill('sensor');
  await button(making, 'Make').click();
  await page.getByRole('dialog', { name: 'The key of oven-3' }).waitFor();
  await see('a key that is shown');
  await page.keyboard.press('Escape');
  await region('API keys').getByRole('row', { name: 'oven-3' }).getByRole('button', { name: 'Take back…' }).click();
  await page.getByRole('dialog').waitFor();
  await see('a key that is taken back');
  await page.keyboard.press('Escape');
  await button(region('Taken back'), 'Take back…').click();
  const taking = page.getByRole('dialog', { name: 'Take back' });
  await taking.waitFor();
  await see('what is taken back');
  await taking.getByLabel('Name').fill('red');
  await button(taking, 'Take back').click();
  await region('Taken back').getByRole('row', { name: 'red' }).getByRole('button', { name: 'Let count again…' }).click();
  await page.getByRole('dialog').waitFor();
  await see('what counts again');
  assert.deepEqual(found, {});
});
