// Over HTTPS a browser speaks HTTP/2: streams share one connection, and more than the six that
// HTTP/1.1 would allow are open at once.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { HAS_OPENSSL, makeCertificate } from '../certificate.mjs';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const STREAMS = 8;

let data;
let server;
let browser;
let page;

if (HAS_OPENSSL) {
  before(start);
  after(end);
  test(`${STREAMS} EventSources share a connection`, { timeout: 5 * PATIENCE_MS }, sharesConnection);
  test('a WebSocket talks beside them on the same connection', { timeout: 5 * PATIENCE_MS }, talks);
} else {
  console.error('SKIPPED: there is no openssl on this machine');
  test('a browser speaks HTTP/2', { skip: 'there is no openssl' }, () => {});
}

async function start() {
  data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const { flags } = makeCertificate(data);
  server = new Server(BINARY, 'serve', join(data, 'journal'), flags);
  process.on('exit', () => server.kill());
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  await server.start();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  page = await browser.newPage({ ignoreHTTPSErrors: true });
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(server.url);
}

async function end() {
  await browser?.close();
  await server?.end('SIGKILL');
  if (data) await rm(data, { recursive: true, force: true });
}

async function sharesConnection() {
  const texts = await server.whileRunning(page.evaluate(async (count) => {
    const sources = Array.from({ length: count }, () => new EventSource('/v1/events?topic=lab/a'));
    const heard = (source, type) =>
      new Promise((resolve) => source.addEventListener(type, resolve, { once: true }));
    await Promise.all(sources.map((source) => heard(source, 'ready')));
    const events = Promise.all(sources.map((source) => heard(source, 'message')));
    const answer = await fetch('/v1/topics/lab/a', { method: 'POST', body: '"to all"' });
    if (answer.status !== 201) throw new Error(await answer.text());
    const datas = (await events).map((event) => JSON.parse(event.data).data);
    window.sources = sources;
    return datas;
  }, STREAMS));
  assert.deepEqual(texts, Array(STREAMS).fill('"to all"'));
  const protocols = await page.evaluate(() =>
    [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
      .map((entry) => entry.nextHopProtocol));
  assert.ok(protocols.length > 0);
  assert.deepEqual(new Set(protocols), new Set(['h2']));
}

async function talks() {
  const said = await server.whileRunning(page.evaluate(async () => {
    const url = new URL('/v1/events?topic=lab/b', location).href.replace('https:', 'wss:');
    const socket = new WebSocket(url, ['bellwire.v1.json']);
    const said = [];
    await new Promise((resolve, reject) => {
      socket.onerror = () => reject(new Error('no WebSocket'));
      socket.onclose = (event) => reject(new Error(`closed: ${event.code} ${event.reason}`));
      socket.onmessage = ({ data }) => {
        said.push(JSON.parse(data));
        const { control, topic } = said.at(-1);
        const request = { request: 'publish', topic: 'lab/b', data: 'back' };
        if (control === 'ready') socket.send(JSON.stringify(request));
        if (topic) resolve();
      };
    });
    return said;
  }));
  assert.equal(said.at(-1).data, 'back');
  // One that was opened ahead is closed once it is seen that there is no need for it.
  const deadline = Date.now() + PATIENCE_MS;
  while ((await connections()) !== 1) {
    assert.ok(Date.now() < deadline, `${await connections()} connections are open`);
    await setTimeout(50);
  }
}

/** Connections of the browser to the server, as the system has them. */
async function connections() {
  const port = Number(new URL(server.url).port).toString(16).toUpperCase().padStart(4, '0');
  const table = await readFile('/proc/net/tcp', 'utf8');
  const established = new RegExp(`^ *\\d+: \\w+:\\w+ \\w+:${port} 01 `, 'gm');
  return [...table.matchAll(established)].length;
}
