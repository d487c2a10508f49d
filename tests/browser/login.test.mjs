// Who is at the page: the login, the way out, and what becomes of the board when a session ends.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { PASSWORD, provesLogin } from './login.mjs';
import { shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const login = (page) => page.getByRole('dialog', { name: 'Log in' });
const submit = (page) => login(page).getByRole('button', { name: 'Log in' });
const says = (page, text) => login(page).getByRole('alert').filter({ hasText: text }).waitFor();
const content = (page) => page.locator('#content');
const boiler = (page) => content(page).getByText('BoilerHot').first();
const state = (page, text) => page.locator('#connection .state', { hasText: text }).waitFor();
const account = (page) => page.locator('.account');

async function logOut(page) {
  await account(page).getByRole('button', { name: 'Account of' }).click();
  await account(page).getByRole('button', { name: 'Log out' }).click();
}

async function withKey(page, key) {
  await login(page).waitFor();
  const choice = login(page).getByLabel('Token or key', { exact: true });
  if (await choice.isVisible()) await choice.check();
  await login(page).getByLabel('Token or API key').fill(key);
  await submit(page).click();
}

async function isOn(page, subject) {
  await boiler(page).waitFor();
  await state(page, 'Live');
  assert.equal(await account(page).locator('.subject').textContent(), subject);
  await login(page).waitFor({ state: 'hidden' });
}

provesLogin('a key opens the board, a wrong one does not, and whoever logs out leaves nothing on the screen', { hasUser: false }, async ({ page, url, keys }) => {
  await page.goto(url);
  await login(page).waitFor();
  assert.ok(await content(page).isHidden(), 'there is nothing to see but the login');
  assert.ok(await page.getByRole('navigation').isHidden());
  assert.ok(await login(page).getByLabel('Password', { exact: true }).isHidden(), 'nobody has a password here');
  await shoot(page, 'login-key');
  await withKey(page, `${keys.red.slice(0, -4)}AAAA`);
  await says(page, 'This token or key does not count here');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'token');
  await shoot(page, 'login-key-wrong');
  // Pasted with what stands around it.
  await withKey(page, ` ${keys.red}\n`);
  await isOn(page, 'red');
  await shoot(page, 'logged-in');
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script sees the session');
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite], ['__Host-bellwire', true, true, 'Lax']);
  await page.reload();
  await isOn(page, 'red');

  await logOut(page);
  await login(page).waitFor();
  assert.equal(await content(page).innerText(), '');
  assert.deepEqual(await page.context().cookies(), []);
  const headers = { cookie: `${cookie.name}=${cookie.value}` };
  assert.equal((await fetch(`${url}/v1/whoami`, { headers })).status, 401, 'the session has ended, not its cookie alone');
});

provesLogin('whoever logs out leaves nothing in another tab, nor in what the browser keeps of pages', {}, async ({ page, url, keys }) => {
  await page.goto(url);
  await withKey(page, keys.red);
  await isOn(page, 'red');
  const [tab, aside] = [await page.context().newPage(), await page.context().newPage()];
  for (const other of [tab, aside]) {
    other.setDefaultTimeout(PATIENCE_MS);
    await other.goto(url);
    await isOn(other, 'red');
  }
  await aside.goto('about:blank');
  await logOut(page);
  await login(page).waitFor();
  await aside.goBack();
  for (const other of [tab, aside]) {
    await login(other).waitFor();
    await boiler(other).waitFor({ state: 'detached' });
    assert.ok(await content(other).isHidden(), 'there is nothing to see but the login');
  }
});

provesLogin('with the keyboard alone: a name, a password, what is wrong with them, and the other way', {}, async ({ page, url, keys }) => {
  await page.goto(url);
  await login(page).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.name || document.activeElement.id);
  await page.waitForFunction(() => document.activeElement.name === 'username');
  const input = login(page).getByLabel('Name', { exact: true });
  assert.equal(await input.getAttribute('autocomplete'), 'username');
  assert.equal(await page.locator('[name="password"]').getAttribute('autocomplete'), 'current-password');
  await shoot(page, 'login');
  await page.keyboard.type('ann');
  await page.keyboard.press('Tab');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Enter');
  await says(page, 'Name or password is wrong.');
  assert.equal(await focused(), 'password');
  await shoot(page, 'login-wrong');
  // The other way, and back.
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'way');
  await page.keyboard.press('ArrowRight');
  assert.ok(await login(page).getByLabel('Token or API key').isVisible());
  assert.equal(await login(page).getByRole('alert').filter({ hasText: /./ }).count(), 0, 'what was wrong with the other way is gone');
  await shoot(page, 'login-other-way');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'password');
  await page.keyboard.press('Control+A');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await isOn(page, 'ann');
  assert.equal(await page.locator('[name="password"]').count(), 0, 'it is kept nowhere');
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.ok(!kept.includes(PASSWORD), kept);
  // The sheet of the account opens, closes and gives the focus back.
  const sheet = account(page).getByRole('button', { name: 'Account of ann' });
  await sheet.focus();
  await page.keyboard.press('Enter');
  await account(page).getByText('Role: team').waitFor();
  await page.keyboard.press('Escape');
  await account(page).getByText('Role: team').waitFor({ state: 'hidden' });
  assert.ok(await sheet.evaluate((button) => button === document.activeElement));
  await page.keyboard.press('Enter');
  const out = account(page).getByRole('button', { name: 'Log out' });
  for (let steps = 0; !(await out.evaluate((button) => button === document.activeElement)); steps += 1) {
    assert.ok(steps < 5, 'it is reached from the name');
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
  await withKey(page, keys.red);
  await isOn(page, 'red');
});

