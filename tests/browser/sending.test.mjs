// What the client library sends in a real browser: over its WebSocket once it is often, and back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLibrary } from './client.mjs';
import { PATIENCE_MS } from './setting.mjs';

const TEST_PATIENCE_MS = 5 * PATIENCE_MS;
/** How much faster time passes for the client, so that often and quiet come soon. */
const HASTE = 5;

test('sending: who sends often moves to the WebSocket and back, and each echo is behind its event', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openLibrary(t);
  let requests = 0;
  page.on('request', (request) => { if (request.method() === 'POST') requests += 1; });
  await page.evaluate(async ([url, haste]) => {
    const { Client, longPoll, moving, sse, webSocket } = globalThis.bellwire;
    const clock = {
      now: () => performance.now() * haste,
      after(ms, run) {
        const timer = setTimeout(run, ms / haste);
        return () => clearTimeout(timer);
      },
    };
    const transport = moving([sse, webSocket(), longPoll()], { muteMs: 10_000 * haste });
    globalThis.client = new Client(url, { transport, clock });
    globalThis.counts = [];
    globalThis.moves = [];
    const subscription = globalThis.client.subscribe('lab/**', { after: 'earliest' });
    subscription.addEventListener('event', ({ detail }) => globalThis.counts.push(detail.data));
    subscription.addEventListener('move', ({ detail: { from, to, reason } }) => globalThis.moves.push(`${from}>${to} ${reason}`));
    await subscription.ready();
  }, [server.url, HASTE]);

  // Events with an echo each, until it has moved and some more.
  const first = await page.evaluate(async () => {
    const { counts, moves, client, bellwire: { echo } } = globalThis;
    const late = [];
    for (let count = 0, more = 50; more > 0; count += 1) {
      await client.publish(`lab/${count % 3}`, count, { echo });
      if (counts.at(-1) !== count) late.push(count);
      if (moves.length > 0) more -= 1;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { late, sent: counts.length, moves: [...moves] };
  });
  assert.deepEqual([first.late, first.moves], [[], ['sse>websocket sending']]);
  assert.ok(requests <= first.sent - 40, `${requests} requests for ${first.sent} events`);

  // It is quiet; and what is sent then goes by HTTP again.
  await page.waitForFunction(() => globalThis.moves.length === 2);
  const before = requests;
  const last = await page.evaluate(async () => {
    const { counts, moves, client, bellwire: { echo } } = globalThis;
    const { cursor } = await client.publish('lab/0', counts.length, { echo });
    return { counts, moves, cursor };
  });
  assert.equal(last.moves[1], 'websocket>sse quiet');
  assert.deepEqual(last.counts, Array.from(last.counts, (_, index) => index), 'each once, in order');
  assert.match(last.cursor, /^e\d+-\d+$/);
  assert.equal(requests, before + 1);
  assert.deepEqual(faults, []);
});
