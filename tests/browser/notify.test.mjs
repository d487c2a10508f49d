// Notifications, sounds, and push messages for while no page is open.

import assert from 'node:assert/strict';
import { createECDH, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import ece from 'http_ece';
import { chromium } from 'playwright-core';
import { HAS_OPENSSL, makeCertificate } from '../certificate.mjs';
import { PushService } from '../push_service.mjs';
import { Server } from '../server.mjs';
import { shoot } from './page.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

/** How often a condition is looked at. */
const LOOK_INTERVAL_MS = 50;

/** Notes what the page shows and sounds. */
function note() {
  globalThis.shown = [];
  globalThis.tones = [];
  globalThis.Notification = class extends EventTarget {
    static permission = 'granted';
    static requestPermission = async () => 'granted';
    constructor(title, options) {
      super();
      shown.push({ title, ...options });
    }
  };
  AudioContext.prototype.createOscillator = new Proxy(AudioContext.prototype.createOscillator, {
    apply(create, context, given) {
      const made = Reflect.apply(create, context, given);
      tones.push(made.frequency);
      return made;
    },
  });
}

async function open(t, { flags = [], environment = {}, browserFlags = [], view = {} } = {}) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const server = new Server(BINARY, 'serve', join(data, 'journal'), flags, environment);
  await server.start();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...CHROMIUM_FLAGS, ...browserFlags] });
  const context = await browser.newContext({ locale: 'en-GB', ...view });
  context.setDefaultTimeout(PATIENCE_MS);
  t.after(async () => {
    await browser.close();
    await server.end('SIGKILL');
    await rm(data, { recursive: true, force: true });
  });
  return { server, browser, context };
}

async function post(server, ...alerts) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${server.url}/api/v2/alerts`, { method: 'POST', headers, body: JSON.stringify(alerts) });
  assert.equal(answer.status, 200, await answer.text());
}

const alert = (alertname, severity = 'critical', more = {}) => ({ labels: { alertname, severity, site: 'oslo' }, ...more });

/** A page that is live; what goes wrong on it is in `faults`. */
async function live(context, url) {
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(error.message));
  await page.goto(url);
  await page.locator('#connection[data-state="live"]').waitFor();
  return page;
}

/** What `look` finds, once it does. */
async function eventually(look) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${look}`);
    await setTimeout(LOOK_INTERVAL_MS);
  }
}

const openDialog = async (page) => {
  await page.locator('#notify-open').click();
  return page.getByRole('dialog', { name: /Notifications|Benachrichtigungen/ });
};

test('a burst is one notification in one tab of several, and what is not chosen is none', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const { server, context } = await open(t);
  await context.addInitScript(note);
  const pages = [await live(context, server.url), await live(context, server.url)];
  const dialog = await openDialog(pages[0]);
  await dialog.getByLabel('Notification: critical').check();
  await shoot(pages[0], 'notify-dialog');
  await post(server, alert('Hot'), alert('Wet'), alert('Dull', 'warning'));
  const shown = () => Promise.all(pages.map((page) => page.evaluate(() => shown)));
  await pages[0].waitForFunction(() => shown.length > 0);
  const [[first, ...more], others] = await shown();
  assert.deepEqual([more.length, others.length], [0, 0]);
  assert.equal(first.title, '2 alerts fire');
  assert.match(first.body, /critical: Hot · site=oslo\ncritical: Wet · site=oslo/);
  assert.equal(first.tag, 'bellwire-alerts');

  // The tab that did it goes, and another one takes its place.
  await pages[0].close();
  const over = new Date().toISOString();
  await post(server, alert('Hot', 'critical', { endsAt: over }));
  await pages[1].waitForFunction(() => shown.length > 0);
  const [last] = await pages[1].evaluate(() => shown);
  assert.deepEqual([last.title, last.silent], ['1 fires in all · Hot has resolved', true]);
  assert.match(last.body, /resolved: Hot/);
  assert.deepEqual(pages[1].faults, []);
});

test('what tells of news is asked for again where it did not come', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const { server, context } = await open(t);
  await context.addInitScript(note);
  await context.addInitScript(() => localStorage.setItem('bellwire-notify', JSON.stringify({ critical: { notification: true } })));
  let failed = 0;
  await context.route('**/assets/start-*.js', (route) => (failed++ === 0 ? route.abort() : route.continue()));
  const page = await live(context, server.url);
  await eventually(() => failed > 1);
  await post(server, alert('Hot'));
  await page.waitForFunction(() => shown.length === 1);
  assert.deepEqual(page.faults, []);
});

