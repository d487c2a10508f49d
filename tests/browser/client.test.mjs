// The client library in a real browser, on a page of another origin: its `fetch`, its WebSocket, and
// its network, which comes and goes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLibrary } from './client.mjs';
import { assertComesBack, assertNothingIsLost, followMoving } from './drops.mjs';
import { PATIENCE_MS } from './setting.mjs';

const TEST_PATIENCE_MS = 5 * PATIENCE_MS;

test('client: through forced moves and network drops a page gets each event once, in order', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openLibrary(t);
  await followMoving(page, server.url);
  await assertNothingIsLost({ server, page }, (isOffline) => page.context().setOffline(isOffline));
  assert.deepEqual(faults, []);
});

test('client: a page of another origin publishes, reads refusals, and comes back after a kill', { timeout: TEST_PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openLibrary(t);
  await assertComesBack({ server, page });
  assert.deepEqual(faults, []);
});
