// The example of a chart: a bare EventSource whose chart is full when it opens, and goes on with what
// comes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openExample } from './example.mjs';
import { PATIENCE_MS } from './setting.mjs';

async function send(server, samples) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(samples);
  const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

const sample = (site, timestamp, value) => ({ name: 'temperature', labels: { site }, value, timestamp });

test('a chart is full when it opens, and goes on', { timeout: 5 * PATIENCE_MS }, async (t) => {
  const { server, page, origin, faults } = await openExample(t, 'chart.html');
  const start = Date.now() - 5 * 60_000;
  const minutes = [0, 1, 2, 3, 4];
  await send(server, minutes.flatMap((minute) => ['oslo', 'bergen'].map((site) => sample(site, start + minute * 60_000, minute))));
  const counts = () => page.evaluate(() => [...series.values()].map((points) => points.length).sort());
  const lines = (points) => page.waitForFunction(
    (points) => [...document.querySelectorAll('polyline')].map((it) => it.points.length).sort().join() === points,
    points,
  );
  // The samples are shown a moment after they are answered.
  const topic = `${server.url}/v1/topics/samples/temperature?history=15m`;
  const isShown = async () => (await (await fetch(topic)).json()).events.every((it) => it.data.values?.length === 5);
  while (!await isShown()) await new Promise((done) => setImmediate(done));
  await page.goto(`${origin}/?server=${server.url}&topic=samples/temperature`);
  await page.locator('svg[data-state="live"]').waitFor();
  assert.deepEqual(await counts(), [5, 5]);
  await lines('5,5');
  await send(server, [sample('oslo', start + 5 * 60_000, 7.5)]);
  await lines('5,6');
  await send(server, [sample('bergen', start + 5 * 60_000, 8.5)]);
  await lines('6,6');
  assert.deepEqual(faults, []);
});