test('what is critical sounds three times, once somebody has pressed something', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const { server, context } = await open(t);
  await context.addInitScript(note);
  const told = { critical: { notification: true, sound: true }, warning: { notification: true }, info: { notification: true } };
  await context.addInitScript((told) => localStorage.setItem('bellwire-notify', told), JSON.stringify(told));
  const page = await live(context, server.url);
  const tones = () => page.evaluate(() => tones.length);
  const isShown = (count) => page.waitForFunction((count) => shown.length === count, count);
  await post(server, alert('Early'));
  await isShown(1);
  assert.equal(await tones(), 0, 'nobody has pressed anything');
  const dialog = await openDialog(page);
  await dialog.getByLabel('Hear the sound: warning').click();
  await page.waitForFunction(() => tones.length === 2);
  await post(server, alert('Hot'), alert('Dull', 'warning'));
  await isShown(2);
  assert.equal(await tones(), 5);
  await post(server, alert('Duller', 'info'));
  await isShown(3);
  assert.equal(await tones(), 5);
  assert.deepEqual(page.faults, []);
});

test('where notifications are denied the page says what to do', { timeout: 2 * PATIENCE_MS }, async (t) => {
  const { server, context } = await open(t, { view: { locale: 'de-DE' } });
  await context.addInitScript(() => {
    Object.defineProperty(Notification, 'permission', { get: () => 'denied' });
  });
  const page = await live(context, server.url);
  const dialog = await openDialog(page);
  await dialog.getByText('Dieser Browser lässt diese Seite nicht benachrichtigen').waitFor();
  assert.ok(await dialog.getByLabel('Meldung: critical').isDisabled());
  assert.ok(await dialog.getByLabel('Seite zu: critical').isDisabled());
  assert.ok(await dialog.getByLabel('Ton: critical').isEnabled());
  await shoot(page, 'notify-denied');
  await page.keyboard.press('Escape');
  assert.equal(await page.getByRole('dialog').count(), 0);
  // The focus comes back, a moment later.
  await page.locator('#notify-open:focus').waitFor();
});

test('without TLS the page says why it cannot notify', { timeout: 2 * PATIENCE_MS }, async (t) => {
  const { server, context } = await open(t, {
    flags: ['--hosts', 'bell.test'],
    browserFlags: ['--host-resolver-rules=MAP bell.test 127.0.0.1'],
  });
  const page = await live(context, `http://bell.test:${new URL(server.url).port}/`);
  const dialog = await openDialog(page);
  await dialog.getByText('This page came without TLS').waitFor();
  assert.deepEqual(page.faults, []);
});

test('where nothing can be kept all goes on', { timeout: 2 * PATIENCE_MS }, async (t) => {
  const { server, context } = await open(t);
  await context.addInitScript(note);
  await context.addInitScript(() => {
    const denied = () => { throw new DOMException('denied', 'SecurityError'); };
    for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get: denied });
  });
  const page = await live(context, server.url);
  const dialog = await openDialog(page);
  await dialog.getByLabel('Notification: critical').check();
  await post(server, alert('Hot'));
  await page.waitForFunction(() => shown.length === 1);
  assert.deepEqual(page.faults, []);
});

/** Gives the page a subscription of this browser's, since there is no push service of its maker's here. */
function subscribes({ endpoint, keys }) {
  let own = null;
  PushManager.prototype.getSubscription = async () => own;
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
    own = {
      options: { applicationServerKey: applicationServerKey.buffer },
      toJSON: () => ({ endpoint, expirationTime: null, keys }),
      unsubscribe: async () => { own = null; return true; },
    };
    return own;
  };
}

