// What people do with alerts on the page: acknowledge, take back, silence with a preview.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const ALERTS = [
  { labels: { alertname: 'BoilerHot', site: 'oslo', severity: 'critical' }, annotations: { summary: 'Boiler at 93 °C' } },
  { labels: { alertname: 'DoorOpen', site: 'oslo', severity: 'warning' }, annotations: {} },
  { labels: { alertname: 'DoorOpen', site: 'rome', severity: 'warning' }, annotations: {} },
];

/** A page that shows these alerts, and what goes wrong on it. */
async function openPage(t, alerts) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const server = new Server(BINARY, 'serve', join(data, 'journal'));
  await server.start();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  t.after(async () => {
    await browser.close();
    await server.end('SIGKILL');
    await rm(data, { recursive: true, force: true });
  });
  const headers = { 'content-type': 'application/json' };
  const posted = await fetch(`${server.url}/api/v2/alerts`, { method: 'POST', headers, body: JSON.stringify(alerts) });
  assert.equal(posted.status, 200);

  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(server.url);
  return { server, page, faults };
}

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

/** For people to look at, where they say where to put it. */
async function shoot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