provesLogin('a session that is taken back ends under the board, which stays and goes on after a login', {}, async ({ page, url, keys, ask }) => {
  await page.goto(url);
  await withKey(page, keys.red);
  await isOn(page, 'red');
  const { session } = await page.evaluate(async () => (await fetch('v1/whoami')).json());
  await ask('POST', '/v1/revocations', { session });
  await login(page).getByText('Your session was ended.').waitFor();
  await state(page, 'Not logged in');
  assert.ok(await boiler(page).isVisible(), 'what was there stays');
  assert.match(await page.title(), /\?/, 'and is not said to be so now');
  await page.locator('#trouble', { hasText: /Nobody is logged in\. Not connected: what is shown is \d+ s old/ }).waitFor();
  await shoot(page, 'ended');
  // Turned down, the board can be read, and there is a way back.
  await page.keyboard.press('Escape');
  await login(page).waitFor({ state: 'hidden' });
  assert.ok(await boiler(page).isVisible());
  await shoot(page, 'ended-turned-down');
  await ask('POST', '/api/v2/alerts', [{ labels: { alertname: 'Meanwhile', site: 'oslo', severity: 'critical' } }]);
  const streams = [];
  page.on('request', (request) => request.url().includes('/v1/events?') && streams.push(new URL(request.url())));
  await page.locator('#log-in').click();
  await withKey(page, keys.red);
  await content(page).getByText('Meanwhile').first().waitFor();
  await isOn(page, 'red');
  assert.match(streams[0].searchParams.get('after'), /^e/, 'it goes on from where it was');
  assert.equal(await page.locator('#gaps').count(), 0);
});

provesLogin('a logout that fails says so, until nobody is logged in any more', {}, async ({ page, url, keys, ask }) => {
  await page.goto(url);
  await withKey(page, keys.red);
  await isOn(page, 'red');
  await page.route('**/v1/session', (route) => (route.request().method() === 'DELETE' ? route.abort() : route.continue()));
  await logOut(page);
  const fault = page.getByText('You are still logged in');
  await fault.waitFor();
  const { session } = await page.evaluate(async () => (await fetch('v1/whoami')).json());
  await ask('POST', '/v1/revocations', { session });
  await login(page).getByText('Your session was ended.').waitFor();
  assert.ok(await fault.isHidden());
});

provesLogin('what somebody saw is not left to somebody else', {}, async ({ page, url, keys, ask }) => {
  await page.goto(url);
  await withKey(page, keys.root);
  await isOn(page, 'root');
  const { session } = await page.evaluate(async () => (await fetch('v1/whoami')).json());
  await ask('POST', '/v1/revocations', { session });
  await login(page).waitFor();
  await page.evaluate(() => (window.isOld = true));
  await withKey(page, keys['wall-screen']);
  await page.waitForFunction(() => !window.isOld);
  await isOn(page, 'wall-screen');
});

provesLogin('who may only look is told so, and why', {}, async ({ page, url, keys }) => {
  await page.goto(url);
  await withKey(page, keys['wall-screen']);
  await isOn(page, 'wall-screen');
  const told = page.locator('#view-only');
  assert.ok(await told.isVisible());
  assert.match(await told.getAttribute('title'), /attend/);
  await told.focus();
  await shoot(page, 'view-only');
});

provesLogin('who may follow nothing is told what is missing', {}, async ({ page, url, keys }) => {
  await page.goto(url);
  await withKey(page, keys['boiler-7']);
  await page.locator('#trouble', { hasText: 'This page follows alerts/active and alerts/events/**, and your roles lack the right “subscribe”.' }).waitFor();
  await state(page, 'Refused');
  assert.match(await page.title(), /\?/);
  assert.equal(await account(page).locator('.subject').textContent(), 'boiler-7');
  await shoot(page, 'forbidden');
  // Roles change: it is asked again.
  const asked = page.waitForRequest('**/v1/whoami');
  await page.locator('#trouble').getByRole('button', { name: 'Try again' }).click();
  await asked;
});

