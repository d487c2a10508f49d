// A page that shows alerts, and pictures of it.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

/** Alerts that others post, as Alertmanager's API has them. */
export async function postAlerts(server, alerts) {
  const headers = { 'content-type': 'application/json' };
  const posted = await fetch(`${server.url}/api/v2/alerts`, { method: 'POST', headers, body: JSON.stringify(alerts) });
  assert.equal(posted.status, 200, await posted.text());
}

/** A page that shows these alerts, and what goes wrong on it. `hash` is where on the page it begins. */
export async function openPage(t, alerts, { hash = '', ...view } = {}) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const server = new Server(BINARY, 'serve', join(data, 'journal'));
  await server.start();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  t.after(async () => {
    await browser.close();
    await server.end('SIGKILL');
    await rm(data, { recursive: true, force: true });
  });
  await postAlerts(server, alerts);

  const page = await browser.newPage(view);
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(`${server.url}/${hash}`);
  return { server, page, faults };
}
/** For people to look at, where they say where to put it. */
export async function shoot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
