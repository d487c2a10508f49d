// What a browser, or the page's own policy, does not let the client have.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLibrary } from './client.mjs';
import { HAS_FIREFOX, launchFirefox } from './firefox.mjs';
import { PATIENCE_MS } from './setting.mjs';

/** Over HTTP/1.1 a browser has six connections to a server, and waits for one without a word. */
const CONNECTIONS = 6;

const BROWSERS = { Chromium: undefined, ...(HAS_FIREFOX && { Firefox: launchFirefox }) };
if (!HAS_FIREFOX) console.error('SKIPPED: there is no Firefox on this machine: limits');

/** Follows one topic each, over the transports of these names; gives who has what once all are live. */
async function followEach({ url, names, subscriptions, muteMs }) {
  const { Client, moving, sse, webSocket } = globalThis.bellwire;
  const all = { sse, websocket: webSocket() };
  const heard = (globalThis.heard = []);
  const moves = (globalThis.moves = []);
  const lives = [];
  for (let index = 0; index < subscriptions; index += 1) {
    const transport = moving(names.map((name) => all[name]), { muteMs, leftAloneMs: 600_000 });
    const client = (globalThis.client = new Client(url, { transport }));
    const subscription = client.subscribe('lab/a');
    subscription.addEventListener('move', ({ detail: { from, to, reason } }) => moves.push(`${from}>${to} ${reason}`));
    subscription.addEventListener('event', ({ detail }) => heard.push(`${index} ${detail.data}`));
    lives.push(subscription.ready());
  }
  await Promise.all(lives);
}

for (const [name, launch] of Object.entries(BROWSERS)) {
  test(`${name}: where the page's policy forbids WebSockets it comes over Server-Sent Events`, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const { server, page, faults } = await openLibrary(t, launch);
    await page.evaluate((url) => {
      const policy = document.createElement('meta');
      Object.assign(policy, { httpEquiv: 'Content-Security-Policy', content: `connect-src ${url}` });
      document.head.append(policy);
    }, server.url);
    await page.evaluate(followEach, { url: server.url, names: ['websocket', 'sse'], subscriptions: 1, muteMs: 60_000 });
    await page.evaluate(() => globalThis.client.publish('lab/a', 1));
    await page.waitForFunction(() => globalThis.heard.length === 1);
    assert.deepEqual([await page.evaluate(() => globalThis.moves), faults], [['websocket>sse failed'], []]);
  });

  test(`${name}: who finds all connections used up comes over a WebSocket, and publishes over it`, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const { server, page, faults } = await openLibrary(t, launch);
    const subscriptions = CONNECTIONS + 1;
    await page.evaluate(followEach, { url: server.url, names: ['sse', 'websocket'], subscriptions, muteMs: 2_000 });
    assert.ok(await page.evaluate(() => globalThis.moves.includes('sse>websocket mute')));
    await page.evaluate(() => globalThis.client.publish('lab/a', 1));
    await page.waitForFunction((count) => globalThis.heard.length === count, subscriptions);
    const heard = await page.evaluate(() => globalThis.heard.sort());
    assert.deepEqual(heard, Array.from({ length: subscriptions }, (_, index) => `${index} 1`));
    assert.deepEqual(faults, []);
  });
}

test('Chromium: where storage is full the cursor of before stays, and events come all the same', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openLibrary(t);
  const given = await page.evaluate(async (url) => {
    const client = new globalThis.bellwire.Client(url);
    const refused = (globalThis.refused = []);
    const store = {
      get: () => localStorage.getItem('cursor'),
      set(cursor) {
        try {
          localStorage.setItem('cursor', cursor);
        } catch (error) {
          refused.push(error.name);
          throw error;
        }
      },
    };
    const follow = () => client.subscribe('lab/a', { after: 'earliest', store })[Symbol.asyncIterator]();
    const next = async (iterator) => (await iterator.next()).value.data;
    const taken = [];
    await client.publish('lab/a', 1);
    const first = follow();
    taken.push(await next(first));
    await first.return();
    // What is at hand is full to its last character.
    localStorage.setItem('ballast', '');
    for (let length = 2 ** 24; length >= 1; length = Math.floor(length / 2)) {
      try {
        localStorage.setItem('ballast', localStorage.getItem('ballast') + 'x'.repeat(length));
        length *= 2;
      } catch {
        // A smaller piece may fit.
      }
    }
    const cursor = localStorage.getItem('cursor');
    // Longer than the one before, so that it does not fit in its place.
    const long = { get: store.get, set: (newer) => store.set(newer + 'x'.repeat(100)) };
    const second = client.subscribe('lab/a', { store: long })[Symbol.asyncIterator]();
    await client.publish('lab/a', 2);
    taken.push(await next(second));
    await second.return();
    const kept = localStorage.getItem('cursor');
    localStorage.removeItem('ballast');
    const third = follow();
    taken.push(await next(third));
    await third.return();
    client.close();
    return { taken, isSame: kept === cursor, refused };
  }, server.url);
  assert.deepEqual(given, { taken: [1, 2, 2], isSame: true, refused: ['QuotaExceededError'] });
  assert.deepEqual(faults, []);
});

test('Chromium: a page that was frozen has all that came meanwhile once it is thawed', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openLibrary(t);
  await page.evaluate(followEach, { url: server.url, names: ['sse'], subscriptions: 1, muteMs: 60_000 });
  const session = await page.context().newCDPSession(page);
  const publish = async (text) => {
    const response = await fetch(`${server.url}/v1/topics/lab/a`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(text) });
    assert.equal(response.status, 201);
  };
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  for (let count = 1; count <= 100; count += 1) await publish(count);
  // What it was connected to is gone when it wakes.
  await server.end('SIGKILL');
  await server.start();
  for (let count = 101; count <= 200; count += 1) await publish(count);
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  await page.waitForFunction(() => globalThis.heard.length >= 200);
  assert.deepEqual(await page.evaluate(() => globalThis.heard), Array.from({ length: 200 }, (_, index) => `0 ${index + 1}`));
  assert.deepEqual(faults, []);
});
