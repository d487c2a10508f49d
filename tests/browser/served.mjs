// A server with what a test needs, and a page of it that is not opened yet.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

/** `config` and `rules` are the texts of files. At the end the page has met no fault. */
export async function serve(t, { config = '', rules = '', view = {} } = {}) {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const flags = [];
  for (const [flag, name, text] of [['--config', 'bellwire.toml', config], ['--rules', 'rules.yml', rules]]) {
    if (!text) continue;
    await writeFile(join(data, name), text);
    flags.push(flag, join(data, name));
  }
  const server = new Server(BINARY, 'serve', join(data, 'journal'), flags);
  await server.start();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  const page = await browser.newPage({ locale: 'en', ...view });
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  t.after(async () => {
    await browser.close();
    await server.end('SIGKILL');
    await rm(data, { recursive: true, force: true });
    assert.deepEqual(faults, []);
  });
  const post = async (path, body, headers = {}) => {
    const answer = await fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
  };
  const open = (hash) => page.goto(`${server.url}/#/${hash}`);
  return { server, page, post, open, data };
}
