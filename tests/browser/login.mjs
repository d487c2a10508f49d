// A server that asks who somebody is, with keys and a user, and a browser before it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

export const PASSWORD = 'correct horse battery staple';

const ROLES = `
[[access.role]]
name = "team"
subscribe = ["alerts/**", "samples/**"]
ingest = ["{}"]
query = ["{}"]
alerts = ["{}"]
attend = ["{}"]
post_alerts = ["{}"]

[[access.role]]
name = "viewer"
subscribe = ["alerts/**", "samples/**"]
query = ["{}"]
alerts = ["{}"]

[[access.role]]
name = "sensor"
publish = ["devices/{sub}/**"]
ingest = ["{}"]
`;

const KEYS = { red: 'team', 'wall-screen': 'viewer', 'boiler-7': 'sensor', root: 'admin' };

const ALERTS = [
  { labels: { alertname: 'BoilerHot', site: 'oslo', severity: 'critical' }, annotations: { summary: 'Boiler at 93 °C' } },
  { labels: { alertname: 'DoorOpen', site: 'rome', severity: 'warning' }, annotations: {} },
];

/** The keys by their subjects, and the configuration that has them and the user `ann`. */
function configure({ access = '', hasUser = true }) {
  const keys = {};
  let text = `[access]\n${access}\n${ROLES}`;
  for (const [subject, role] of Object.entries(KEYS)) {
    const made = execFileSync(BINARY, ['key', 'make', '--subject', subject, '--role', role]).toString();
    keys[subject] = made.slice(0, made.indexOf('\n'));
    text += made.slice(made.indexOf('\n'));
  }
  if (hasUser) {
    const options = { input: `${PASSWORD}\n`, stdio: ['pipe', 'pipe', 'ignore'] };
    text += `\n${execFileSync(BINARY, ['user', 'add', 'ann', '--role', 'team'], options)}`;
  }
  return { keys, text };
}

/** A test with a server that asks, alerts that fire on it, and a page that is not opened yet. */
export function provesLogin(name, given, body) {
  test(name, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
    const closings = [() => rm(data, { recursive: true, force: true })];
    t.after(async () => {
      for (const close of closings.reverse()) await close();
    });
    const { keys, text } = configure(given);
    await writeFile(join(data, 'bellwire.toml'), text);
    const server = new Server(BINARY, 'serve', join(data, 'journal'), ['--config', join(data, 'bellwire.toml'), ...(given.flags ?? [])]);
    process.on('exit', () => server.kill());
    closings.push(() => server.end('SIGKILL'));
    await server.start();
    const ask = asks(server, keys);
    await ask('POST', '/api/v2/alerts', ALERTS);
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...CHROMIUM_FLAGS, ...(given.browser ?? [])] });
    closings.push(() => browser.close());
    // Browsers keep a cookie that is for TLS alone over plain HTTP for this name only.
    const url = server.url.replace('127.0.0.1', 'localhost');
    const faults = [];
    const open = async (view = {}) => {
      const page = await (await browser.newContext(view)).newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('console', (message) => /Content Security Policy/.test(message.text()) && faults.push(message.text()));
      return page;
    };
    await server.whileRunning(body({ server, url, keys, ask, open, page: await open(), atEnd: (close) => closings.push(close) }));
    assert.deepEqual(faults, []);
  });
}

/** Asks the server as an administrator. */
function asks(server, keys) {
  return async (method, path, body) => {
    const headers = { authorization: `Bearer ${keys.root}`, 'content-type': 'application/json' };
    const answer = await fetch(server.url + path, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer;
  };
}
