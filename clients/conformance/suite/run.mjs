// A run of scenarios with one driver, so many at a time.

import { Driver } from './driver.mjs';
import { Scenario, Skip } from './scenario.mjs';

/** Why a driver is not asked for a scenario; `null` where it is. */
export function reasonToSkip({ needs, isReal }, { capabilities }, upstream) {
  const missing = needs.filter((need) => !capabilities.includes(need));
  if (missing.length > 0) return `the client has no ${missing.map((name) => `\`${name}\``).join(' and ')}`;
  return isReal && !upstream ? 'there is no Bellwire (--upstream or --bellwire)' : null;
}

/**
 * Runs one. Resolves with `{ outcome }`: `passed`, `skipped` with its `reason`, or `failed` with the
 * `error` and with what was told and asked.
 */
export async function runOne(scenario, driver, { upstream = null, patienceMs } = {}) {
  const reason = reasonToSkip(scenario, driver, upstream);
  if (reason) return { outcome: 'skipped', reason };
  const t = new Scenario(driver, { transport: scenario.transport, upstream, patienceMs });
  try {
    await scenario.run(t);
    await t.end();
    return { outcome: 'passed' };
  } catch (error) {
    await t.abandon();
    if (error instanceof Skip) return { outcome: 'skipped', reason: error.message };
    return { outcome: 'failed', error, description: t.describe() };
  }
}

/** Runs all with a driver; `told` hears of each how it went. Resolves with the driver's status. */
export async function runAll(command, scenarios, { upstream = null, jobs = Infinity, patienceMs, told }) {
  const driver = await Driver.start(command);
  const waiting = [...scenarios];
  const work = async () => {
    for (let scenario; (scenario = waiting.shift()); ) told(scenario, await runOne(scenario, driver, { upstream, patienceMs }));
  };
  try {
    await Promise.all(Array.from({ length: Math.min(jobs, waiting.length) }, work));
    return await driver.exit();
  } finally {
    driver.kill();
  }
}
