// When the server is asked what it says of itself.

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { isCurrent } from '../src/stores/proof.js';
import { followStatus, serverStatus } from '../src/stores/status.js';
import { connection } from '../src/stores/stream.js';

test('an outage that begins or ends has the server asked at once, and what was told before counts until it answers', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  let asked = 0;
  let ready = true;
  globalThis.fetch = (async () => {
    asked += 1;
    return new Response(JSON.stringify({ version: '', time: 0, ready }));
  }) as typeof fetch;
  const settled = () => new Promise((done) => { setImmediate(done); });
  followStatus();
  assert.equal(asked, 0);
  connection.value = { ...connection.value, status: 'live' };
  await settled();
  assert.deepEqual([asked, serverStatus.value?.ready], [1, true]);
  ready = false;
  connection.value = { ...connection.value, outage: 'its disk is full' };
  await settled();
  assert.deepEqual([asked, serverStatus.value?.ready, isCurrent()], [2, false, false]);
  ready = true;
  connection.value = { ...connection.value, outage: '' };
  assert.ok(serverStatus.value);
  await settled();
  assert.deepEqual([asked, isCurrent()], [3, true]);
  // Nothing else that is said of the connection has it asked.
  connection.value = { ...connection.value, gaps: 1 };
  await settled();
  mock.timers.tick(5_000);
  await settled();
  assert.equal(asked, 4);
  connection.value = { ...connection.value, status: 'waiting' };
  assert.equal(serverStatus.value, null);
  mock.timers.reset();
});
