// The suite as tests: each scenario is one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBellwire } from './bellwire.mjs';
import { Driver } from './driver.mjs';
import { SEED } from './random.mjs';
import { reasonToSkip, runOne } from './run.mjs';
import { scenarios } from './scenarios.mjs';

/** The program that scenarios with a real server are about. */
export const BINARY = process.env.BELLWIRE_BIN ?? '../../target/debug/bellwire';

/** Bounds how long a broken client can hang; nothing is measured against it. */
const PATIENCE_MS = 300_000;

/** Proves that the client behind this driver does all that is required of what it has. */
export function provesDriver(name, command) {
  test(`the client for ${name}`, { timeout: PATIENCE_MS, concurrency: scenarios.length }, async (t) => {
    console.error(`BELLWIRE_TEST_SEED=${SEED}`);
    const bellwire = await startBellwire(BINARY);
    t.after(() => bellwire.end());
    const driver = await Driver.start(command);
    t.after(() => driver.kill());
    const chosen = scenariosFor(driver, bellwire.url);
    await Promise.all(chosen.map((scenario) => t.test(scenario.title, () => one(scenario, driver, bellwire.url))));
    assert.equal(await driver.exit(), 0, 'told to exit, the driver ends with status 0');
  });
}

/** What the client has is asked of it; what it has not is no test that was left out, and is said. */
function scenariosFor(driver, upstream) {
  const others = new Map();
  const chosen = scenarios.filter((scenario) => {
    const reason = reasonToSkip(scenario, driver, upstream);
    if (reason) others.set(reason, (others.get(reason) ?? 0) + 1);
    return !reason;
  });
  for (const [reason, count] of others) console.error(`${driver.hello.name}: ${count} scenarios are not for it: ${reason}`);
  return chosen;
}

async function one(scenario, driver, upstream) {
  const { outcome, reason, error, description } = await runOne(scenario, driver, { upstream });
  if (outcome === 'passed') return;
  console.error(`--- ${scenario.title}\n${scenario.requirement}\n${description ?? reason}`);
  throw error ?? new Error(`it did not run: ${reason}`);
}
