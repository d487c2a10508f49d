// The page of live values: charts of metrics and of expressions, and the list of all values.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage, shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const HEADERS = { 'content-type': 'application/json' };

async function send(server, samples) {
  const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers: HEADERS, body: JSON.stringify(samples) });
  assert.equal(answer.status, 200, await answer.text());
}

const room = (site, value, more = {}) => ({ name: 'room_temperature_celsius', labels: { site, sensor: `${site}-1` }, value, ...more });

/** The page, with these panels or those that it chooses. */
async function openLive(t, expressions, view) {
  const opened = await openPage(t, [], view);
  const parameters = new URLSearchParams(expressions.map((expression) => ['q', expression]));
  await opened.page.goto(`${opened.server.url}/#/live?${parameters}`);
  const panel = (name) => opened.page.getByRole('region', { name, exact: true });
  const row = (name, site) => panel(name).getByRole('row', { name: site });
  return { ...opened, panel, row, field: opened.page.getByRole('combobox', { name: /PromQL/ }) };
}

const newest = (row) => row.getByRole('cell').first();

/** How many pixels of a chart have the colour of a line. */
const drawn = (panel) => panel.locator('canvas').evaluate((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  // What has a hue: text and grid have none.
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 128 && Math.max(...data.slice(at, at + 3)) - Math.min(...data.slice(at, at + 3)) > 60) count += 1;
  return count;
});

test('an expression is typed, its answer changes as samples come, and what is wrong with it is told', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults, panel, row, field } = await openLive(t, ['']);
  await send(server, [room('oslo', 20), room('rome', 30), room('kiel', 10)]);
  await page.getByText('Choose a metric').waitFor();
  const warm = 'room_temperature_celsius > 15';
  await field.fill(warm);
  await field.press('Enter');
  // What has been remembered of the series answers at once.
  await newest(row(warm, 'oslo')).getByText('20.0 °C').waitFor();
  await newest(row(warm, 'rome')).getByText('30.0 °C').waitFor();
  await panel(warm).getByText('2 elements').waitFor();
  assert.equal(await row(warm, 'kiel').count(), 0);
  await send(server, [room('kiel', 16.5)]);
  await newest(row(warm, 'kiel')).getByText('16.5 °C').waitFor();
  await send(server, [room('oslo', 1)]);
  await newest(row(warm, 'oslo')).getByText('gone').waitFor();

  // It is in the address, so that it can be passed on.
  await page.reload();
  await panel(warm).getByText('2 elements').waitFor();
  await shoot(page, 'live-query');

  await field.fill('sum by (');
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  const wrong = panel('sum by (');
  await wrong.getByRole('alert').getByText('At character 8').waitFor();
  assert.match(await wrong.getByRole('alert').textContent(), /is not closed/);
  assert.equal(await wrong.locator('mark').textContent(), '(');
  await shoot(page, 'live-wrong');
  // It is put right where it was typed, and the others go on meanwhile.
  await wrong.getByRole('button', { name: 'Change sum by (' }).click();
  assert.equal(await field.inputValue(), 'sum by (');
  await field.fill('sum(room_temperature_celsius)');
  await field.press('Enter');
  await send(server, [room('oslo', 1), room('rome', 30), room('kiel', 16.5)]);
  await newest(row('sum(room_temperature_celsius)', 'the answer')).getByText('47.5').waitFor();
  await wrong.waitFor({ state: 'detached' });

  await server.end('SIGKILL');
  await panel(warm).getByText('Waiting for the server').waitFor();
  assert.equal(await row(warm, 'rome').count(), 1, 'what was last known stays');
  await shoot(page, 'live-cut');
  // The next process has heard of nothing yet: what was before is not said to be so now.
  await server.start();
  await newest(row(warm, 'rome')).getByText('gone').waitFor();
  await send(server, [room('rome', 33)]);
  await newest(row(warm, 'rome')).getByText('33.0 °C').waitFor();
  assert.deepEqual(faults, []);
});

