// The client library in a real browser, on a page of another origin: its `fetch`, its WebSocket, and
// its network, which comes and goes.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openPages } from './example.mjs';
import { PATIENCE_MS } from './setting.mjs';

/** Built by the tests of clients/js, or by `npm run build` there. */
const CLIENT = new URL('../../clients/js/dist/index.js', import.meta.url);
const HTML = `<!doctype html><title>client</title>
<script type="module">import * as bellwire from '/client.js'; globalThis.bellwire = bellwire;</script>`;

const TEST_PATIENCE_MS = 5 * PATIENCE_MS;
const EVENTS = 2_000;
const BATCH = 20;
const MOVES = 50;
const DROPS = 10;

/** A page that has the client as `bellwire`, and a client of the server as `client`. */
async function openClient(t) {
  const script = await readFile(CLIENT);
  const parts = await openPages(t, (path) => (path === '/client.js'
    ? { type: 'text/javascript', text: script }
    : { type: 'text/html', text: HTML }));
  await parts.page.goto(parts.origin);
  await parts.page.waitForFunction(() => globalThis.bellwire);
  await parts.page.evaluate((url) => {
    const { Client, longPoll, moving, sse, webSocket } = globalThis.bellwire;
    globalThis.transport = moving([sse, webSocket(), longPoll()], { leftAloneMs: 500 });
    globalThis.client = new Client(url, { transport: globalThis.transport, random: () => 0.05 });
  }, parts.server.url);
  return parts;
}

test('client: through forced moves and network drops a page gets each event once, in order', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openClient(t);
  await page.evaluate(async () => {
    globalThis.counts = [];
    globalThis.moves = [];
    globalThis.gaps = 0;
    const subscription = globalThis.client.subscribe('lab/**', { after: 'earliest' });
    subscription.addEventListener('event', ({ detail }) => globalThis.counts.push(detail.data));
    subscription.addEventListener('move', ({ detail }) => globalThis.moves.push(detail));
    subscription.addEventListener('gap', () => { globalThis.gaps += 1; });
    await subscription.ready();
  });
  const headers = { 'content-type': 'application/json' };
  const publishing = (async () => {
    for (let count = 0; count < EVENTS; count += BATCH) {
      const events = Array.from({ length: BATCH }, (_, index) => ({ topic: `lab/${index % 3}`, data: count + index }));
      const response = await fetch(`${server.url}/v1/events`, { method: 'POST', headers, body: JSON.stringify(events) });
      assert.equal(response.status, 200);
      await setTimeout(20);
    }
  })();
  for (let drop = 0; drop < DROPS; drop += 1) {
    await page.context().setOffline(true);
    await setTimeout(50);
    await page.context().setOffline(false);
    await page.evaluate(async (wanted) => {
      const names = ['websocket', 'poll', 'sse'];
      for (let turn = 0; globalThis.moves.length < wanted; turn += 1) {
        globalThis.transport.move(names[turn % names.length]);
        await new Promise((resolve) => globalThis.setTimeout(resolve, 10));
      }
    }, (MOVES / DROPS) * (drop + 1));
  }
  await publishing;
  await page.waitForFunction((events) => globalThis.counts.length >= events, EVENTS);
  const { counts, moves, gaps } = await page.evaluate(() => ({ counts: globalThis.counts, moves: globalThis.moves, gaps: globalThis.gaps }));
  assert.deepEqual(counts, Array.from({ length: EVENTS }, (_, index) => index));
  const asked = moves.filter(({ reason }) => reason === 'asked');
  assert.deepEqual([...new Set(asked.map(({ to }) => to))].sort(), ['poll', 'sse', 'websocket']);
  assert.deepEqual([gaps, faults], [0, []]);
});

test('client: a page of another origin publishes, reads refusals, and comes back after a kill', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openClient(t);
  const published = await page.evaluate(() => globalThis.client.publish('chat/général', { text: 'hé' }, { type: 'note' }));
  assert.match(published.cursor, /^e\d+-\d+$/);
  const refused = await page.evaluate(async () => {
    const { ProblemError } = globalThis.bellwire;
    const refusals = [globalThis.client.publish('alerts/active', 1), globalThis.client.subscribe('a//b').ready()];
    return Promise.all(refusals.map((refusal) => refusal.catch((error) => [error instanceof ProblemError, error.status, error.code])));
  });
  assert.deepEqual(refused, [[true, 403, 'topic_reserved'], [true, 400, 'topic_invalid']]);
  await page.evaluate(async () => {
    globalThis.texts = [];
    const subscription = globalThis.client.subscribe('chat/**', { after: 'earliest' });
    void (async () => {
      for await (const { data } of subscription) globalThis.texts.push(data.text);
    })();
    await subscription.ready();
  });
  await server.end('SIGKILL');
  await server.start();
  await page.evaluate(() => globalThis.client.publish('chat/a', { text: 'back' }));
  await page.waitForFunction(() => globalThis.texts.length === 2);
  assert.deepEqual(await page.evaluate(() => globalThis.texts), ['hé', 'back']);
  assert.deepEqual(faults, []);
});
