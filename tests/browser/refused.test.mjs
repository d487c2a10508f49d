// A bare `EventSource` outlives a server that has no room for it: it is told why, and comes back by
// itself. At any status but 200 a browser would give up for good.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

test('an EventSource waits until there is room', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  t.after(() => rm(data, { recursive: true, force: true }));
  const server = new Server(BINARY, 'serve', data, ['--connections-max', '1']);
  process.on('exit', () => server.kill());
  await server.start();
  t.after(() => server.end('SIGKILL'));

  const leave = new AbortController();
  const first = await fetch(`${server.url}/v1/events?topic=lab/a`, { signal: leave.signal });
  assert.equal(first.status, 200);

  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  // A page of the server's origin that takes no connection.
  await page.route(`${server.url}/`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.goto(server.url);
  await page.evaluate(() => {
    window.heard = [];
    window.source = new EventSource('/v1/events?topic=lab/a');
    for (const type of ['bye', 'ready']) source.addEventListener(type, (event) => heard.push(JSON.parse(event.data)));
  });
  await page.waitForFunction(() => heard.length > 0);
  const [bye] = await page.evaluate(() => heard);
  assert.deepEqual([bye.control, bye.reason, bye.status], ['bye', 'connections_exhausted', 503]);
  assert.ok(bye.retry_ms >= 5000 && bye.detail);
  assert.notEqual(await page.evaluate(() => source.readyState), 2, 'it has not given up');

  leave.abort();
  await page.waitForFunction(() => heard.at(-1).control === 'ready');
  assert.equal(await page.evaluate(() => source.readyState), 1);
});
