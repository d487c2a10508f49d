// What the page says where nothing fires: good news only where something could fire and would be
// seen. And the page below a path that a proxy gives it.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { freePort } from '../port.mjs';
import { example, hasProxy, startProxy } from '../proxy.mjs';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const RULES = `
groups:
  - name: boilers
    rules:
      - { alert: BoilerHot, expr: boiler_temperature_celsius > 90, labels: { severity: critical } }
`;

/** A test with a server, with or without rules, and a page that is not opened yet. */
function proves(name, rules, body, more = []) {
  test(name, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
    const closings = [() => rm(data, { recursive: true, force: true })];
    t.after(async () => {
      for (const close of closings.reverse()) await close();
    });
    await writeFile(join(data, 'rules.yml'), rules);
    await writeFile(join(data, 'access.toml'), '[access]\n');
    const flags = [...more.map((flag) => flag.replace('DATA', data)), ...(rules ? ['--rules', join(data, 'rules.yml')] : [])];
    const server = new Server(BINARY, 'serve', join(data, 'journal'), flags);
    process.on('exit', () => server.kill());
    closings.push(() => server.end('SIGKILL'));
    await server.start();
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
    closings.push(() => browser.close());
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const faults = [];
    page.on('pageerror', (error) => faults.push(error.message));
    await body({ server, page, data, atEnd: (close) => closings.push(close) });
    assert.deepEqual(faults, []);
  });
}

/** How many fire, as the page's head has it. */
const counts = (page) => page.locator('.totals b').allTextContents();

/** Good news, with its proof, which stands on the board; what is wrong stands across the page, or there, too. */
const says = (page, state, text) => page.locator(state === 'quiet' ? '.calm[data-calm="quiet"]' : '.band, .calm[data-calm="unsure"]', { hasText: text }).first().waitFor();
const titled = (page, title) => page.waitForFunction((title) => document.title === title, title);
/** Nothing on the page says that all is well. */
const claimsNothing = async (page) => assert.equal(await page.locator('.calm[data-calm="quiet"]').count(), 0);

async function send(server, name, value) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ name, labels: { site: 'oslo' }, value });
  const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

proves('without rules there is no good news', '', async ({ server, page }) => {
  await page.goto(server.url);
  await says(page, 'unsure', 'No rules are loaded');
  await titled(page, '(?) Bellwire');
  await shoot(page, 'no-rules');
  await send(server, 'boiler_temperature_celsius', 80);
  await says(page, 'unsure', 'That nothing is listed here proves nothing');
  await claimsNothing(page);
});

proves('with rules it is good news once they have seen data, and only while the server is there', RULES, async ({ server, page }) => {
  await page.goto(server.url);
  await says(page, 'unsure', 'No sample has come yet that the rule asks for');
  await claimsNothing(page);
  await shoot(page, 'no-samples');
  await send(server, 'other_temperature_celsius', 80);
  await says(page, 'unsure', 'No sample has come yet that the rule asks for');
  await send(server, 'boiler_temperature_celsius', 80);
  await says(page, 'quiet', /^\s*Nothing fires · one rule · last sample \d+ s ago$/);
  await titled(page, 'Bellwire');
  await shoot(page, 'quiet');
  await send(server, 'boiler_temperature_celsius', 95);
  await page.locator('.alert[data-state="firing"]', { hasText: 'BoilerHot' }).waitFor();
  await claimsNothing(page);
  await titled(page, '(1) Bellwire');
  await send(server, 'boiler_temperature_celsius', 80);
  await says(page, 'quiet', 'Nothing fires');
  assert.deepEqual(await counts(page), ['0', '0', '0']);
  await server.end('SIGKILL');
  await says(page, 'unsure', 'Not connected');
  await claimsNothing(page);
  assert.deepEqual(await counts(page), ['–', '–', '–']);
  await titled(page, '(?) Bellwire');
  await shoot(page, 'not-connected');
});

