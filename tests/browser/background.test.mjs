// A page that is not looked at, on a machine whose clock is wrong, and with texts that would be more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const headers = { 'content-type': 'application/json' };
const post = async (server, path, body) => {
  const answer = await fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
};
const alert = (name) => ({ labels: { alertname: name, severity: 'critical' } });
const title = (page, text) => page.waitForFunction((text) => document.title === text, text);

test('the title of a page in the background tells what fires, and that it is blind', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, [alert('One')]);
  await title(page, '(1) Bellwire');
  // As a browser does with a tab that is not seen: no frame comes, and the page is told.
  await page.evaluate(() => {
    window.requestAnimationFrame = () => 0;
    Object.defineProperty(document, 'hidden', { get: () => true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await post(server, '/api/v2/alerts', [alert('Two')]);
  await title(page, '(2) Bellwire');
  await server.end('SIGKILL');
  await title(page, '(2?) Bellwire');
  assert.deepEqual(faults, []);
});

test('ages are in the server’s time, whatever sensors and this machine say', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const startsAt = new Date(Date.now() - 3_600_000).toISOString();
  const { server, page, faults } = await openPage(t, [{ ...alert('Hour'), startsAt }]);
  const age = (text) => page.locator('.alert', { hasText: 'Hour' }).locator('.age', { hasText: text }).waitFor();
  await age(/^for 1 h$/);
  // A sensor whose clock is ahead.
  await post(server, '/v1/samples', { name: 't', value: 1, timestamp: Date.now() + 540_000 });
  await age(/^for 1 h$/);
  // A machine whose clock is, from the start and when it is set.
  const clock = (ms) => `{ const now = Date.now; Date.now = () => now() + ${ms}; }`;
  await page.addInitScript(clock(7_200_000));
  await page.reload();
  await age(/^for 1 h$/);
  const asked = page.waitForResponse('**/v1/status');
  await page.evaluate((ms) => {
    const now = Date.now;
    Date.now = () => now() + ms;
  }, -36_000_000);
  await asked;
  await age(/^for 1 h$/);
  assert.deepEqual(faults, []);
});

test('a name cannot turn what stands beside it, and a long text leaves the buttons where they are', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const odd = {
    labels: { alertname: '\u202egnp.exe', severity: 'critical', note: `\u202e${'W'.repeat(3900)}` },
    annotations: { summary: `\u202elive ${'S'.repeat(3900)}` },
  };
  const { server, page, faults } = await openPage(t, [odd], { viewport: { width: 1000, height: 800 } });
  const row = page.locator('.alert');
  await row.waitFor();
  assert.equal(await row.locator('.name').textContent(), '\\u202egnp.exe');
  assert.match(await row.locator('.summary').textContent(), /^\\u202elive S+$/);
  const [whole, button] = [await row.boundingBox(), await row.getByRole('button', { name: 'Silence' }).boundingBox()];
  assert.ok(button.y >= whole.y && button.y + button.height <= whole.y + whole.height && button.x + button.width <= 1000);
  assert.deepEqual(faults, []);
  await server.end('SIGKILL');
});
