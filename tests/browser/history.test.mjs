// What has become of an alert, on the page: what it did, who had it, who was told, and what the rule said.

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
        annotations: {summary: 'Boiler in {{ $labels.site }} is hot'}
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

test('the history of an alert tells what it did, who had it, who was told, and what the rule said', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults, post, measure, change } = await openBoilers(t, { viewport: { width: 1200, height: 1000 } });
  await measure(93);
  const boiler = page.locator('.alert', { hasText: 'BoilerHot' });
  const past = page.getByRole('dialog', { name: 'History of BoilerHot' });
  const row = (text) => past.locator('.transition', { hasText: text });
  await boiler.getByRole('button', { name: 'History' }).click();
  await row('fires at 93.0 °C').waitFor();
  assert.equal(await past.locator('#past-rule').textContent(), 'boiler_temperature_celsius > 90');
  assert.equal(await past.locator('#past-state').textContent(), 'firing');
  assert.equal(await past.locator('#past-labels').textContent(), 'severity=criticalsite=oslo');

  // What becomes of it while the dialog is open is told there, too.
  const [{ fingerprint }] = (await (await fetch(`${server.url}/v1/alerts`)).json()).alerts;
  await post(`/v1/alerts/${fingerprint}/ack`, { by: 'ada', note: 'on it' });
  await row('is acknowledged by ada: on it').waitFor();
  await row('pager was told that it fires after 2 attempts').waitFor();
  await measure(70);
  await row('resolved after').waitFor();
  await past.locator('#past-state', { hasText: 'resolved' }).waitFor();
  await past.getByRole('button', { name: 'Close' }).click();

  await change(80);
  await measure(85);
  await boiler.locator('.state', { hasText: 'firing' }).waitFor();
  await boiler.getByRole('button', { name: 'History' }).click();
  await row('pager was told that it resolved').first().waitFor();
  await row('fires at 85.0 °C').waitFor();
  assert.equal(await past.locator('#past-rule').textContent(), 'boiler_temperature_celsius > 80');
  // The expression of then stands with what was judged by it, and with nothing else.
  assert.equal(await row('fires at 93.0 °C').locator('.then').textContent(), 'boiler_temperature_celsius > 90');
  assert.equal(await row('fires at 85.0 °C').locator('.then').count(), 0);

  const drawing = past.getByRole('img');
  assert.match(await drawing.getAttribute('aria-label'), /^Fired 2 times, .* in all; \d notifications\.$/);
  assert.equal(await drawing.locator('.band.firing').count(), 2);
  assert.equal(await drawing.locator('.band.hold').count(), 1);
  assert.ok(await drawing.locator('.letter').count() >= 2);
  assert.deepEqual(await drawing.locator('.lane').allTextContents(), ['Value', 'State', 'People', 'Told']);
  await shoot(page, 'history');
  await page.emulateMedia({ colorScheme: 'dark' });
  await shoot(page, 'history-dark');
  await page.setViewportSize({ width: 390, height: 800 });
  await shoot(page, 'history-narrow');
  const fits = await past.evaluate((dialog) => dialog.scrollWidth <= dialog.clientWidth);
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
  const boiler = page.locator('.alert', { hasText: 'BoilerHot' });
  await boiler.getByRole('button', { name: 'History' }).click();
  const past = page.getByRole('dialog', { name: 'History of' });
  const rows = past.locator('.transition');
  await rows.first().waitFor();
  assert.equal(await rows.count(), 50);
  await past.getByRole('button', { name: 'Older' }).click();
  await past.locator('.transition', { hasText: 'fires at 93.0 °C' }).waitFor();
  assert.ok(await past.getByRole('button', { name: 'Older' }).isHidden());
  const firing = past.locator('.transition[data-kind="firing"]');
  assert.equal(await firing.count(), 41);
  assert.equal(await past.locator('.transition[data-kind="resolved"]').count(), 40);
  // What is new comes before all that, and changes none of it: it is not even written anew.
  await rows.last().evaluate((row) => (row.dataset.mark = 'kept'));
  for (let look = 0; look < 2; look += 1) await page.waitForResponse(/\/v1\/alerts\/[0-9a-f]{16}\?/);
  await measure(60);
  await past.locator('.transition[data-kind="resolved"]').nth(40).waitFor();
  assert.equal(await past.locator('[data-mark="kept"]').count(), 1);
  assert.equal(await firing.count(), 41);
  await shoot(page, 'history-long');
  await past.getByRole('button', { name: 'Close' }).click();

  await page.route('**/v1/alerts/*', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ json: { ...(await answer.json()), history: [], next: undefined } });
  });
  await page.locator('#resolved summary').click();
  await boiler.getByRole('button', { name: 'History' }).click();
  await past.getByText('Nothing is kept of what became of it.').waitFor();
  await shoot(page, 'history-empty');
  await past.getByRole('button', { name: 'Close' }).click();

  // A start that still reads the journal is asked again; one that cannot be reached is told.
  let busy = 1;
  await page.unroute('**/v1/alerts/*');
  await page.route('**/v1/alerts/*', (route) =>
    busy-- > 0 ? route.fulfill({ status: 429, headers: { 'retry-after': '1' }, json: { detail: 'still being read' } }) : route.continue());
  await boiler.getByRole('button', { name: 'History' }).click();
  await past.getByText('still reads what was before').waitFor();
  await rows.first().waitFor();
  await past.getByRole('button', { name: 'Close' }).click();
  await server.end('SIGKILL');
  await boiler.getByRole('button', { name: 'History' }).click();
  await past.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor();
  await shoot(page, 'history-unreachable');
  assert.deepEqual(faults, []);
});