proves('what is silenced, and what the server cannot do, is part of the news', RULES, async ({ server, page, data }) => {
  await page.goto(server.url);
  await send(server, 'boiler_temperature_celsius', 95);
  await page.locator('.alert[data-state="firing"]', { hasText: 'BoilerHot' }).waitFor();
  const silence = {
    matchers: [{ name: 'alertname', value: 'BoilerHot', isRegex: false, isEqual: true }],
    startsAt: new Date().toISOString(), endsAt: new Date(Date.now() + 3_600_000).toISOString(),
    createdBy: 'ada', comment: 'maintenance',
  };
  const post = (path, body) => fetch(`${server.url}/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  assert.equal((await post('api/v2/silences', JSON.stringify(silence))).status, 200);
  await says(page, 'quiet', 'Nothing fires but 1 that is silenced or inhibited');

  await writeFile(join(data, 'rules.yml'), 'groups: what?');
  assert.equal((await post('-/reload', '')).status, 422);
  await says(page, 'unsure', 'newer rule files are wrong and not in force');

  await rm(join(data, 'journal'), { recursive: true });
  await says(page, 'unsure', 'The server takes no events in, so what fires now may not be shown');
  await claimsNothing(page);
});

proves('a server that is there and says nothing is as good as away', RULES, async ({ server, page }) => {
  await page.goto(server.url);
  await send(server, 'boiler_temperature_celsius', 80);
  await says(page, 'quiet', 'Nothing fires');
  server.signal('SIGSTOP');
  await says(page, 'unsure', /Not connected|not known yet/);
  await claimsNothing(page);
  server.signal('SIGCONT');
  await says(page, 'quiet', 'Nothing fires');
}, ['--heartbeat-interval', '1s']);

proves('without its stream, or what says what is loaded, the page claims nothing', RULES, async ({ server, page }) => {
  await send(server, 'boiler_temperature_celsius', 80);
  await page.route('**/v1/events?*', (route) => route.abort());
  await page.goto(server.url);
  await says(page, 'unsure', 'What is firing is not known yet');
  await claimsNothing(page);
  await page.unroute('**/v1/events?*');
  await page.route('**/v1/status', (route) => route.fulfill({ status: 429, body: '{}' }));
  await says(page, 'unsure', 'Whether rules are loaded is not known yet');
  await claimsNothing(page);
  await page.unroute('**/v1/status');
  await says(page, 'quiet', 'Nothing fires');
});

proves('not a moment before all has come is anything claimed', RULES, async ({ server, page }) => {
  await send(server, 'boiler_temperature_celsius', 95);
  // Whatever is drawn on the way is looked at.
  await page.addInitScript(() => {
    window.claims = [];
    new MutationObserver(() => {
      const claim = document.querySelector('.calm[data-calm="quiet"]');
      if (claim || document.title === 'Bellwire') window.claims.push(claim?.textContent ?? document.title);
    }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  });
  for (let visit = 0; visit < 3; visit += 1) {
    await page.goto(server.url);
    await page.locator('.alert', { hasText: 'BoilerHot' }).waitFor();
    assert.deepEqual(await page.evaluate(() => window.claims), []);
  }
});

proves('a server that asks who this is is not waited for in silence', RULES, async ({ page, server }) => {
  await page.goto(server.url);
  await page.locator('#login').waitFor();
  await page.locator('#connection .state', { hasText: 'Not logged in' }).waitFor();
}, ['--config', 'DATA/access.toml']);

for (const missing of ['*.js', 'style-*']) {
  proves(`without ${missing === '*.js' ? 'its script' : 'its style'} the page claims nothing that is not so`, RULES, async ({ server, page }) => {
    await send(server, 'boiler_temperature_celsius', 80);
    await page.route(`**/assets/${missing}`, (route) => route.fulfill({ status: 404, body: '' }));
    await page.goto(server.url);
    if (missing === 'style-*') return says(page, 'quiet', 'Nothing fires');
    await page.locator('#unscripted', { hasText: 'What is firing is not known' }).waitFor();
    await page.locator('#unscripted', { hasText: 'script has not come' }).waitFor();
    await shoot(page, 'without-script');
    await claimsNothing(page);
    assert.equal(await page.title(), '(?) Bellwire');
  });
}

if (hasProxy('nginx')) {
  proves('below a path the page is whole: it follows, and loads what is asked for', RULES, async ({ server, page, atEnd }) => {
    const port = await freePort();
    const text = example('nginx-below-a-path.conf', [
      ['127.0.0.1:8080', new URL(server.url).host],
      ['listen 80;', `listen 127.0.0.1:${port};`],
      ['tools.example', 'localhost'],
    ]);
    await startProxy('nginx', text, port, atEnd);
    const missing = [];
    page.on('response', (answer) => answer.status() >= 400 && missing.push(answer.url()));
    await page.goto(`http://localhost:${port}/bellwire`);
    await says(page, 'unsure', 'No sample has come yet');
    await send(server, 'boiler_temperature_celsius', 95);
    const alert = page.locator('.alert', { hasText: 'BoilerHot' });
    await alert.locator('.value', { hasText: '95.0 °C' }).waitFor();
    await page.getByRole('button', { name: 'Grid' }).click();
    await page.locator('.cell').first().click();
    await alert.waitFor();
    assert.ok(page.url().includes('/bellwire/#/alerts?filter='), page.url());
    assert.deepEqual(missing, []);
  });
} else {
  console.error('SKIPPED: there is no nginx on this machine: the page below a path');
  test('below a path the page is whole', { skip: 'there is no nginx' }, () => {});
}

/** For people to look at, where they say where to put it. */
async function shoot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
