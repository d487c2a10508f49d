// Tabs that share one connection, in a real browser: its locks, its channels, its six connections.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLibrary, readLibrary } from './client.mjs';
import { provesLogin } from './login.mjs';
import { PATIENCE_MS } from './setting.mjs';

const TEST_PATIENCE_MS = 5 * PATIENCE_MS;
const FILTERS = ['a/**', ['a/**', 'b/**'], 'b/1'];

/** A server, and a way to open tabs that follow it: each keeps what comes as `data`. */
async function openTabs(t) {
  const { server, page, origin, faults } = await openLibrary(t);
  const newContext = () => page.context().browser().newContext();
  const first = await newContext();
  const open = async (filters, { context = first, init, follow = followOnPage } = {}) => {
    const tab = await context.newPage();
    tab.setDefaultTimeout(PATIENCE_MS);
    tab.on('pageerror', (error) => faults.push(error.message));
    if (init) await tab.addInitScript(init);
    await tab.goto(origin);
    await tab.waitForFunction(() => globalThis.bellwire);
    await tab.evaluate(follow, { url: server.url, filters });
    return tab;
  };
  return { server, open, faults, newContext };
}

/** On the page: follows, over a connection that is shared. */
async function followOnPage({ url, filters, token }) {
  const { Client, sse, tabs } = globalThis.bellwire;
  globalThis.data = [];
  globalThis.statuses = [];
  const client = new Client(url, { token, transport: tabs(sse), random: () => 0.05 });
  globalThis.subscription = client.subscribe(filters);
  globalThis.subscription.addEventListener('event', ({ detail }) => globalThis.data.push(detail.data));
  globalThis.subscription.addEventListener('status', ({ detail }) => globalThis.statuses.push(detail.status));
  await globalThis.subscription.ready();
}

/** On the page: follows a state topic and a query, each by itself. */
async function watchOnPage({ url }) {
  const { Client, sse, tabs } = globalThis.bellwire;
  const client = new Client(url, { transport: tabs(sse), random: () => 0.05 });
  globalThis.series = client.state('samples/temperature');
  globalThis.hot = client.query('temperature > 90');
  await Promise.all([globalThis.series.ready(), globalThis.hot.ready()]);
}

/** What a page has of series and of the query, each by its site. */
const watched = (tab) => tab.evaluate(() => [globalThis.series, globalThis.hot].map((map) => (
  Object.fromEntries([...map].map(([, { labels, value }]) => [labels.site, value]).sort()))));

async function measure(server, site, value) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ name: 'temperature', labels: { site }, value });
  const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200);
}

