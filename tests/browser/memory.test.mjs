// A page that follows a stream without end keeps nothing of what has passed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heapBytes, openFollowing } from './heap.mjs';
import { PATIENCE_MS } from './setting.mjs';

const EVENTS_BEFORE = 20_000;
const EVENTS = 100_000;
/** What the engine may add for itself: were the events kept, it would be many times as much. */
const GROWTH_MAX_BYTES = 1_000_000;

test('client: a page that has followed 100,000 events keeps no more than after 20,000', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { page, publisher, faults } = await openFollowing(t);
  const bytes = [];
  for (const count of [EVENTS_BEFORE, EVENTS]) {
    while (publisher.sent < count) await publisher.batch();
    await publisher.taken();
    bytes.push(await heapBytes(page));
  }
  const [before, after] = bytes;
  assert.ok(after - before < GROWTH_MAX_BYTES, `${before} bytes, then ${after}`);
  assert.deepEqual(faults, []);
});
