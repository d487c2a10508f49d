// A browser's own WebSocket against the real binary: both subprotocols, compression, a page that is
// loaded again and goes on where it was, and pages of other origins, which are kept out.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { decode, encode } from '@msgpack/msgpack';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

/** A test waits several times; what it waits for explains more than the test's own end. */
const TEST_PATIENCE_MS = 5 * PATIENCE_MS;

let data;
let server;
let browser;

before(async () => {
  data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  server = new Server(BINARY, 'serve', data);
  process.on('exit', () => server.kill());
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  await server.start();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
});

after(async () => {
  await browser?.close();
  await server?.end('SIGKILL');
  if (data) await rm(data, { recursive: true, force: true });
});

/** A test with a page of the server's. */
function proves(name, body) {
  test(name, { timeout: TEST_PATIENCE_MS }, async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    try {
      await page.goto(server.url);
      await server.whileRunning(body(page));
    } catch (error) {
      console.error(`--- server\n${server.output}`);
      throw error;
    } finally {
      await page.close();
    }
  });
}

const PROTOCOLS = {
  'bellwire.v1.json': { write: (item) => JSON.stringify(item), read: JSON.parse },
  'bellwire.v1.msgpack': {
    write: (item) => [...encode(item)],
    read: (bytes) => decode(Uint8Array.from(bytes)),
  },
};

for (const [protocol, { write, read }] of Object.entries(PROTOCOLS)) {
  proves(`a page talks and is answered: ${protocol}`, async (page) => {
    await open(page, { query: 'topic=lab/page', protocol });
    const taken = async (fits) =>
      waitFor(page, (seen) => seen.items.map(read).find(fits));
    await taken((item) => item.control === 'ready');
    const { extensions, spoken } = await look(page);
    assert.equal(spoken, protocol);
    assert.match(extensions, /permessage-deflate/);

    const text = `${protocol}: æøå 🔔 `.repeat(5_000);
    const request = { request: 'publish', id: 7, topic: 'lab/page', data: { text } };
    await send(page, write(request));
    const { cursor } = await taken((item) => item.reply === 7);
    const event = await taken((item) => item.cursor === cursor && item.topic);
    assert.deepEqual(event.data, { text });

    await page.evaluate(() => window.talk.socket.close(4321, 'enough'));
    const { close } = await waitFor(page, (seen) => seen.close && seen);
    assert.deepEqual(close, { code: 4321, wasClean: true });
  });
}

proves('a page that is loaded again goes on where it was', async (page) => {
  await open(page, { query: 'topic=lab/reload', protocol: 'bellwire.v1.json' });
  const events = (seen) => seen.items.map(JSON.parse).filter((item) => item.topic);
  await waitFor(page, (seen) => seen.items.length > 0);
  await publish(1, 20);
  const first = await waitFor(page, (seen) => events(seen).length >= 20 && events(seen));

  await page.reload();
  // Nobody follows now.
  await publish(21, 40);
  const after = first.at(-1).cursor;
  await open(page, { query: `topic=lab/reload&after=${after}`, protocol: 'bellwire.v1.json' });
  await publish(41, 60);
  const second = await waitFor(page, (seen) => events(seen).length >= 40 && events(seen));
  const counts = [...first, ...second].map((event) => event.data.count);
  assert.deepEqual(counts, range(1, 60));
});

proves('a page of another origin is kept out', async (page) => {
  // Another port of the same host is another origin, and so is a page that has none.
  for (const foreign of [`data:text/html,${encodeURIComponent('<p>foreign')}`, 'about:blank']) {
    await page.goto(foreign);
    await open(page, { query: 'topic=lab/page', protocol: 'bellwire.v1.json' });
    const { close, items } = await waitFor(page, (seen) => seen.close && seen);
    assert.deepEqual(close, { code: 1006, wasClean: false });
    assert.deepEqual(items, []);
  }
});

/** Opens a WebSocket in the page, which collects what comes. */
async function open(page, { query, protocol }) {
  const url = `${server.url.replace('http', 'ws')}/v1/events?${query}`;
  await page.evaluate(({ url, protocol }) => {
    const socket = new WebSocket(url, protocol);
    socket.binaryType = 'arraybuffer';
    const seen = { items: [], close: null };
    socket.onmessage = ({ data }) =>
      seen.items.push(typeof data === 'string' ? data : [...new Uint8Array(data)]);
    socket.onclose = ({ code, wasClean }) => (seen.close = { code, wasClean });
    window.talk = { socket, seen };
  }, { url, protocol });
}

/** What the page has seen so far. */
async function look(page) {
  return page.evaluate(() => {
    const { socket, seen } = window.talk;
    return { ...seen, extensions: socket.extensions, spoken: socket.protocol };
  });
}

async function send(page, request) {
  await page.evaluate((request) => {
    window.talk.socket.send(typeof request === 'string' ? request : Uint8Array.from(request));
  }, request);
}

/** Waits until what the page has seen is as expected, and gives what was found in it. */
async function waitFor(page, expected) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look(page);
    const found = expected(seen);
    if (found) return found;
    if (Date.now() > deadline) {
      throw new Error(`waited in vain for ${expected}; seen: ${JSON.stringify(seen)}`);
    }
    await setTimeout(50);
  }
}

/** Publishes a counter, one acknowledged event after the other. */
async function publish(first, last) {
  for (const count of range(first, last)) {
    const response = await fetch(`${server.url}/v1/topics/lab/reload`, {
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
