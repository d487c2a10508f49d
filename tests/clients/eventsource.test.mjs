// The npm package `eventsource`: the standard's client, with nothing of ours on this side.

import assert from 'node:assert/strict';
import { EventSource } from 'eventsource';
import { eventually, proves, publish, range } from './bellwire.mjs';

proves('an EventSource misses and repeats nothing across SIGKILL', async (server, atEnd) => {
  const seen = follow(atEnd, `${server.url}/v1/events?topic=lab/**`);
  const hasSeen = (count) =>
    eventually(`event ${count}`, () => seen.events.at(-1)?.body.data.count >= count);
  await eventually('the first ready', () => seen.readies === 1);

  await publish(server, 'lab/counter', range(1, 20));
  await hasSeen(20);
  // Acknowledged, but perhaps not yet delivered, when the server goes down.
  await publish(server, 'lab/counter', range(21, 40));
  await server.end('SIGKILL');
  await server.start();
  // The client waits as `retry:` told it to, so most of these have to wait for the client.
  await publish(server, 'lab/counter', range(41, 60));
  await hasSeen(60);
  await eventually('the second ready', () => seen.readies === 2);
  await publish(server, 'lab/counter', range(61, 70));
  await hasSeen(70);

  assert.deepEqual(seen.events.map((event) => event.body.data.count), range(1, 70));
  assert.equal(new Set(seen.events.map((event) => event.id)).size, 70, 'every id is new');
  assert.equal(seen.readies, 2, 'it was cut off once');
  assert.deepEqual(seen.gaps, []);
});

proves('an EventSource gets types as events and texts as published', async (server, atEnd) => {
  const seen = follow(atEnd, `${server.url}/v1/events?topic=lab/notes&format=raw`, ['note']);
  await eventually('ready', () => seen.readies === 1);

  const texts = ['plain', 'one\ntwo\n\nfour\n', ' leading space', 'æøå 🔔', 'data: id: 7', ':'];
  for (const text of texts) {
    const response = await fetch(`${server.url}/v1/topics/lab/notes`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', 'bellwire-type': 'note' },
      body: text,
    });
    assert.equal(response.status, 201, await response.text());
  }
  await eventually('all notes', () => seen.events.length >= texts.length);

  assert.deepEqual(seen.events.map((event) => event.body), texts);
  assert.deepEqual(new Set(seen.events.map((event) => event.type)), new Set(['note']));
});

/** Collects what comes: events without a type as JSON, those of the `types` as text. */
function follow(atEnd, url, types = []) {
  const seen = { events: [], readies: 0, gaps: [] };
  const source = new EventSource(url);
  atEnd(() => source.close());
  const collect = (event, body) =>
    seen.events.push({ id: event.lastEventId, type: event.type, body });
  source.onmessage = (event) => collect(event, JSON.parse(event.data));
  for (const type of types) source.addEventListener(type, (event) => collect(event, event.data));
  source.addEventListener('ready', () => (seen.readies += 1));
  source.addEventListener('gap', (event) => seen.gaps.push(event.data));
  return seen;
}
