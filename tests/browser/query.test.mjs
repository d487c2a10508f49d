// A query that is typed by hand and followed on the page.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

test('a query is typed, its answer changes as samples come, and what is wrong with it is told', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, []);
  const measure = async (site, value) => {
    const body = JSON.stringify({ name: 'room_temperature_celsius', labels: { site, sensor: `${site}-1` }, value });
    const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    assert.equal(answer.status, 200);
  };
  const all = async (...rooms) => {
    for (const [site, value] of rooms) await measure(site, value);
  };
  await all(['oslo', 20], ['rome', 30], ['kiel', 10]);
  const panel = page.locator('#live-query');
  const rows = panel.locator('#query-rows li');
  const state = (text) => panel.locator('#query-state', { hasText: text }).waitFor();
  const field = panel.getByLabel('Expression in PromQL');
  // One is suggested of what there is.
  await panel.getByRole('button', { name: 'avg by (site) (room_temperature_celsius)' }).waitFor();

  await field.pressSequentially('room_temperature_celsius > 15');
  await field.press('Enter');
  await state('Live: nothing answers it now.');
  // No rule asks for these: a query knows what has come since it began.
  await all(['oslo', 20], ['rome', 30], ['kiel', 10]);
  await state('Live: 2 elements.');
  assert.deepEqual(await rows.locator('.series-value').allTextContents(), ['20.0 °C', '30.0 °C']);
  await measure('kiel', 16.5);
  await state('Live: 3 elements.');
  await rows.filter({ hasText: 'site=kiel' }).locator('.series-value', { hasText: '16.5 °C' }).waitFor();
  await measure('oslo', 1);
  await state('Live: 2 elements.');
  assert.equal(await rows.filter({ hasText: 'site=oslo' }).count(), 0);
  await shoot(page, 'query');

  // It is in the address, so that it can be passed on.
  await page.reload();
  await state('Live: 2 elements.');
  assert.equal(await field.inputValue(), 'room_temperature_celsius > 15');

  await panel.getByRole('button', { name: 'Stop' }).click();
  assert.equal(await rows.count(), 0);
  await panel.getByRole('button', { name: 'avg by (site) (room_temperature_celsius)' }).click();
  await all(['oslo', 1], ['rome', 30], ['kiel', 16.5]);
  await state('Live: 3 elements.');
  await rows.filter({ hasText: 'site=oslo' }).locator('.series-value', { hasText: '1.0 °C' }).waitFor();
  await shoot(page, 'query-several');

  await field.fill('sum by (');
  await panel.getByRole('button', { name: 'Follow' }).click();
  await panel.locator('#query-state[data-state="refused"]').waitFor();
  assert.match(await panel.locator('#query-state').textContent(), /is not closed/);
  await shoot(page, 'query-wrong');
  // What is wrong is not asked again and again, and what comes next is followed.
  await field.fill('sum(room_temperature_celsius)');
  await field.press('Enter');
  await all(['oslo', 1], ['rome', 30], ['kiel', 16.5]);
  await state('Live: one element.');
  await rows.locator('.series-value', { hasText: '47.5' }).waitFor();
  await server.end('SIGKILL');
  await panel.locator('#query-state', { hasText: /lost|cannot be reached/ }).waitFor();
  assert.equal(await rows.count(), 1);
  // The next process has heard of nothing yet: what was before is not said to be so now.
  await server.start();
  await state('Live: nothing answers it now.');
  assert.equal(await rows.count(), 0);
  await all(['oslo', 5]);
  await rows.locator('.series-value', { hasText: '5' }).waitFor();
  assert.deepEqual(faults, []);
});
