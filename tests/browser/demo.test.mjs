// The promise to a browser, kept by the real binary and a real Chromium: alerts show up, and a
// bare `EventSource` misses nothing and gets nothing twice while the server is killed under it.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

/** A test waits several times; what it waits for explains more than the test's own end. */
const TEST_PATIENCE_MS = 5 * PATIENCE_MS;

/** How many of the page's own lines are shown; a page that reconnects repeats itself. */
const PAGE_LINES_MAX = 20;

let data;
let server;
let browser;
let page;
const pageOutput = [];

before(async () => {
  data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  server = new Server(BINARY, 'demo', data);
  process.on('exit', () => server.kill());
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  await server.start();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('console', (line) => pageOutput.push(`${line.type()}: ${line.text()}`));
  page.on('pageerror', (error) => pageOutput.push(`uncaught: ${error.message}`));
  await page.goto(server.url);
});

after(async () => {
  await browser?.close();
  await server?.end('SIGKILL');
  if (data) await rm(data, { recursive: true, force: true });
});

let passed = false;

afterEach(async () => {
  if (passed) return void (passed = false);
  const alerts = await page?.locator('.board').evaluate((e) => e.outerHTML, { timeout: 1000 })
    .catch((error) => error.message);
  console.error(`--- server\n${server?.output}`);
  console.error(`--- page\n${pageOutput.slice(-PAGE_LINES_MAX).join('\n')}`);
  console.error(`--- alerts\n${alerts?.slice(0, 4000)}`);
});

/** A test that says so when it passes: `afterEach` of Node 20 is not told. */
function proves(name, body) {
  test(name, { timeout: TEST_PATIENCE_MS }, async () => {
    await body();
    passed = true;
  });
}

/** Waits until the board shows, or at least holds, the element. */
const shows = (selector) => server.whileRunning(page.waitForSelector(selector));
const holds = (selector) =>
  server.whileRunning(page.waitForSelector(selector, { state: 'attached' }));

const FIRING = '.rows .row:is([data-state="firing"], [data-lane="firing"])';
const LIVE = '#connection[data-state="live"]';
const RECONNECTING = '#connection[data-state="waiting"]';

proves('a firing alert appears on the board', async () => {
  await holds(LIVE);
  await shows(FIRING);
  // Whoever looks at the board is seen.
  await shows('.here-count:text-is("Only you")');
});

proves('the board says when it is cut off, and comes back by itself', async () => {
  await holds(LIVE);
  await server.end('SIGKILL');
  await holds(RECONNECTING);
  await server.start();
  await holds(LIVE);
  await shows(FIRING);
});

for (const signal of ['SIGKILL', 'SIGTERM']) {
  proves(`an EventSource resumes exactly after ${signal}`, async () => {
    const topic = `lab/${signal.toLowerCase()}`;
    await collect(topic);
    await waitFor((seen) => seen.readies === 1);

    await publish(topic, 1, 20);
    await waitFor((seen) => seen.events.at(-1)?.count >= 20);
    // Acknowledged, but perhaps not yet delivered, when the server goes down.
    await publish(topic, 21, 40);
    await server.end(signal);
    await server.start();
    // Some of these are published before the browser is back, and so have to wait for it.
    await publish(topic, 41, 60);
    await waitFor((seen) => seen.readies >= 2 && seen.events.at(-1)?.count >= 60);
    await publish(topic, 61, 70);
    await waitFor((seen) => seen.events.at(-1)?.count >= 70);

    const seen = await stopCollecting();
    assert.deepEqual(seen.events.map((event) => event.count), range(1, 70));
    assert.equal(new Set(seen.events.map((event) => event.id)).size, 70, 'every id is new');
    assert.deepEqual(seen.gaps, []);
  });
}

/** Follows the topic in the page with nothing but what browsers bring. */
async function collect(topic) {
  await page.evaluate((topic) => {
    const seen = { events: [], readies: 0, gaps: [] };
    const source = new EventSource('/v1/events?topic=lab/**');
    source.onmessage = (event) => {
      const body = JSON.parse(event.data);
      if (body.topic !== topic) return;
      seen.events.push({ id: event.lastEventId, count: body.data.count });
    };
    source.addEventListener('ready', () => (seen.readies += 1));
    source.addEventListener('gap', (event) => seen.gaps.push(event.data));
    window.collected = { seen, source };
  }, topic);
}

async function stopCollecting() {
  return page.evaluate(() => {
    window.collected.source.close();
    return window.collected.seen;
  });
}

/**
 * Waits until what the page has seen is as expected; says what it saw if that never comes.
 * The condition is looked at from here: the page's content policy allows no `eval` within it.
 */
async function waitFor(expected) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await server.whileRunning(page.evaluate(() => window.collected.seen));
    if (expected(seen)) return;
    if (Date.now() > deadline) {
      throw new Error(`waited in vain for ${expected}; seen: ${JSON.stringify(seen)}`);
    }
    await setTimeout(50);
  }
}

/** Publishes a counter, one acknowledged event after the other. */
async function publish(topic, first, last) {
  for (const count of range(first, last)) {
    const response = await fetch(`${server.url}/v1/topics/${topic}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ count }),
    });
    assert.equal(response.status, 201, await response.text());
  }
}

function range(first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
