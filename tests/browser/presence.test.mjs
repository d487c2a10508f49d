// Who else looks at the board, on the page: seen by each other, by the name that they give themselves
// or none, and not seen by whoever does not want to be.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { provesLogin } from './login.mjs';
import { shoot } from './page.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const NAMED_MAX = 5;
const SHOWN = ['--presence', 'alerts/active', '--presence-grace', '500ms', '--presence-named-max', `${NAMED_MAX}`];

/** A server, and pages of it in browsers that know nothing of each other. */
async function openServer(t, flags) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  t.after(() => rm(data, { recursive: true, force: true }));
  const server = new Server(BINARY, 'serve', data, flags);
  process.on('exit', () => server.kill());
  await server.start();
  t.after(() => server.end('SIGKILL'));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  t.after(() => browser.close());
  const faults = [];
  const visit = async (view = { viewport: { width: 1200, height: 700 } }, url = server.url) => {
    const context = await browser.newContext(view);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (line) => line.type() === 'error' && faults.push(line.text()));
    await page.goto(url);
    return page;
  };
  return { server, visit, faults };
}

const here = (page) => page.locator('.here');
const summary = (page) => here(page).locator('button[aria-expanded]');
/** What a key or a click does is seen a moment later. */
const closes = (page) => here(page).locator('button[aria-expanded="false"]').waitFor();
const says = (page, text) => page.locator('.here-count').getByText(text, { exact: true }).waitFor({ state: 'attached' });
/** The names that are shown, as soon as there are any. */
async function names(page) {
  await here(page).locator('li b').first().waitFor();
  return here(page).locator('li b').allTextContents();
}
const row = (page, text) => here(page).locator('li', { hasText: text });
const nameField = (page) => here(page).getByLabel('Your name, as others see it');

/** Somebody who follows without a page. */
function follow(server, shown) {
  const leave = new AbortController();
  const query = new URLSearchParams({ topic: 'alerts/active', present: JSON.stringify(shown) });
  return fetch(`${server.url}/v1/events?${query}`, { signal: leave.signal }).then(() => () => leave.abort());
}

test('two pages see each other, by number and by the name that one takes, and one goes unseen', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { visit, faults } = await openServer(t, SHOWN);
  const one = await visit();
  await says(one, 'Only you');
  const two = await visit({ viewport: { width: 390, height: 760 }, colorScheme: 'dark' });
  await says(one, '2 here');
  await says(two, '2 here');
  await summary(one).click();
  assert.deepEqual(await names(one), ['Visitor 1', 'Visitor 2']);
  assert.match(await row(one, 'Visitor 1').textContent(), /you · for \d+ s$/);
  assert.doesNotMatch(await row(one, 'Visitor 2').textContent(), /you/);

  await summary(two).click();
  await nameField(two).fill('Ada Lovelace');
  await here(two).getByRole('button', { name: 'Show' }).click();
  await row(one, 'Ada Lovelace').waitFor();
  await row(two, 'Ada Lovelace').filter({ hasText: 'you · Visitor 2' }).waitFor();
  await shoot(one, 'presence');
  await shoot(two, 'presence-narrow-dark');
  // Wherever it stands beside what else is in the head.
  await two.setViewportSize({ width: 360, height: 760 });
  await two.locator('#last-heard').waitFor({ state: 'attached' });
  const box = await here(two).locator('.dropped').boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360, JSON.stringify(box));
  // It is known there when it comes back, and is what acknowledgements are by.
  await two.reload();
  await row(one, 'Ada Lovelace').waitFor();
  await says(two, '2 here');
  assert.equal(await two.evaluate(() => localStorage.getItem('bellwire-author')), 'Ada Lovelace');

  await summary(two).click();
  await here(two).getByLabel('Others see that I am here').uncheck();
  await says(one, 'Only you');
  // Whoever is not seen still sees.
  await says(two, '1 here');
  await nameField(two).waitFor({ state: 'detached' });
  await two.reload();
  await says(two, '1 here');
  await summary(two).click();
  await here(two).getByLabel('Others see that I am here').check();
  await says(one, '2 here');
  await two.close();
  await says(one, 'Only you');
  assert.deepEqual(faults, []);
});

