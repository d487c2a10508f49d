// The client library in Firefox, as it is installed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWire } from '../../clients/js/tests/wire.mjs';
import { openLibrary } from './client.mjs';
import { assertComesBack, assertNothingIsLost, followMoving } from './drops.mjs';
import { HAS_FIREFOX, launchFirefox } from './firefox.mjs';
import { PATIENCE_MS } from './setting.mjs';

/** A test in Firefox, said to be skipped where there is none. */
function proves(name, body) {
  if (HAS_FIREFOX) return test(name, { timeout: 5 * PATIENCE_MS }, async (t) => body(t, await openLibrary(t, launchFirefox)));
  console.error(`SKIPPED: there is no Firefox on this machine: ${name}`);
  test(name, { skip: 'there is no Firefox' }, () => {});
}

proves('Firefox: through forced moves and network drops a page gets each event once, in order', async (t, { server, page, faults }) => {
  // Nothing in Firefox takes the network away: a wire between does.
  const wire = await startWire(server, (close) => t.after(close));
  await followMoving(page, wire.url);
  await assertNothingIsLost({ server, page }, (isOffline) => {
    wire.isDown = isOffline;
    if (isOffline) wire.cut();
  });
  assert.deepEqual(faults, []);
});

proves('Firefox: a page of another origin publishes, reads refusals, and comes back after a kill', async (t, { server, page, faults }) => {
  await assertComesBack({ server, page });
  assert.deepEqual(faults, []);
});
