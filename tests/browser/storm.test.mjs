// Very many alerts that change all the time: the page shows what is so, and keeps no more than that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heapBytes } from './heap.mjs';
import { openPage, postAlerts } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const ALERTS = 5_000;
const CHANGES = 20_000;
const BATCH = 250;
/** What a screen has room for, twice, and what stands around it. */
const ROWS_MAX = 80;
/** What the engine may add for itself: were what has passed kept, it would be many times as much. */
const GROWTH_MAX_BYTES = 3_000_000;

const alert = (index, round = 0) => {
  const isOver = round > 0 && (index + round) % 5 === 0;
  return {
    labels: { alertname: `Alert${index % 40}`, severity: ['critical', 'warning', 'info'][index % 3], instance: `host-${index % 700}`, shard: String(index) },
    annotations: { summary: `round ${round}` },
    endsAt: new Date(Date.now() + (isOver ? -1_000 : 3_600_000)).toISOString(),
  };
};

async function post(server, from, to, round) {
  for (let first = from; first < to; first += BATCH) {
    await postAlerts(server, Array.from({ length: Math.min(BATCH, to - first) }, (_, index) => alert((first + index) % ALERTS, round)));
  }
}

/** How many alerts fire, as the server has it. */
async function firing(server) {
  const { alerts } = await (await fetch(`${server.url}/v1/alerts`)).json();
  return alerts.filter(({ state }) => state === 'firing').length;
}

const shown = (page, count) => page.waitForFunction(
  (text) => document.querySelector('.lane-head .size')?.textContent === text,
  count.toLocaleString('en'),
);

for (const hash of ['', '#/alerts?group=none', '#/alerts?view=grid']) {
  test(`thousands of alerts that change are as the server has them${hash && `, at ${hash}`}`, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const { server, page, faults } = await openPage(t, [alert(0)], { hash });
    await post(server, 0, ALERTS, 0);
    if (!hash.includes('grid')) await shown(page, ALERTS);
    else await page.waitForFunction((count) => document.title === `(${count}) Bellwire`, ALERTS);
    const before = await heapBytes(page);
    for (let round = 1; round <= CHANGES / ALERTS; round += 1) await post(server, 0, ALERTS, round);
    const count = await firing(server);
    await page.waitForFunction((count) => document.title === `(${count}) Bellwire`, count);
    if (!hash.includes('grid')) await shown(page, count);
    const after = await heapBytes(page);
    assert.ok(await page.locator('.row').count() <= ROWS_MAX);
    assert.ok(after - before < GROWTH_MAX_BYTES, `${before} bytes, then ${after}`);
    assert.deepEqual(faults, []);
  });
}

test('a filter that takes too long for thousands of long values is given up and says so', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, [alert(0)], { hash: '#/alerts?group=none', locale: 'en' });
  const long = (index) => ({ ...alert(index), labels: { alertname: 'Long', text: `${index} ${'x'.repeat(1_000)}`, severity: 'critical' } });
  for (let first = 0; first < 2_000; first += BATCH) await postAlerts(server, Array.from({ length: BATCH }, (_, index) => long(first + index)));
  await shown(page, 2_001);
  const field = page.getByRole('combobox', { name: 'Filter' });
  await field.fill('text=~"[0-4].*"');
  await page.waitForFunction(() => document.querySelector('.lane-head .size')?.textContent !== '2,001');
  await field.fill('text=~"(.*x){20}y"');
  await page.getByText('Not applied, for it takes too long: text=~"(.*x){20}y"').waitFor();
  await shown(page, 2_001);
  // What is quick counts beside it.
  await field.fill('text=~"(.*x){20}y" alertname=Alert0');
  await shown(page, 1);
  await page.getByText('Not applied').waitFor();
  await field.fill('');
  await page.getByText('Not applied').waitFor({ state: 'detached' });
  await shown(page, 2_001);
  assert.deepEqual(faults, []);
});
