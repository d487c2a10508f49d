// What is to be known of an alert, on the page: why it fires, what it did, who had it, who was told, and what
// the rule said.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { shoot } from './page.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const RULES = (bound) => `groups:
  - name: boilers
    rules:
      - alert: BoilerHot
        expr: boiler_temperature_celsius > ${bound}
        labels: {severity: critical}
        annotations: {summary: 'Boiler in {{ $labels.site }} is hot', runbook_url: 'https://wiki.example/boiler'}
`;

/** A server with that rule, whose webhook is busy at first, and a page that shows it. */
async function openBoilers(t, view = {}) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  t.after(() => rm(data, { recursive: true, force: true }));
  const told = [];
  const webhook = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      told.push(JSON.parse(body));
      response.writeHead(told.length === 1 ? 503 : 200, { 'retry-after': '0' }).end();
    });
  });
  webhook.listen(0, '127.0.0.1');
  await once(webhook, 'listening');
  t.after(() => webhook.close());
  const url = `http://127.0.0.1:${webhook.address().port}/hook`;
  await writeFile(join(data, 'rules.yml'), RULES(90));
  await writeFile(join(data, 'alertmanager.yml'),
    `route: {receiver: pager, group_wait: 0s, group_interval: 200ms}\nreceivers: [{name: pager, webhook_configs: [{url: '${url}'}]}]\n`);
  const flags = ['--rules', join(data, 'rules.yml'), '--alertmanager-config', join(data, 'alertmanager.yml'), '--webhook-networks-allowed', 'loopback'];
  const server = new Server(BINARY, 'serve', join(data, 'journal'), flags);
  await server.start();
  t.after(() => server.end('SIGKILL'));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  t.after(() => browser.close());
  const page = await browser.newPage(view);
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (line) => /Content Security Policy/.test(line.text()) && faults.push(line.text()));
  const post = async (path, body) => {
    const answer = await fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  };
  const measure = (value) => post('/v1/samples', { name: 'boiler_temperature_celsius', labels: { site: 'oslo' }, value });
  const change = async (bound) => {
    await writeFile(join(data, 'rules.yml'), RULES(bound));
    await post('/-/reload', {});
  };
  await page.goto(server.url);
  return { server, page, faults, post, measure, change, told };
}

/** Between a value and its unit is a space that does not break. */
const plain = (text) => text.replace(/\s+/g, ' ').trim();

const panelOf = (page) => page.locator('dialog.detail');

/** Opens the panel of the only alert. */
async function open(page, server) {
  await page.locator('.row.alert').first().waitFor();
  const [{ fingerprint }] = (await (await fetch(`${server.url}/v1/alerts`)).json()).alerts;
  await page.evaluate((to) => { location.hash = `#/alerts/${to}`; }, fingerprint);
  await panelOf(page).locator('.parts').waitFor();
  return fingerprint;
}

const close = async (page) => {
  await page.keyboard.press('Escape');
  await panelOf(page).waitFor({ state: 'detached' });
};

