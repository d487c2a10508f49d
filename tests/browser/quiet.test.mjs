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
const counts = (page) => page.locator('.counts b').allTextContents();

const says = (page, state, text) => page.locator(`#quiet[data-state="${state}"]`, { hasText: text }).waitFor();

async function send(server, name, value) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ name, labels: { site: 'oslo' }, value });
  const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

proves('without rules there is no good news', '', async ({ server, page }) => {
  await page.goto(server.url);
  await says(page, 'unsure', 'No rules are loaded');
  await shoot(page, 'no-rules');
  await send(server, 'boiler_temperature_celsius', 80);
  await page.locator('.metric-name', { hasText: 'boiler_temperature_celsius' }).waitFor();
  await says(page, 'unsure', 'No rules are loaded');
});

proves('with rules it is good news once they have seen data, and only while the server is there', RULES, async ({ server, page }) => {
  await page.goto(server.url);
  await says(page, 'unsure', 'No samples have come yet; one rule loaded');
  await shoot(page, 'no-samples');
  await send(server, 'other_temperature_celsius', 80);
  await says(page, 'unsure', 'Samples come, but none of late that a rule asks for');
  await send(server, 'boiler_temperature_celsius', 80);
  await says(page, 'quiet', 'Nothing is firing.');
  await shoot(page, 'quiet');
  await send(server, 'boiler_temperature_celsius', 95);
  await page.locator('.alert[data-state="firing"]', { hasText: 'BoilerHot' }).waitFor();
  assert.ok(await page.locator('#quiet').isHidden());
  await send(server, 'boiler_temperature_celsius', 80);
  await says(page, 'quiet', 'Nothing is firing.');
  assert.deepEqual(await counts(page), ['0', '0', '0']);
  await server.end('SIGKILL');
  await says(page, 'unsure', 'Not connected');
  assert.deepEqual(await counts(page), ['–', '–', '–']);
  assert.equal(await page.title(), '(?) Bellwire');
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
  await says(page, 'quiet', 'Nothing is firing but what is silenced or inhibited.');

  await writeFile(join(data, 'rules.yml'), 'groups: what?');
  assert.equal((await post('-/reload', '')).status, 422);
  await says(page, 'quiet', 'The rules are older than their files, which are wrong');

  await rm(join(data, 'journal'), { recursive: true });
  await says(page, 'unsure', 'The server cannot write its journal, so new alerts are not told');
});

proves('a server that is there and says nothing is as good as away', RULES, async ({ server, page }) => {
  await page.goto(server.url);
  await send(server, 'boiler_temperature_celsius', 80);
  await says(page, 'quiet', 'Nothing is firing.');
  server.signal('SIGSTOP');
  await says(page, 'unsure', 'Not connected');
  server.signal('SIGCONT');
  await says(page, 'quiet', 'Nothing is firing.');
}, ['--heartbeat-interval', '1s']);

proves('without its stream, or what says what is loaded, the page claims nothing', RULES, async ({ server, page }) => {
  await send(server, 'boiler_temperature_celsius', 80);
  await page.route('**/v1/events?*', (route) => route.abort());
  await page.goto(server.url);
  await says(page, 'unsure', 'What is firing is not known yet');
  await page.unroute('**/v1/events?*');
  await page.route('**/v1/topics/**', (route) => route.fulfill({ status: 429, body: '{}' }));
  await says(page, 'unsure', 'Whether rules are loaded is not known yet');
  await page.unroute('**/v1/topics/**');
  await says(page, 'quiet', 'Nothing is firing.');
});

proves('a server that asks who this is is not waited for in silence', RULES, async ({ page, server }) => {
  await page.goto(server.url);
  await page.getByRole('dialog', { name: 'Log in' }).waitFor();
  await page.locator('#connection .state', { hasText: 'Not logged in' }).waitFor();
}, ['--config', 'DATA/access.toml']);

for (const script of ['board.js', 'attend.js', 'history.js', 'timeline.js', 'query.js', 'presence.js', 'text.js', 'login.js']) {
  proves(`without ${script} the page says so, and claims nothing`, RULES, async ({ server, page }) => {
    await send(server, 'boiler_temperature_celsius', 80);
    await page.route(`**/${script}`, (route) => route.fulfill({ status: 404, body: '' }));
    await page.goto(server.url);
    await page.locator('#unscripted', { hasText: 'script has not come' }).waitFor();
    await shoot(page, `without-${script}`);
    await says(page, 'unsure', 'What is firing is not known yet');
    const claims = ['0 critical', '0 gaps', 'None yet', 'No samples yet', 'Nothing is firing'];
    const text = await page.locator('body').innerText();
    for (const claim of claims) assert.ok(!text.includes(claim), `${claim}\n${text}`);
  });
}

if (hasProxy('nginx')) {
  proves('below a path the page is whole: it follows, and its buttons work', RULES, async ({ server, page, atEnd }) => {
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
    await says(page, 'unsure', 'No samples have come yet');
    await send(server, 'boiler_temperature_celsius', 95);
    const alert = page.locator('.alert', { hasText: 'BoilerHot' });
    await alert.getByRole('button', { name: 'Acknowledge' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Who').fill('ada');
    await dialog.getByRole('button', { name: 'Acknowledge' }).click();
    await alert.locator('.state', { hasText: 'acknowledged' }).waitFor();
    await alert.getByRole('button', { name: 'Silence' }).click();
    await dialog.getByText('Matches 1 alert now: BoilerHot').waitFor();
    await dialog.getByLabel('Why').fill('maintenance');
    await dialog.getByRole('button', { name: 'Silence' }).click();
    await page.locator('#muted .alert').waitFor({ state: 'attached' });
    assert.ok(page.url().endsWith('/bellwire/'), page.url());
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
