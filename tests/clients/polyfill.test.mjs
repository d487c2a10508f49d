// The npm package `event-source-polyfill`: it sends the last event id as a parameter, since not every
// browser lets it set a header.

import assert from 'node:assert/strict';
import { EventSourcePolyfill } from 'event-source-polyfill';
import { eventually, proves, publish, range } from './bellwire.mjs';

proves('event-source-polyfill misses and repeats nothing across SIGKILL', async (server, atEnd) => {
  const counts = [];
  let readies = 0;
  const source = new EventSourcePolyfill(`${server.url}/v1/events?topic=lab/**`);
  atEnd(() => source.close());
  source.onmessage = (event) => counts.push(JSON.parse(event.data).data.count);
  source.addEventListener('ready', () => (readies += 1));
  const hasSeen = (count) => eventually(`event ${count}`, () => counts.at(-1) >= count);
  await eventually('the first ready', () => readies === 1);

  await publish(server, 'lab/counter', range(1, 10));
  await hasSeen(10);
  await server.end('SIGKILL');
  await server.start();
  await publish(server, 'lab/counter', range(11, 20));
  await hasSeen(20);
  assert.deepEqual(counts, range(1, 20));
});