async function publish(server, topic, data) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${server.url}/v1/topics/${topic}`, { method: 'POST', headers, body: JSON.stringify(data) });
  assert.equal(answer.status, 201);
}

/** How many streams the server has. */
async function streams(server) {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(text.match(/^bellwire_streams_open(?:{[^}]*})? (\d+)/m)[1]);
}

/** What is left once those that catch up have done so. */
async function comesTo(server, wanted) {
  for (;;) {
    const there = await streams(server);
    if (there === wanted) return;
    await new Promise((resolve) => void setTimeout(resolve, 50));
  }
}

const has = (tab, data) => tab.waitForFunction((wanted) => JSON.stringify(globalThis.data) === wanted, JSON.stringify(data));

test('tabs: three have one connection; where the one that leads closes the others go on', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, open, faults } = await openTabs(t);
  const opened = [];
  for (const filters of FILTERS) opened.push(await open(filters));
  await comesTo(server, 1);
  await publish(server, 'a/1', 1);
  await publish(server, 'b/1', 2);
  await has(opened[0], [1]);
  await has(opened[1], [1, 2]);
  await has(opened[2], [2]);
  // Its unload handlers run as when somebody closes it.
  await opened[0].close({ runBeforeUnload: false });
  for (let n = 3; n < 30; n += 1) await publish(server, 'b/1', n);
  const rest = Array.from({ length: 28 }, (_, index) => index + 2);
  await has(opened[1], [1, ...rest]);
  await has(opened[2], rest);
  await comesTo(server, 1);
  assert.deepEqual(await opened[1].evaluate(() => globalThis.statuses), ['connecting', 'live']);
  assert.deepEqual(faults, []);
});

test('tabs: state topics and queries are current in each, those that come late and deletions included', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, open, faults } = await openTabs(t);
  await measure(server, 'oslo', 95);
  const opened = [];
  const come = async (wanted) => {
    for (const tab of opened) {
      for (;;) {
        const there = await watched(tab);
        if (JSON.stringify(there) === JSON.stringify(wanted)) break;
        await new Promise((resolve) => void setTimeout(resolve, 50));
      }
    }
  };
  opened.push(await open('', { follow: watchOnPage }));
  // A query looks at what is measured from its beginning on.
  await measure(server, 'oslo', 96);
  for (let count = 0; count < 2; count += 1) opened.push(await open('', { follow: watchOnPage }));
  await comesTo(server, 1);
  await come([{ oslo: 96 }, { oslo: 96 }]);
  await measure(server, 'rome', 91);
  await measure(server, 'oslo', 20);
  await come([{ oslo: 20, rome: 91 }, { rome: 91 }]);
  await opened.shift().close();
  await measure(server, 'rome', 92);
  await measure(server, 'bern', 99);
  await come([{ bern: 99, oslo: 20, rome: 92 }, { bern: 99, rome: 92 }]);
  await comesTo(server, 1);
  assert.deepEqual(faults, []);
});

test('tabs: ten are live over HTTP/1.1, and requests still come through', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, open, faults } = await openTabs(t);
  const opened = await Promise.all(Array.from({ length: 10 }, (_, index) => open(FILTERS[index % 3])));
  await comesTo(server, 1);
  await publish(server, 'b/1', 'all');
  for (const [index, tab] of opened.entries()) if (index % 3 > 0) await has(tab, ['all']);
  const asked = await opened[9].evaluate(async (url) => (await fetch(`${url}/v1/whoami`)).status, server.url);
  assert.equal(asked, 200);
  assert.deepEqual(faults, []);
});

test('tabs: one that leads and is frozen gives the lead up, and goes on when it is thawed', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, open, faults } = await openTabs(t);
  const [leads, other] = [await open('a/**'), await open('a/**')];
  await comesTo(server, 1);
  const session = await leads.context().newCDPSession(leads);
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  await publish(server, 'a/1', 1);
  await has(other, [1]);
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  await publish(server, 'a/1', 2);
  await has(leads, [1, 2]);
  await has(other, [1, 2]);
  await comesTo(server, 1);
  assert.deepEqual(faults, []);
});

test('tabs: where a page hangs that leads, another one takes the lead', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, open, faults } = await openTabs(t);
  const [leads, other] = [await open('a/**'), await open('a/**')];
  await comesTo(server, 1);
  const session = await leads.context().newCDPSession(leads);
  // As a page that never comes back to its loop.
  await session.send('Debugger.enable');
  const paused = new Promise((resolve) => void session.once('Debugger.paused', resolve));
  const hangs = session.send('Runtime.evaluate', { expression: 'debugger' });
  await paused;
  await publish(server, 'a/1', 1);
  await has(other, [1]);
  await session.send('Debugger.resume');
  await hangs;
  await publish(server, 'a/1', 2);
  await has(leads, [1, 2]);
  await has(other, [1, 2]);
  assert.deepEqual(faults, []);
});

test('tabs: those of a private window share among themselves', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, open, newContext, faults } = await openTabs(t);
  const context = await newContext();
  const opened = [];
  for (const where of [{}, {}, { context }, { context }]) opened.push(await open('a/**', where));
  await comesTo(server, 2);
  await publish(server, 'a/1', 1);
  for (const tab of opened) await has(tab, [1]);
  assert.deepEqual(faults, []);
});

test('tabs: without locks each has a connection, while it is looked at', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, open, faults } = await openTabs(t);
  const init = () => {
    Object.defineProperty(navigator, 'locks', { value: undefined });
    globalThis.isHidden = false;
    Object.defineProperty(document, 'hidden', { get: () => globalThis.isHidden });
    Object.defineProperty(document, 'visibilityState', { get: () => (globalThis.isHidden ? 'hidden' : 'visible') });
  };
  const [one, other] = [await open('a/**', { init }), await open('a/**', { init })];
  await comesTo(server, 2);
  const show = (tab, isShown) => tab.evaluate((isHidden) => {
    globalThis.isHidden = isHidden;
    document.dispatchEvent(new Event('visibilitychange'));
  }, !isShown);
  await show(one, false);
  await comesTo(server, 1);
  await publish(server, 'a/1', 1);
  await has(other, [1]);
  await show(one, true);
  await has(one, [1]);
  assert.deepEqual(faults, []);
});

provesLogin('tabs: two who are not the same have a connection each', {}, async ({ url, keys, ask, page }) => {
  const opened = [];
  const find = await readLibrary();
  const context = await page.context().browser().newContext();
  for (const subject of ['red', 'red', 'wall-screen']) {
    const tab = await context.newPage();
    for (const path of ['/client.js', '/tab']) {
      const { type, text } = find(path);
      await tab.route(url + path, (route) => route.fulfill({ contentType: type, body: text }));
    }
    await tab.goto(`${url}/tab`);
    await tab.waitForFunction(() => globalThis.bellwire);
    await tab.evaluate(followOnPage, { url: '/', filters: 'alerts/active', token: keys[subject] });
    opened.push(tab);
  }
  const connected = async () => {
    const text = await (await ask('GET', '/metrics')).text();
    return Number(text.match(/^bellwire_streams_open(?:{[^}]*})? (\d+)/m)[1]);
  };
  while (await connected() !== 2) await new Promise((resolve) => void setTimeout(resolve, 50));
  for (const tab of opened) await tab.waitForFunction(() => globalThis.data.length === 2);
});
