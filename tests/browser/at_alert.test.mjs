// Who else has the same alert open, on its panel: by name or as a number, each once however many tabs they
// have, until they have gone.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { provesLogin } from './login.mjs';
import { postAlerts, shoot } from './page.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const SHOWN = ['--presence', 'alerts/active', '--presence', 'alerts/at/*', '--presence-grace', '500ms', '--presence-named-max', '8'];

const ALERTS = ['BoilerHot', 'DoorOpen'].map((alertname) => ({ labels: { alertname, site: 'oslo', severity: 'critical' }, annotations: {} }));

/** A server with two alerts, and pages of it in browsers that know nothing of each other. */
async function openServer(t, flags = SHOWN) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  t.after(() => rm(data, { recursive: true, force: true }));
  const server = new Server(BINARY, 'serve', data, flags);
  process.on('exit', () => server.kill());
  await server.start();
  t.after(() => server.end('SIGKILL'));
  await postAlerts(server, ALERTS);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  t.after(() => browser.close());
  const faults = [];
  const tab = async (context, hash) => {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (line) => line.type() === 'error' && faults.push(line.text()));
    await page.goto(`${server.url}/${hash}`);
    return page;
  };
  /** Somebody of this name, or of none, with this alert open. */
  const visit = async (fingerprint, name = '', view = {}) => {
    const context = await browser.newContext({ viewport: { width: 1200, height: 700 }, ...view });
    await context.addInitScript((author) => { if (author) localStorage.setItem('bellwire-author', author); }, name);
    return tab(context, `#/alerts/${fingerprint}`);
  };
  return { server, visit, tab, faults, ...await fingerprints(server) };
}

async function fingerprints(server, headers = {}) {
  const { alerts } = await (await fetch(`${server.url}/v1/alerts`, { headers })).json();
  const of = (name) => alerts.find(({ labels }) => labels.alertname === name).fingerprint;
  return { boiler: of('BoilerHot'), door: of('DoorOpen') };
}

const says = (page, text) => page.locator('dialog.detail .others').getByText(text, { exact: true }).waitFor();
const saysNothing = (page) => page.locator('dialog.detail .others:empty').waitFor({ state: 'attached' });
const go = (page, to) => page.evaluate((hash) => { location.hash = hash; }, to);

/** How many the server has at an alert. */
async function countAt(server, fingerprint) {
  const { events } = await (await fetch(`${server.url}/v1/topics/presence/alerts/at/${fingerprint}`)).json();
  return events.find(({ key }) => key === '~count')?.data.followers ?? 0;
}

/** The test's own bound ends it where that does not become so. */
async function until(isSo) {
  while (!await isSo()) await setTimeout(50);
}

/** Somebody who is there without a page. */
function follow(server, fingerprint, shown) {
  const leave = new AbortController();
  const query = new URLSearchParams({ topic: `alerts/at/${fingerprint}`, present: JSON.stringify(shown) });
  return fetch(`${server.url}/v1/events?${query}`, { signal: leave.signal }).then(() => () => leave.abort());
}

test('two who have the same alert open see each other, until one of them has it open no more', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, visit, tab, faults, boiler, door } = await openServer(t);
  const one = await visit(boiler, 'Ada Lovelace');
  const two = await visit(boiler, '', { viewport: { width: 360, height: 760 }, colorScheme: 'dark' });
  await says(two, 'Ada Lovelace has this alert open, too.');
  await says(one, '1 other has this alert open, too.');
  await shoot(one, 'at-alert');
  await shoot(two, 'at-alert-narrow-dark');
  const box = await two.locator('.others').boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360, JSON.stringify(box));

  // A tab more of one of them is nobody more, and it sees the other and not itself.
  const again = await tab(one.context(), `#/alerts/${boiler}`);
  await says(again, '1 other has this alert open, too.');
  await says(two, 'Ada Lovelace has this alert open, too.');
  assert.equal(await countAt(server, boiler), 2);
  // With one tab at another alert somebody is at both.
  await go(again, `#/alerts/${door}`);
  await again.locator('dialog.detail h2', { hasText: 'DoorOpen' }).waitFor();
  await saysNothing(again);
  const third = await visit(door, 'Bob');
  await says(third, 'Ada Lovelace has this alert open, too.');
  await says(two, 'Ada Lovelace has this alert open, too.');

  await two.getByRole('button', { name: 'Close' }).click();
  await saysNothing(one);
  await go(two, `#/alerts/${boiler}`);
  await says(one, '1 other has this alert open, too.');
  await two.close();
  await saysNothing(one);
  await one.close();
  await again.close();
  await saysNothing(third);
  assert.deepEqual(faults, []);
});

