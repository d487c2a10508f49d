// The page of a server that asks who one is: a login, a logout, and a session that ends meanwhile.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { shoot } from './page.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const PASSWORD = 'correct horse battery';
const NAME = 'bell.test';

/** What `bellwire` prints. */
function run(arguments_, input = '') {
  const { status, stdout, stderr } = spawnSync(BINARY, arguments_, { input, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

/** A server that asks, with one alert, and its page. */
async function openPage(t, view = {}) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const made = run(['key', 'make', '--subject', 'root', '--role', 'admin']);
  const key = made.split('\n')[0];
  const user = run(['user', 'add', 'ann', '--role', 'admin'], PASSWORD);
  const config = join(data, 'bellwire.toml');
  await writeFile(config, `hosts = ["${NAME}"]\n${user}\n${made.slice(made.indexOf('[[access.key]]'))}`);
  const server = new Server(BINARY, 'serve', join(data, 'journal'), ['--config', config]);
  await server.start();
  const flags = [...CHROMIUM_FLAGS, `--host-resolver-rules=MAP ${NAME} 127.0.0.1`];
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: flags });
  t.after(async () => {
    await browser.close();
    await server.end('SIGKILL');
    await rm(data, { recursive: true, force: true });
  });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const alerts = [{ labels: { alertname: 'Hot', severity: 'critical' }, endsAt: '2099-01-01T00:00:00Z' }];
  const posted = await fetch(`${server.url}/api/v2/alerts`, { method: 'POST', headers, body: JSON.stringify(alerts) });
  assert.equal(posted.status, 200);
  const page = await browser.newPage(view);
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) faults.push(message.text());
  });
  return { server, page, key, faults };
}

const row = (page) => page.locator('#alerts [data-group="firing"] .alert');
const error = (page) => page.locator('#login .error');

async function logIn(page, password = PASSWORD) {
  await page.getByLabel('Name').fill('ann');
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

test('one logs in, sees the board, and logs out', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t);
  await page.goto(server.url);
  await page.locator('#login').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), 'name');
  assert.equal(await row(page).count(), 0);
  await shoot(page, 'login');
  await page.keyboard.press('Enter');
  await page.getByText('Give a name with its password').waitFor();
  await logIn(page, 'a wrong password');
  await page.getByText('That is not valid here.').waitFor();
  await logIn(page);
  await row(page).waitFor();
  await page.locator('#account .who', { hasText: 'ann' }).waitFor();
  assert.equal(await page.locator('#login').isVisible(), false);
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script reads the session');
  await shoot(page, 'logged-in');
  await page.reload();
  await row(page).waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.locator('#login').waitFor();
  assert.equal(await row(page).count(), 0, 'what was shown is nobody else’s to see');
  assert.deepEqual(faults, []);
});

test('a session that ends leaves the board as it is', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, key, faults } = await openPage(t, { colorScheme: 'dark', viewport: { width: 390, height: 780 } });
  await page.goto(server.url);
  await page.getByLabel('Token or API key').fill(` ${key} `);
  await page.getByRole('button', { name: 'Log in', exact: true }).last().click();
  await row(page).waitFor();
  await page.locator('#account .who', { hasText: 'root' }).waitFor();
  await page.getByLabel('Search metrics and labels').fill('hot');
  await page.evaluate(() => fetch('v1/session', { method: 'DELETE' }));
  await page.getByText('Your session has ended.').waitFor();
  await shoot(page, 'session-ended');
  assert.equal(await row(page).count(), 1, 'what came before is there');
  await page.keyboard.press('Escape');
  await page.locator('#log-in').click();
  await logIn(page);
  await page.locator('#account .who', { hasText: 'ann' }).waitFor();
  await page.locator('#connection[data-state="live"]').waitFor();
  assert.equal(await page.getByLabel('Search metrics and labels').inputValue(), 'hot');
  assert.deepEqual(faults, []);
});

test('a browser that does not keep the session is told so', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page } = await openPage(t);
  await page.goto(server.url.replace('127.0.0.1', NAME));
  await page.locator('#login').waitFor();
  await logIn(page);
  await error(page).filter({ hasText: 'has not kept the session' }).waitFor();
  assert.equal(await row(page).count(), 0);
});