provesLogin('strangers who may look see the board, and a way in', { access: 'anonymous = "viewer"' }, async ({ page, url, keys }) => {
  await page.goto(url);
  await boiler(page).waitFor();
  await state(page, 'Live');
  assert.ok(await login(page).isHidden());
  assert.equal(await account(page).count(), 0);
  assert.match(await page.locator('#view-only').getAttribute('title'), /attend/);
  await shoot(page, 'stranger');
  await page.locator('#log-in').click();
  await shoot(page, 'stranger-login');
  await withKey(page, keys.red);
  await account(page).locator('.subject', { hasText: 'red' }).waitFor();
  await isOn(page, 'red');
  assert.equal(await page.locator('#view-only').count(), 0);
  await logOut(page);
  await page.locator('#log-in').waitFor();
  await boiler(page).waitFor();
});

provesLogin('too many wrong passwords: it is said when there is another try', {}, async ({ page, url }) => {
  await page.goto(url);
  await login(page).getByLabel('Name', { exact: true }).fill('ann');
  for (let tries = 0; !(await login(page).getByText('Too many wrong passwords').isVisible()); tries += 1) {
    assert.ok(tries < 40, 'there is an end to it');
    await login(page).getByLabel('Password', { exact: true }).fill(`guess ${tries}`);
    const answered = page.waitForResponse('**/v1/session');
    await submit(page).click();
    await answered;
    await login(page).locator('#login-error:not(:empty)').waitFor();
  }
  await says(page, /Try again in \d+ s, at \d\d:\d\d:\d\d\./);
  await shoot(page, 'login-exhausted');
});

provesLogin('a browser that does not keep the session says why', { browser: ['--host-resolver-rules=MAP bell.example 127.0.0.1'], flags: ['--hosts', 'bell.example'] }, async ({ page, url, keys }) => {
  await page.goto(url.replace('localhost', 'bell.example'));
  await withKey(page, keys.red);
  await says(page, 'it keeps sessions over HTTPS only. Open https://bell.example');
  await shoot(page, 'login-not-kept');
  assert.deepEqual(await page.context().cookies(), []);
});

provesLogin('a cookie that somebody else has planted makes nobody of the browser', {}, async ({ page, url, keys }) => {
  const planted = { domain: 'localhost', path: '/', secure: true, httpOnly: true, sameSite: 'Lax', name: '__Host-bellwire' };
  await page.context().addCookies([{ ...planted, value: 'bws_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }]);
  await page.goto(url);
  await withKey(page, keys.red);
  await isOn(page, 'red');
  // Without the prefix a page of another name could have set it, and it is no session of ours.
  const [{ value }] = await page.context().cookies();
  await page.context().clearCookies();
  await page.context().addCookies([{ ...planted, name: 'bellwire', value }]);
  await page.goto(url);
  await login(page).waitFor();
});

provesLogin('a page of another origin cannot use the session', {}, async ({ page, url, keys, ask, atEnd }) => {
  await page.goto(url);
  await withKey(page, keys.root);
  await isOn(page, 'root');
  const other = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html>'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  atEnd(() => other.close());
  // Of the same site, so that the browser sends the cookie along.
  const evil = await page.context().newPage();
  await evil.goto(`http://localhost:${other.address().port}`);
  const got = await evil.evaluate(async (url) => {
    const read = (path, options) => fetch(url + path, { credentials: 'include', ...options })
      .then(async (answer) => `${answer.type} ${answer.status} ${(await answer.text()).length}`, () => 'refused');
    const stream = new Promise((resolve) => {
      const source = new EventSource(`${url}/v1/events?topic=alerts/active`, { withCredentials: true });
      source.onopen = () => resolve('open');
      source.onerror = () => resolve('refused');
    });
    const socket = new Promise((resolve) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/events?topic=alerts/active`, ['bellwire.v1.json']);
      socket.onopen = () => resolve('open');
      socket.onerror = () => resolve('refused');
    });
    const blind = { method: 'POST', mode: 'no-cors', body: '1' };
    return [await read('/v1/whoami'), await read('/v1/alerts'), await read('/v1/session', { method: 'DELETE' }),
      await stream, await socket, await read('/v1/topics/lab/a', blind)];
  }, url);
  assert.deepEqual(got, ['refused', 'refused', 'refused', 'refused', 'refused', 'opaque 0 0']);
  const { events } = await (await ask('GET', '/v1/topics/lab/a')).json();
  assert.deepEqual(events, [], 'what it sent without looking has not come from anybody');
  await page.reload();
  await isOn(page, 'root');
});