test('of those without a name, and of many, the number is told, and names are text', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, visit, faults, boiler } = await openServer(t);
  const page = await visit(boiler, '', { viewport: { width: 360, height: 760 }, locale: 'de' });
  const leave = [];
  const odd = '<img src=x onerror="document.title=1">\u202egnp.exe';
  for (const [before, name] of [odd, 'Bob', 'Cleo', 'Dan', 'Eve', undefined].entries()) {
    leave.push(await follow(server, boiler, { name }));
    // The page is there, too, and those are named first who came first.
    await until(async () => await countAt(server, boiler) === before + 2);
  }
  await says(page, `${odd.replace('\u202e', '\\u202e')}, Bob, Cleo, Dan und 2 weitere haben diesen Alarm auch offen.`);
  await shoot(page, 'at-alert-many');
  for (const number of [1, 2, 3]) leave.push(await follow(server, boiler, { number }));
  await says(page, '9 weitere haben diesen Alarm auch offen.');
  for (const one of leave) one();
  await saysNothing(page);
  assert.deepEqual(faults, []);
});

test('whoever does not want to be seen is not, and a tab in the background leaves its connection to others', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { visit, faults, boiler } = await openServer(t);
  const [one, two] = [await visit(boiler, 'Ada'), await visit(boiler, 'Bob')];
  await says(one, 'Bob has this alert open, too.');
  await two.evaluate(() => localStorage.setItem('bellwire-present-not', 'true'));
  await two.reload();
  await says(two, 'Ada has this alert open, too.');
  await saysNothing(one);
  const hide = (isHidden) => one.evaluate((to) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => to });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
  await hide(true);
  await saysNothing(two);
  await hide(false);
  await says(two, 'Ada has this alert open, too.');
  assert.deepEqual(faults, []);
});

test('who is there is not said while the page is cut off, and is said again after a restart', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, visit, boiler } = await openServer(t);
  const [one, two] = [await visit(boiler, 'Ada'), await visit(boiler, 'Bob')];
  await says(one, 'Bob has this alert open, too.');
  await server.end('SIGKILL');
  await saysNothing(one);
  await server.start();
  await says(one, 'Bob has this alert open, too.');
  await says(two, 'Ada has this alert open, too.');
});

test('where the server tells of nobody at alerts the page asks for nobody', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { visit, faults, boiler } = await openServer(t, ['--presence', 'alerts/active']);
  const page = await visit(boiler, 'Ada');
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.reload();
  await page.locator('dialog.detail .parts').waitFor();
  await saysNothing(page);
  assert.ok(asked.some((url) => url.includes('/v1/events?')));
  assert.deepEqual(asked.filter((url) => /alerts%2Fat/.test(url)), []);
  assert.deepEqual(faults, []);
});

provesLogin('whoever may only see alerts sees by name who has one open, and is seen', { flags: SHOWN }, async ({ server, page, open, url, keys }) => {
  const { boiler } = await fingerprints(server, { authorization: `Bearer ${keys.root}` });
  const other = await open({ viewport: { width: 1200, height: 700 }, colorScheme: 'dark' });
  for (const [at, key] of [[page, keys['wall-screen']], [other, keys.red]]) {
    await at.goto(url);
    const login = at.getByRole('dialog', { name: 'Log in' });
    await login.getByLabel('Token or key', { exact: true }).check();
    await login.getByLabel('Token or API key').fill(key);
    await login.getByRole('button', { name: 'Log in' }).click();
    await login.waitFor({ state: 'detached' });
    await go(at, `#/alerts/${boiler}`);
  }
  await says(page, 'red has this alert open, too.');
  await says(other, 'wall-screen has this alert open, too.');
  await shoot(other, 'at-alert-known-dark');
});
