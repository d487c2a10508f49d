// For seconds what `cargo xtask cluster` does for as long as asked.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineOf } from '../../engine.mjs';
import { SEED } from '../../random.mjs';
import { folderOf, missingOf } from '../deployment.mjs';
import { soak } from './soak.mjs';

const PATIENCE_MS = 300_000;
/** Long enough for each kind of fault to have its turn, with most seeds. */
const SECONDS = 20;

for (const kind of ['nats', 'redis']) {
  const name = `over ${kind} in trouble each acknowledged event comes once and in order to each follower`;
  const missing = missingOf('haproxy', [kind]);
  if (missing) {
    console.error(`SKIPPED: there is no ${missing} on this machine: ${name}`);
    test(name, { skip: `there is no ${missing}` }, () => {});
    continue;
  }
  test(name, { timeout: PATIENCE_MS }, async (t) => {
    const closings = [];
    const atEnd = (close) => closings.push(close);
    t.after(async () => {
      for (const close of closings.reverse()) await close();
    });
    const folder = folderOf(atEnd);
    const outcome = await soak({ seconds: SECONDS, seed: SEED, kind: engineOf([kind]), each: 2, intervalMs: 2_000, folder }, atEnd);
    const told = JSON.stringify(outcome, null, 2);
    assert.deepEqual(outcome.mistakes, [], told);
    assert.equal(outcome.gaps, 0, told);
    assert.ok(outcome.alerts.SoakToggles > 0, told);
    assert.ok(outcome.acknowledged > 0 && outcome.deliveries >= outcome.acknowledged * outcome.followers, told);
    for (const what of ['node', 'engine']) assert.ok(Object.keys(outcome.faults).some((fault) => fault.startsWith(what)), told);
  });
}
