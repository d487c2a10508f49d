// Clients from PyPI, in a virtual environment that the test command makes.

import assert from 'node:assert/strict';
import { eventually, provesWithFlags, publish, range } from './bellwire.mjs';
import { Tool } from './tool.mjs';

const python = new Tool('python3', 'PYTHON_BIN');

python.proves('the influxdb package pings, makes its database and writes', async (server) => {
  const output = await python.run(['write_points.py', server.url]);
  assert.match(output, /^version 1\.8/m);
  assert.match(output, /^databases \[.*'bellwire'.*\]$/m);
  const { events } = await eventually('both sites', async () => {
    const response = await fetch(`${server.url}/v1/topics/samples/boiler_temperature`);
    const page = response.ok && (await response.json());
    return page.events?.length === 2 && page;
  });
  assert.deepEqual(events.map(({ data }) => data.labels.site).sort(), ['bergen', 'oslo']);
  assert.ok(events.every(({ data }) => data.value === 70.5));
});

const QUICK = ['--heartbeat-interval', '100ms'];

const seesEvents = async (server, atEnd) => {
  const following = python.start(
    ['follow_events.py', `${server.url}/v1/events?topic=lab/**`], atEnd);
  const events = () => following.output().trim().split('\n').filter(Boolean).map(JSON.parse);
  await eventually('ready', () => events().some(({ event }) => event === 'ready'));
  await publish(server, 'lab/counter', range(1, 3));
  await eventually('all events', () => events().length >= 4);
  // The cursor moves, and heartbeats tell of life.
  await publish(server, 'elsewhere', range(1, 3));
  await heartbeats(`${server.url}/v1/events?topic=lab/**`, 5);
  assert.equal(events().length, 4, following.output());
  assert.ok(events().every(({ data, id }) => data && id), following.output());
};

if (python.isThere) provesWithFlags('httpx-sse makes no event of a heartbeat', QUICK, seesEvents);

/** Waits until somebody else has got so many heartbeats. */
async function heartbeats(url, count) {
  let text = '';
  for await (const bytes of (await fetch(url)).body) {
    text += Buffer.from(bytes).toString();
    if (text.match(/^:$/gm)?.length >= count) return;
  }
}
