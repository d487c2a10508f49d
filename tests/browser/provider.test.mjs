// A person logs in at a provider, in a real browser: the provider is a certified one that others wrote.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Provider from 'oidc-provider';
import { chromium } from 'playwright-core';
import { freePort } from '../port.mjs';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const SECRET = 'a secret / of the client + its own';

let data;
let provider;
let server;
let browser;

before(start);
after(end);
test('a person logs in at the provider and has a session', { timeout: 5 * PATIENCE_MS }, logsIn);
test('a code is good once, and in one browser', { timeout: 5 * PATIENCE_MS }, isGoodOnce);

async function start() {
  data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const port = await freePort();
  const own = `http://localhost:${port}`;
  const issuer = await provide(`${own}/v1/session/callback`);
  await writeFile(join(data, 'client.secret'), `${SECRET}\n`);
  const config = `
    external_url = "${own}"

    [[access.role]]
    name = "blue"
    subscribe = ["teams/blue/**"]

    [[access.issuer]]
    name = "${issuer}"
    discover = true
    roles_claim = "groups"
    claimable_roles = ["blue"]

    [access.login]
    issuer = "${issuer}"
    client_id = "bellwire"
    client_secret_file = "${join(data, 'client.secret')}"
    scopes = ["openid", "groups"]
  `;
  await writeFile(join(data, 'bellwire.toml'), config);
  server = new Server(BINARY, 'serve', join(data, 'journal'), ['--config', join(data, 'bellwire.toml')]);
  server.url = `http://127.0.0.1:${port}`;
  process.on('exit', () => server.kill());
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  await server.start();
  server.url = own;
  browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
}

/** Starts a provider that asks for PKCE, and has a group for everybody. */
async function provide(callback) {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const it = new Provider(issuer, {
    clients: [{ client_id: 'bellwire', client_secret: SECRET, redirect_uris: [callback] }],
    claims: { openid: ['sub'], groups: ['groups'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['of this test'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: ['blue', 'other'] }) }),
    pkce: { required: () => true },
    ttl: { Session: 3600, Interaction: 3600, Grant: 3600, IdToken: 60, AccessToken: 60 },
  });
  provider = createServer(it.callback());
  provider.listen(port, '127.0.0.1');
  await once(provider, 'listening');
  return issuer;
}

async function end() {
  await browser?.close();
  await server?.end('SIGKILL');
  provider?.closeAllConnections();
  provider?.close();
  if (data) await rm(data, { recursive: true, force: true });
}

/** A browser of somebody who has never been here. */
async function stranger() {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  return { context, page };
}

/** Fills in the provider's own pages: any name and password will do. */
async function logIn(page, name) {
  await page.fill('input[name=login]', name);
  await page.fill('input[name=password]', 'anything');
  await page.click('button[type=submit]');
  await page.click('button[type=submit]:has-text("Continue")');
}

async function logsIn() {
  const { context, page } = await stranger();
  await page.goto(`${server.url}/v1/session/login?return=/%3Fteam%3Dblue`);
  await logIn(page, 'ada');
  await page.waitForURL(`${server.url}/?team=blue`);
  const whoami = await page.evaluate(async () => (await fetch('/v1/whoami')).json());
  assert.equal(whoami.subject, 'ada');
  assert.equal(whoami.means, 'session');
  assert.deepEqual(whoami.roles, ['blue']);
  // The provider has cookies of its own: it is another port of the same host.
  const cookies = (await context.cookies(server.url)).filter((it) => it.name.startsWith('__Host-'));
  assert.deepEqual(cookies.map((it) => it.name), ['__Host-bellwire'], 'the login has ended');
  assert.ok(cookies[0].httpOnly && cookies[0].secure);
  await context.close();
}

async function isGoodOnce() {
  const { context, page } = await stranger();
  const returned = page.waitForRequest('**/v1/session/callback?*');
  await page.goto(`${server.url}/v1/session/login`);
  const login = (await context.cookies()).find((it) => it.name === '__Host-bellwire-login');
  await logIn(page, 'bob');
  const callback = (await returned).url();
  await page.waitForURL(`${server.url}/`);
  // Somebody else who has seen the address; then with the cookie of that login, too.
  const other = await stranger();
  for (const cookies of [[], [login]]) {
    await other.context.addCookies(cookies);
    const refused = await other.page.goto(callback);
    assert.equal(refused.status(), 403);
    assert.match(await other.page.textContent('h1'), /You are not logged in/);
    assert.deepEqual(await other.context.cookies(server.url), []);
  }
  const whoami = await page.evaluate(async () => (await fetch('/v1/whoami')).json());
  assert.equal(whoami.subject, 'bob', 'nobody was logged out by that');
  await context.close();
  await other.context.close();
}