test('an alert tells why it fires, what it did, who had it, who was told, and what the rule said', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults, post, measure, change } = await openBoilers(t, { viewport: { width: 1200, height: 1000 } });
  await measure(93);
  const panel = panelOf(page);
  const row = (text) => panel.locator('.past .event', { hasText: text });
  const fingerprint = await open(page, server);
  await row('fires at 93.0 °C').waitFor();
  assert.equal(await panel.locator('.rule code').textContent(), 'boiler_temperature_celsius > 90');
  assert.equal(await panel.locator('.state').first().textContent(), 'firing');
  assert.equal(plain(await panel.locator('.facts .value').textContent()), '93.0 °C');
  assert.equal(plain(await panel.locator('.threshold').textContent()), '> 90.0 °C');
  assert.equal(await panel.getByRole('link', { name: 'Runbook' }).getAttribute('href'), 'https://wiki.example/boiler');
  for (const value of [94, 95, 96]) await measure(value);
  // The line is live, and stands across what it is compared with.
  const drawing = panel.getByRole('img');
  await drawing.filter({ has: page.locator('polyline') }).waitFor();
  await panel.locator('.sparkline .last', { hasText: '96.0 °C' }).waitFor();
  assert.equal(await panel.locator('.sparkline .bound').count(), 1);
  assert.match(plain(await drawing.getAttribute('aria-label')), /newest value is 96\.0 °C\. It is compared with > 90\.0 °C\./);

  // What becomes of it while the panel is open is told there, too.
  await post(`/v1/alerts/${fingerprint}/ack`, { by: 'ada', note: 'on it' });
  await row('ada took it up on it').waitFor();
  await panel.locator('.notified li', { hasText: 'pager was told that it fires: at attempt 2' }).waitFor();
  await measure(70);
  await row('resolved after').waitFor();
  await panel.locator('.words .state', { hasText: 'resolved' }).waitFor();
  await close(page);

  await change(80);
  await measure(85);
  await open(page, server);
  await row('fires at 85.0 °C').waitFor();
  await panel.locator('.notified li', { hasText: 'pager was told that it resolved' }).waitFor();
  assert.equal(await panel.locator('.rule code').textContent(), 'boiler_temperature_celsius > 80');
  // The expression of then stands with what was judged by it, and with nothing else.
  assert.equal(await row('fires at 93.0 °C').locator('.then').textContent(), 'boiler_temperature_celsius > 90');
  assert.equal(await row('fires at 85.0 °C').locator('.then').count(), 0);
  await shoot(page, 'alert');
  await page.emulateMedia({ colorScheme: 'dark' });
  await shoot(page, 'alert-dark');
  await page.setViewportSize({ width: 360, height: 800 });
  await shoot(page, 'alert-narrow');
  const fits = await panel.evaluate((dialog) => dialog.scrollWidth <= dialog.clientWidth);
  assert.ok(fits, 'nothing is cut off on a small screen');
  assert.deepEqual(faults, []);
});

test('a long history comes in pages, each event once, and an alert without one says so', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults, measure } = await openBoilers(t, { viewport: { width: 1200, height: 1000 } });
  for (let turn = 0; turn < 40; turn += 1) {
    await measure(93 + turn / 10);
    await measure(70);
  }
  await measure(99.5);
  const panel = panelOf(page);
  const fingerprint = await open(page, server);
  const rows = panel.locator('.past .event');
  const older = panel.getByRole('button', { name: 'Older' });
  const firing = panel.locator('.past .event[data-kind="alert.firing"]');
  while ((await firing.count()) < 41) {
    // The button goes with the last page, which may come at any moment.
    await older.evaluateAll((buttons) => buttons.forEach((button) => button.click()));
    await page.waitForResponse(/\/v1\/alerts\/[0-9a-f]{16}\?/);
  }
  assert.equal(await firing.count(), 41);
  assert.equal(await panel.locator('.past .event[data-kind="alert.resolved"]').count(), 40);
  // What is new comes before all that, and changes none of it.
  await rows.last().evaluate((row) => { row.dataset.mark = 'kept'; });
  for (let look = 0; look < 2; look += 1) await page.waitForResponse(/\/v1\/alerts\/[0-9a-f]{16}\?/);
  await measure(60);
  await panel.locator('.past .event[data-kind="alert.resolved"]').nth(40).waitFor();
  assert.equal(await panel.locator('[data-mark="kept"]').count(), 1);
  assert.equal(await firing.count(), 41);
  await close(page);

  const reopen = () => page.evaluate((to) => { location.hash = `#/alerts/${to}`; }, fingerprint);
  await page.route('**/v1/alerts/*', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ json: { ...(await answer.json()), history: [], next: undefined } });
  });
  await reopen();
  await panel.getByText('Nothing is kept of what became of it.').waitFor();
  await close(page);

  // A start that still reads the journal is asked again; one that cannot be reached is told.
  let busy = 1;
  await page.unroute('**/v1/alerts/*');
  await page.route('**/v1/alerts/*', (route) =>
    busy-- > 0 ? route.fulfill({ status: 429, headers: { 'retry-after': '1' }, json: { detail: 'still being read' } }) : route.continue());
  await reopen();
  await panel.getByText('still reads what was before').waitFor();
  await rows.first().waitFor();
  await close(page);
  await server.end('SIGKILL');
  await reopen();
  await panel.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor();
  assert.deepEqual(faults, []);
});