test('two tabs of a browser are one, and each knows itself', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, visit, faults } = await openServer(t, SHOWN);
  const one = await visit();
  await says(one, 'Only you');
  const tab = await one.context().newPage();
  await tab.goto(server.url);
  await says(tab, 'Only you');
  await follow(server, { name: 'Bob' });
  for (const page of [one, tab]) {
    await says(page, '2 here');
    await page.bringToFront();
    await summary(page).click();
    await row(page, 'you').waitFor();
    assert.equal(await row(page, 'you').count(), 1);
  }
  assert.deepEqual(faults, []);
});

test('what others show of themselves is text, in its place, and more than are named are a number', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, visit, faults } = await openServer(t, SHOWN);
  const page = await visit();
  const leave = [];
  const shown = [
    { name: '<img src=x onerror="document.title=1">\u202egnp.exe' },
    { name: 'x'.repeat(900) },
    { name: ['no', 'text'], mark: {} },
    'a text',
  ];
  for (const one of shown) leave.push(await follow(server, one));
  await says(page, '5 here');
  await summary(page).focus();
  await page.keyboard.press('Enter');
  const found = await names(page);
  assert.ok(found.includes('<img src=x onerror="document.title=1">\\u202egnp.exe'), JSON.stringify(found));
  assert.ok(found.includes('x'.repeat(60)));
  assert.equal(found.filter((name) => name.startsWith('Visitor')).length, 3);
  const box = await here(page).locator('.dropped').boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 1200, JSON.stringify(box));
  await shoot(page, 'presence-odd');

  leave.push(await follow(server, null));
  await says(page, '6 here');
  await here(page).getByText('So many are here that they are not named.').waitFor();
  assert.equal(await here(page).locator('li b').count(), 0);
  await shoot(page, 'presence-many');
  for (const one of leave) one();
  await says(page, 'Only you');
  assert.match((await names(page)).join(), /^Visitor \d+$/);
  // The sheet closes as a menu does, and the keyboard is where it was.
  await nameField(page).focus();
  await page.keyboard.press('Escape');
  await closes(page);
  await here(page).locator('button[aria-expanded]:focus').waitFor();
  await summary(page).click();
  await page.locator('#content').click({ position: { x: 20, y: 30 } });
  await closes(page);
  // And when the keyboard goes on behind it.
  await summary(page).click();
  await page.locator('footer select').first().focus();
  await closes(page);
  assert.deepEqual(faults, []);
});

test('who is here is not known while the page is cut off, and is known again after a restart', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, visit } = await openServer(t, SHOWN);
  const [page, other] = [await visit(), await visit()];
  await says(page, '2 here');
  await summary(page).click();
  // The list comes from the server, too.
  await here(page).locator('li b').first().waitFor();
  await server.end('SIGKILL');
  await says(page, '–');
  await here(page).getByText('Not connected. Who is here now is not known.').waitFor();
  await shoot(page, 'presence-cut-off');
  await other.close();
  await server.start();
  await says(page, 'Only you');
  await here(page).locator('li b').waitFor();
  assert.equal((await names(page)).length, 1);
});

test('without presence the page shows nothing of it, and asks for none', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, visit, faults } = await openServer(t, []);
  const streams = [];
  const page = await visit(undefined, 'about:blank');
  page.on('request', (request) => request.url().includes('/v1/events?') && streams.push(request.url()));
  await page.goto(server.url);
  await page.locator('#connection[data-state="live"]').waitFor();
  assert.equal(await here(page).count(), 0);
  assert.ok(streams.length > 0);
  assert.deepEqual(streams.filter((url) => /presen/.test(url)), []);
  assert.deepEqual(faults, []);
});

provesLogin('whom the server knows is there by that name, and by no other', { flags: SHOWN }, async ({ page, url, keys }) => {
  await page.goto(url);
  const login = page.getByRole('dialog', { name: 'Log in' });
  await login.waitFor();
  assert.equal(await here(page).count(), 0);
  await login.getByLabel('Token or key', { exact: true }).check();
  await login.getByLabel('Token or API key').fill(keys.red);
  await login.getByRole('button', { name: 'Log in' }).click();
  await says(page, 'Only you');
  await summary(page).click();
  assert.deepEqual(await names(page), ['red']);
  assert.equal(await nameField(page).count(), 0, 'the name is not theirs to choose');
  await shoot(page, 'presence-known');
});
