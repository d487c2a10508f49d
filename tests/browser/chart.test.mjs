// The example of a chart: a bare EventSource whose chart is full when it opens, goes on with what
// comes, and has all of it again after the server was away.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from '../server.mjs';
import { BINARY, CHROMIUM, CHROMIUM_FLAGS, PATIENCE_MS } from './setting.mjs';

const EXAMPLE = new URL('../../examples/chart.html', import.meta.url);

async function send(server, samples) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(samples);
  const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

const sample = (site, timestamp, value) => ({ name: 'temperature', labels: { site }, value, timestamp });

test('a chart is full when it opens, and goes on', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'bellwire-browser-'));
  const closings = [() => rm(data, { recursive: true, force: true })];
  t.after(async () => {
    for (const close of closings.reverse()) await close();
  });
  const html = await readFile(EXAMPLE);
  const pages = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(html));
  await new Promise((done) => pages.listen(0, '127.0.0.1', done));
  closings.push(() => new Promise((done) => pages.close(done)));
  const origin = `http://127.0.0.1:${pages.address().port}`;
  const server = new Server(BINARY, 'serve', join(data, 'journal'), ['--allowed-origins', origin]);
  process.on('exit', () => server.kill());
  closings.push(() => server.end('SIGKILL'));
  await server.start();

  const start = Date.now() - 5 * 60_000;
  const minutes = [0, 1, 2, 3, 4];
  await send(server, minutes.flatMap((minute) => ['oslo', 'bergen'].map((site) => sample(site, start + minute * 60_000, minute))));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  closings.push(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  const counts = () => page.evaluate(() => [...series.values()].map((points) => points.length).sort());
  const lines = (points) => page.waitForFunction(
    (points) => [...document.querySelectorAll('polyline')].map((it) => it.points.length).sort().join() === points,
    points,
  );
  // The samples are shown a moment after they are answered.
  const topic = `${server.url}/v1/topics/samples/temperature?history=15m`;
  const isShown = async () => (await (await fetch(topic)).json()).events.every((it) => it.data.values?.length === 5);
  while (!await isShown()) await new Promise((done) => setImmediate(done));
  await page.goto(`${origin}/?server=${server.url}&topic=samples/temperature`);
  await page.locator('svg[data-state="live"]').waitFor();
  assert.deepEqual(await counts(), [5, 5]);
  await lines('5,5');
  await send(server, [sample('oslo', start + 5 * 60_000, 7.5)]);
  await lines('5,6');
  await send(server, [sample('bergen', start + 5 * 60_000, 8.5)]);
  await lines('6,6');
  assert.deepEqual(faults, []);
});