test('charts are full when they open, have gaps where nothing is known, and survive what is no number', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults, panel, row } = await openLive(t, ['room_temperature_celsius', 'room_temperature_celsius / 0', '-(room_temperature_celsius / 0) * 0']);
  const begin = Date.now() - 10 * 60_000;
  for (let second = 0; second < 600; second += 5) {
    if (second > 200 && second < 300) continue;
    await send(server, ['oslo', 'rome'].map((site, at) => room(site, 20 + at * 5 + second / 100, { timestamp: begin + second * 1_000 })));
  }
  await page.reload();
  const metric = panel('room_temperature_celsius');
  await newest(row('room_temperature_celsius', 'site=rome')).getByText('31.0 °C').waitFor();
  await row('room_temperature_celsius', 'site=oslo').getByRole('cell').nth(1).getByText('20.0 °C').waitFor();
  await newest(row('room_temperature_celsius / 0', 'site=rome')).getByText('Inf').waitFor();
  await newest(row('-(room_temperature_celsius / 0) * 0', 'site=rome')).getByText('NaN').waitFor();
  while ((await drawn(metric)) < 200) await new Promise((done) => setTimeout(done, 50));
  await shoot(page, 'live-charts');

  // Paused, it stands still; what comes meanwhile is there afterwards.
  await page.getByRole('button', { name: 'Pause' }).click();
  const before = await drawn(metric);
  await send(server, [room('rome', 50)]);
  await page.getByText('Paused at').waitFor();
  await new Promise((done) => setTimeout(done, 1_500));
  assert.equal(await drawn(metric), before);
  await newest(row('room_temperature_celsius', 'site=rome')).getByText('31.0 °C').waitFor();
  await page.getByRole('button', { name: 'Go on' }).click();
  await newest(row('room_temperature_celsius', 'site=rome')).getByText('50.0 °C').waitFor();

  // A line can be left out, by keyboard, too.
  const toggle = row('room_temperature_celsius', 'site=rome').getByRole('button');
  await toggle.press('Enter');
  assert.equal(await toggle.getAttribute('aria-pressed'), 'false');
  await page.getByLabel('Time span').selectOption('5');
  assert.match(page.url(), /span=5m/);
  assert.deepEqual(faults, []);
});

test('of a thousand series some are drawn, all are counted, and one is found by its label', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults, panel, field } = await openLive(t, ['requests_total']);
  const markup = '<img src=x onerror=alert(1)>';
  const samples = (step) => Array.from({ length: 1_000 }, (_, number) => ({ name: 'requests_total', labels: { instance: `host-${number}`, path: number === 7 ? markup : '/' }, value: number + step }));
  await send(server, [...samples(0), { name: 'go_goroutines', labels: {}, value: 7 }, { name: 'build_time_seconds', labels: {}, value: 1_796_000_000 }]);
  await page.reload();
  await panel('requests_total').getByText('16 of 1,000 series are drawn').waitFor();
  await send(server, samples(1));
  await newest(panel('requests_total').getByRole('row', { name: 'host-999' })).getByText('1,000').waitFor();
  assert.equal(await panel('requests_total').getByRole('row').count(), 17, 'with its head');

  // The list: what programs say of themselves comes last, and dates are dates.
  const list = page.getByRole('region', { name: 'Live values' });
  await list.getByText('1,002 series', { exact: true }).waitFor();
  assert.deepEqual(await list.locator('summary .name').allTextContents(), ['build_time_seconds', 'requests_total', 'go_goroutines']);
  assert.match(await list.locator('details').first().locator('summary .value').textContent(), /2026/);
  await list.getByRole('searchbox').fill('img');
  await list.getByText('1 of 1,002 series').waitFor();
  await list.getByText(markup).waitFor();
  await list.getByRole('searchbox').fill('nowhere');
  await list.getByText('Nothing has this name or label.').waitFor();

  // The field finds by labels, too, and shows what is chosen at once.
  await field.fill('requests host-42');
  await page.getByRole('option', { name: 'requests_total{instance="host-42"}' }).waitFor();
  await field.press('ArrowDown');
  await field.press('Enter');
  await page.getByRole('region', { name: 'requests_total{instance="host-42"}', exact: true }).waitFor();
  await field.fill('requests_total{pa');
  await page.getByRole('option', { name: 'path' }).click();
  assert.equal(await field.inputValue(), 'requests_total{path=""');
  await shoot(page, 'live-many');
  assert.deepEqual(faults, []);
});

test('who has chosen nothing sees what there is, on a phone, too', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, faults } = await openPage(t, [], { viewport: { width: 360, height: 780 }, colorScheme: 'dark' });
  await send(server, [room('oslo', 20)]);
  await page.goto(`${server.url}/#/live`);
  await page.getByRole('region', { name: 'room_temperature_celsius', exact: true }).waitFor();
  const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(isWide, false, 'nothing reaches beyond a phone');
  await shoot(page, 'live-phone');
  assert.deepEqual(faults, []);
});