test('a push message is shown while no page is open, and leads to the alert', { timeout: 4 * PATIENCE_MS, skip: !HAS_OPENSSL && 'there is no openssl' }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwire-push-'));
  const { certificate, key } = makeCertificate(folder);
  const service = await PushService.start({ certificate, key });
  t.after(() => { service.end(); return rm(folder, { recursive: true, force: true }); });
  const { server, context } = await open(t, { environment: { SSL_CERT_FILE: certificate }, view: { locale: 'de-DE' } });
  await context.grantPermissions(['notifications'], { origin: server.url });
  const [privateKey, authSecret] = [createECDH('prime256v1'), randomBytes(16)];
  const keys = { p256dh: privateKey.generateKeys('base64url'), auth: authSecret.toString('base64url') };
  await context.addInitScript(subscribes, { endpoint: `${service.origin}/push/a`, keys });
  let page = await live(context, server.url);
  const dialog = await openDialog(page);
  await dialog.getByLabel('Seite zu: critical').check();
  await dialog.getByText('Dieser Browser erfährt es über localhost').waitFor();
  await shoot(page, 'notify-push');
  await dialog.getByRole('button', { name: 'Test senden' }).click();
  const read = async () => ece.decrypt((await service.next()).body, { version: 'aes128gcm', privateKey, authSecret }).toString();
  assert.equal(JSON.parse(await read()).about, 'test');

  // What the browser's own push service would do is done by the browser's tools.
  const target = await context.newCDPSession(page);
  const registered = new Promise((resolve) => {
    target.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => resolve(registrations[0]));
  });
  await target.send('ServiceWorker.enable');
  const { registrationId, scopeURL } = await registered;
  assert.equal(scopeURL, `${server.url}/`);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const deliver = (data) => target.send('ServiceWorker.deliverPushMessage', { origin: server.url, registrationId, data });
  const shown = () => page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    const all = await registration.getNotifications();
    return all.map(({ title, body, tag, silent, data }) => ({ title, body, tag, silent, data }));
  });
  const until = (is) => eventually(async () => {
    const [found] = await shown();
    return found && is(found) ? found : null;
  });
  await post(server, alert('Hot'), alert('Dull', 'info'));
  await deliver(await read());
  const hot = await until(({ title }) => title === 'Hot löst aus');
  assert.match(hot.body, /critical: Hot · site=oslo/);
  assert.equal((await shown()).length, 1);

  // What cannot be read is shown as news, too.
  await deliver('{"v":2}');
  await until(({ title }) => /Neues/.test(title));

  // A click leads the page that is open to the alert.
  const [worker] = context.serviceWorkers();
  await worker.evaluate(async (data) => {
    await registration.showNotification('Hot', { tag: 'bellwire-alerts', data });
    const [notification] = await registration.getNotifications({ tag: 'bellwire-alerts' });
    dispatchEvent(new NotificationEvent('notificationclick', { notification }));
  }, hot.data);
  await page.waitForFunction(() => location.hash.includes('alertname'));
  assert.equal(await page.evaluate(() => new URLSearchParams(location.hash.split('?')[1]).get('filter')), 'alertname="Hot"');

  // It handles pushes and clicks, and nothing that is loaded.
  assert.equal(await page.evaluate(() => fetch('healthz').then(({ ok }) => ok)), true);
  const source = await (await fetch(`${server.url}/push-worker.js`)).text();
  assert.doesNotMatch(source, /respondWith|["'`]fetch["'`]/);

  // The browser takes another subscription: its worker tells the server, without a page.
  const idOf = async () => (await (await fetch(`${server.url}/v1/push/subscriptions`)).json()).subscriptions.map(({ id }) => id).join();
  const before = await idOf();
  await worker.evaluate(({ endpoint, keys }) => {
    PushManager.prototype.subscribe = async () => ({ toJSON: () => ({ endpoint, expirationTime: null, keys }) });
    dispatchEvent(new ExtendableEvent('pushsubscriptionchange'));
  }, { endpoint: `${service.origin}/push/b`, keys });
  await eventually(async () => ![before, ''].includes(await idOf()) && !(await idOf()).includes(','));
  await post(server, alert('Wet'));
  assert.match(await read(), /"alertname":"Wet"/);

  // Not to be told any more ends it at the server.
  await (await openDialogAgain(page)).getByLabel('Seite zu: critical').uncheck();
  const listed = async () => (await (await fetch(`${server.url}/v1/push/subscriptions`)).json()).subscriptions.length;
  await eventually(async () => await listed() === 0);

  // Who wants to be told of nothing is not subscribed again.
  await worker.evaluate(() => dispatchEvent(new ExtendableEvent('pushsubscriptionchange')));
  assert.equal(await worker.evaluate(async () => (await (await caches.open('bellwire-push')).keys()).length), 0);
  assert.equal(await listed(), 0);

  // Nor is who turns it off while the worker is at it.
  const ended = await worker.evaluate(async ({ endpoint, keys }) => {
    const cache = await caches.open('bellwire-push');
    await cache.put('push-order', new Response(JSON.stringify({ matchers: ['severity="critical"'], language: 'de', id: 'old' })));
    let isOver = false;
    PushManager.prototype.subscribe = async () => ({ toJSON: () => ({ endpoint, expirationTime: null, keys }), unsubscribe: async () => (isOver = true) });
    const asked = self.fetch;
    self.fetch = async (url, init) => {
      const answer = await asked(url, init);
      if (init?.method === 'POST') await cache.delete('push-order');
      return answer;
    };
    const event = new ExtendableEvent('pushsubscriptionchange');
    const done = new Promise((resolve) => { event.waitUntil = resolve; });
    dispatchEvent(event);
    await await done;
    self.fetch = asked;
    return [isOver, (await cache.keys()).length];
  }, { endpoint: `${service.origin}/push/c`, keys });
  assert.deepEqual([...ended, await listed()], [true, 0, 0]);
  assert.deepEqual(page.faults, []);
});

test('a server that does not answer is told of, and asked again', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const { server, context } = await open(t);
  await context.grantPermissions(['notifications'], { origin: server.url });
  await context.route('**/v1/push', () => {});
  const page = await live(context, server.url);
  const dialog = await openDialog(page);
  await dialog.getByLabel('Page closed: critical').check();
  await dialog.getByText(/^The server does not take it: /).waitFor();
  assert.deepEqual(page.faults, []);
});

async function openDialogAgain(page) {
  const there = page.getByRole('dialog');
  return await there.count() > 0 ? there : openDialog(page);
}
