// The page where things are not as they should be: below a path, without its script, cut off, older than
// its server, in a browser that keeps nothing. It says what is so, and claims nothing else.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { freePort } from '../port.mjs';
import { example, hasProxy, startProxy } from '../proxy.mjs';
import { Server } from '../server.mjs';
import { shoot } from './page.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const RULES = `
groups:
  - name: boilers
    rules:
      - { alert: BoilerHot, expr: boiler_temperature_celsius > 90, labels: { severity: critical } }
`;

const HOUR_MS = 3_600_000;

/** A test with a server that has a rule and its samples, and a page that is not opened yet. */
function proves(name, body, flags = []) {
  test(name, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
    const closings = [() => rm(data, { recursive: true, force: true })];
    t.after(async () => {
      for (const close of closings.reverse()) await close();
    });
    await writeFile(join(data, 'rules.yml'), RULES);
    const server = new Server(BINARY, 'serve', join(data, 'journal'), ['--rules', join(data, 'rules.yml'), ...flags]);
    process.on('exit', () => server.kill());
    closings.push(() => server.end('SIGKILL'));
    await server.start();
    await send(server, 80);
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
    closings.push(() => browser.close());
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const faults = [];
    page.on('pageerror', (error) => faults.push(error.message));
    await body({ server, page, atEnd: (close) => closings.push(close) });
    assert.deepEqual(faults, []);
  });
}

async function send(server, value) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ name: 'boiler_temperature_celsius', labels: { site: 'oslo' }, value });
  const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

const band = (page, text) => page.locator('#trouble', { hasText: text }).waitFor();
const noBand = (page) => page.locator('#trouble').waitFor({ state: 'detached' });
const isLive = (page) => page.locator('#connection[data-state="live"]').waitFor();
const boiler = (page) => page.locator('#content').getByText('BoilerHot').first();
const title = (page, text) => page.waitForFunction((text) => document.title === text, text);
const icon = (page, name) => page.waitForFunction((name) => document.querySelector('link[rel="icon"]').href.includes(name), name);

/** What says that all is well. */
const ALL_CLEAR = /Nothing fires|\b0 (critical|warning|other)\b/;

proves('without its script the page says so, and claims nothing', async ({ server, page }) => {
  await page.route('**/assets/*.js', (route) => route.fulfill({ status: 404, body: '' }));
  await page.goto(server.url);
  await page.getByText('What is firing is not known.').waitFor();
  await page.getByText('The page’s script has not come.').waitFor();
  assert.doesNotMatch(await page.locator('body').innerText(), ALL_CLEAR);
  assert.equal(await page.title(), '(?) Bellwire');
  await shoot(page, 'without-script');
});

proves('before the first data nothing is claimed', async ({ server, page }) => {
  const held = [];
  await page.route('**/v1/whoami', async (route) => {
    await new Promise((resolve) => held.push(resolve));
    await route.continue();
  });
  await page.goto(server.url);
  await page.locator('.top').waitFor();
  for (const stage of ['who is at the page', 'what fires']) {
    assert.doesNotMatch(await page.locator('body').innerText(), ALL_CLEAR, stage);
    assert.equal(await page.title(), '(?) Bellwire', stage);
    await band(page, 'What is firing is not known yet.');
    if (stage === 'what fires') break;
    await page.route('**/v1/events?*', (route) => route.abort());
    await page.unroute('**/v1/whoami');
    for (const go of held) go();
    await page.locator('#content').waitFor();
  }
  await page.unroute('**/v1/events?*');
  await isLive(page);
  await noBand(page);
  await title(page, 'Bellwire');
});

proves('a server that is away for an hour: what is shown has its age, and goes on where it was', async ({ server, page }) => {
  await page.clock.install();
  await page.goto(server.url);
  await isLive(page);
  await send(server, 95);
  await boiler(page).waitFor();
  await title(page, '(1) Bellwire');
  await icon(page, 'firing');
  await server.end('SIGKILL');
  await page.clock.fastForward(HOUR_MS);
  await band(page, /Not connected: what is shown is 1 h( \d+ min)? old\./);
  await title(page, '(1?) Bellwire');
  await icon(page, 'unsure');
  assert.ok(await boiler(page).isVisible(), 'what was there stays');
  await shoot(page, 'away');
  await server.start();
  await page.clock.fastForward(HOUR_MS);
  await isLive(page);
  // A server that has begun anew proves nothing before a sample has come.
  await send(server, 96);
  await noBand(page);
  await title(page, '(1) Bellwire');
  await icon(page, 'firing');
  assert.equal(await page.locator('#gaps').count(), 0);
});

proves('a server that is there and says nothing is as good as away', async ({ server, page }) => {
  await page.goto(server.url);
  await isLive(page);
  server.signal('SIGSTOP');
  await band(page, 'Not connected');
  await title(page, '(?) Bellwire');
  server.signal('SIGCONT');
  await isLive(page);
  await noBand(page);
}, ['--heartbeat-interval', '1s']);

proves('a tab of an older version says so, and offers to load the newer one to who is not typing', async ({ server, page }) => {
  await page.goto(server.url);
  await isLive(page);
  const script = await page.locator('script[type="module"]').getAttribute('src');
  // As after a release: the page is another one, and what the old one would load is gone.
  await page.route(server.url + '/', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(script, 'assets/main-NEWER.js') });
  });
  await page.route(/assets\//, (route) => route.fulfill({ status: 404, body: '' }));
  await page.locator('#content input').first().focus();
  await server.end('SIGKILL');
  await server.start();
  await isLive(page);
  await page.evaluate(() => { location.hash = '#/access'; });
  await page.getByText('This page did not come.').waitFor();
  await page.getByText('The server may have a newer version than this tab: reload it.').waitFor();
  await shoot(page, 'older-page');
  await page.evaluate(() => { location.hash = '#/alerts'; });
  const offer = page.locator('#newer', { hasText: 'The server has a newer version of this page.' });
  await offer.waitFor();
  await shoot(page, 'older-tab');
  await page.locator('#content input').first().focus();
  await offer.waitFor({ state: 'detached' });
  await page.evaluate(() => document.activeElement.blur());
  await page.unrouteAll();
  await Promise.all([page.waitForEvent('load'), offer.getByRole('button', { name: 'Reload' }).click()]);
  await isLive(page);
  assert.equal(await offer.count(), 0);
});

proves('where what acts on alerts does not come, an older tab offers the newer one', async ({ server, page }) => {
  await send(server, 95);
  await page.goto(server.url);
  await isLive(page);
  const script = await page.locator('script[type="module"]').getAttribute('src');
  await page.route(server.url + '/', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(script, 'assets/main-NEWER.js') });
  });
  await page.route(/assets\//, (route) => route.fulfill({ status: 404, body: '' }));
  await page.locator('.row.alert').getByRole('button', { name: 'Acknowledge' }).click();
  await page.locator('#newer', { hasText: 'The server has a newer version of this page.' }).waitFor();
});

proves('a browser that keeps nothing, and shares nothing among its tabs, has a page that works', async ({ server, page }) => {
  await page.addInitScript(() => {
    const denied = () => { throw new DOMException('denied', 'SecurityError'); };
    Object.defineProperty(window, 'localStorage', { get: denied });
    Object.defineProperty(window, 'sessionStorage', { get: denied });
    navigator.locks.request = () => Promise.reject(new DOMException('denied', 'SecurityError'));
  });
  await page.goto(server.url);
  await isLive(page);
  await page.getByLabel('Appearance').selectOption('dark');
  await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  await page.getByLabel('Language').selectOption('de');
  await page.getByText('Zum Inhalt').waitFor({ state: 'attached' });
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'de');
});

proves('what somebody has chosen is kept, and is so in other tabs', async ({ server, page }) => {
  await page.goto(server.url);
  const tab = await page.context().newPage();
  tab.setDefaultTimeout(PATIENCE_MS);
  await tab.goto(server.url);
  await isLive(tab);
  await page.getByLabel('Appearance').selectOption('dark');
  await tab.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  await page.getByLabel('Language').selectOption('de');
  await page.reload();
  await page.getByText('Zum Inhalt').waitFor({ state: 'attached' });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  const early = await page.evaluate(async () => (await (await fetch('.')).text()).indexOf('bellwire-theme') < 1_000);
  assert.ok(early, 'it is dark before anything is drawn');
});

proves('clocks that are apart are told, and no age is of another clock', async ({ server, page }) => {
  await page.addInitScript((ms) => { const { now } = Date; Date.now = () => now() + ms; }, 2 * HOUR_MS);
  await page.goto(server.url);
  await isLive(page);
  await page.locator('#skew', { hasText: /This machine’s clock is (2 h|1 h 59 min) ahead of the server’s/ }).waitFor();
  await shoot(page, 'clocks-apart');
});

proves('a browser that is offline says so, and comes back by itself', async ({ server, page }) => {
  await page.goto(server.url);
  await isLive(page);
  await page.context().setOffline(true);
  await band(page, 'This browser is offline.');
  await title(page, '(?) Bellwire');
  await page.context().setOffline(false);
  await isLive(page);
  await noBand(page);
});

proves('a page that the browser kept aside is current when somebody comes back to it', async ({ server, page }) => {
  await page.goto(server.url);
  await isLive(page);
  await page.goto('about:blank');
  await send(server, 95);
  await page.goBack();
  await boiler(page).waitFor();
  await isLive(page);
  await title(page, '(1) Bellwire');
});

proves('a tab that is not looked at tells what fires, and that it is blind', async ({ server, page }) => {
  await page.goto(server.url);
  await title(page, 'Bellwire');
  // As a browser does with a tab that is not seen: no frame comes, and the page is told.
  await page.evaluate(() => {
    window.requestAnimationFrame = () => 0;
    Object.defineProperty(document, 'hidden', { get: () => true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await send(server, 95);
  await title(page, '(1) Bellwire');
  await icon(page, 'firing');
  await server.end('SIGKILL');
  await title(page, '(1?) Bellwire');
  await icon(page, 'unsure');
});

proves('a fault of the page itself is said, for as long as the page is there', async ({ server, page }) => {
  const body = 'export function Access() { throw new Error("broken"); }';
  await page.route('**/assets/Access-*.js', (route) => route.fulfill({ contentType: 'text/javascript', body }));
  await page.goto(server.url);
  await isLive(page);
  await page.evaluate(() => { location.hash = '#/access'; });
  await page.getByText('This page has failed.').waitFor();
  await band(page, 'This page has a fault of its own, so what it shows may not be so.');
  await page.evaluate(() => { location.hash = '#/alerts'; });
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.waitForFunction(() => document.title.includes('?'));
  await page.unrouteAll();
  await Promise.all([page.waitForEvent('load'), page.locator('#trouble').getByRole('button', { name: 'Reload' }).click()]);
  await isLive(page);
  await noBand(page);
});

if (hasProxy('nginx')) {
  for (const path of ['/bellwire', '/bellwire/', '/bellwire/#/access']) {
    proves(`below a path the page is whole: ${path}`, async ({ server, page, atEnd }) => {
      const port = await freePort();
      const text = example('nginx-below-a-path.conf', [
        ['127.0.0.1:8080', new URL(server.url).host],
        ['listen 80;', `listen 127.0.0.1:${port};`],
        ['tools.example', 'localhost'],
      ]);
      await startProxy('nginx', text, port, atEnd);
      const missing = [];
      page.on('response', (answer) => answer.status() >= 400 && missing.push(answer.url()));
      page.on('requestfailed', (request) => /assets/.test(request.url()) && missing.push(request.url()));
      await page.goto(`http://localhost:${port}${path}`);
      await isLive(page);
      await page.getByRole('navigation').getByRole('link', { name: 'Access' }).click();
      await page.getByRole('heading', { name: 'Access', level: 1 }).waitFor();
      await page.getByRole('navigation').getByRole('link', { name: 'Alerts' }).click();
      await send(server, 95);
      await boiler(page).waitFor();
      await icon(page, 'firing');
      const own = await page.evaluate(async () => (await fetch(document.querySelector('link[rel="icon"]').href)).status);
      assert.equal(own, 200);
      assert.equal(new URL(page.url()).pathname, '/bellwire/');
      assert.deepEqual(missing, []);
    });
  }
} else {
  console.error('SKIPPED: there is no nginx on this machine: the page below a path');
  test('below a path the page is whole', { skip: 'there is no nginx' }, () => {});
}
