// What is sent, over a WebSocket and by HTTP, against the real binary.

import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { eventually, proves, provesWithConfig, provesWithConfigOf, range } from '../../../tests/clients/bellwire.mjs';
import { Client, echo, longPoll, moving, sse, webSocket } from '../dist/index.js';
import { issuing } from './issuer.mjs';
import { randomOf, SEED, startWire } from './wire.mjs';

console.error(`BELLWIRE_TEST_SEED=${SEED}`);

function clientOf(server, atEnd, options) {
  const client = new Client(server.url, { random: () => 0.02, ...options });
  atEnd(() => client.close());
  return client;
}

/** What is given of a subscription, and its moves. */
function hear(subscription) {
  const heard = { data: [], moves: [] };
  subscription.addEventListener('event', ({ detail }) => heard.data.push(detail.data));
  subscription.addEventListener('move', ({ detail: { from, to, reason } }) => heard.moves.push(`${from}>${to} ${reason}`));
  return heard;
}

/** Breaks what connects a client to its server, until it is told to end. */
async function breaking(isDone, { server, wire, transport, random }) {
  for (let round = 0; !isDone(); round += 1) {
    await setTimeout(random() * 80);
    if (round % 12 === 11) {
      await server.end('SIGKILL');
      await server.start();
    } else if (random() < 0.5) {
      wire.cut();
    } else {
      transport.move(['sse', 'websocket', 'poll'][Math.floor(random() * 3)]);
    }
  }
}

/** A WebSocket that counts what is sent over it. */
function counting() {
  const counted = { sent: 0 };
  class Counting extends WebSocket {
    send(text) {
      counted.sent += 1;
      super.send(text);
    }
  }
  return { counted, socket: webSocket({ WebSocket: Counting }) };
}

proves('what is sent over a WebSocket is there once and in order, through kills, cuts and moves', async (server, atEnd) => {
  const random = randomOf(SEED);
  const wire = await startWire(server, atEnd);
  const { counted, socket } = counting();
  const transport = moving([socket, sse, longPoll()], { leftAloneMs: 100, muteMs: 2_000 });
  const client = clientOf(wire, atEnd, { transport });
  const subscription = client.subscribe('lab/**', { after: 'earliest' });
  const { data } = hear(subscription);
  await subscription.ready();
  const cursors = [];
  let isDone = false;
  const publishing = (async () => {
    // Until enough of it went over the WebSocket, however slow this machine connects.
    while (cursors.length < 100 || (counted.sent < 20 && cursors.length < 5_000)) {
      const ten = range(cursors.length + 1, cursors.length + 10);
      for (const { cursor } of await Promise.all(ten.map((n) => client.publish(`lab/${n % 3}`, n)))) cursors.push(cursor);
    }
  })().finally(() => { isDone = true; });
  await breaking(() => isDone, { server, wire, transport, random });
  await publishing;
  const count = cursors.length;
  assert.equal(new Set(cursors).size, count);
  await eventually('the last event', () => data.length >= count);
  assert.deepEqual(data, range(1, count));
  assert.ok(counted.sent >= 20, `${counted.sent} of ${count} over the WebSocket`);
});

proves('what an application says over a WebSocket is what it says by HTTP', async (server, atEnd) => {
  const { counted, socket } = counting();
  const near = clientOf(server, atEnd, { transport: socket });
  const subscription = near.subscribe('lab/**', { after: 'earliest' });
  await subscription.ready();
  const byHttp = clientOf(server, atEnd, {});
  const told = [];
  const given = [];
  subscription.addEventListener('event', ({ detail: { topic, key, type, data, encoding, content_type } }) => {
    given.push(JSON.stringify({ topic, key, type, data, encoding, content_type }));
  });
  for (const [topic, data, options] of [
    ['lab/é', { text: 'ключ', n: [1, -0.5, null] }, { key: 'ключ', type: 'note' }],
    ['lab/b', new Uint8Array([0, 255, 128]), { contentType: 'image/x' }],
    ['lab/b', new Uint8Array(0), {}],
    ['lab/b', 'text', {}],
  ]) {
    for (const client of [near, byHttp]) told.push(Object.keys(await client.publish(topic, data, options)).join());
  }
  await eventually('the events', () => given.length === 8);
  for (let at = 0; at < 8; at += 2) assert.equal(given[at], given[at + 1]);
  assert.deepEqual(new Set(told), new Set(['cursor']));
  assert.equal(counted.sent, 4);
  const once = await byHttp.publish('lab/b', 1, { idempotencyKey: 'one' });
  assert.deepEqual(await near.publish('lab/b', 2, { idempotencyKey: 'one' }), { ...once, duplicate: true });
  await assert.rejects(near.publish('alerts/active', 1), { name: 'ProblemError', code: 'topic_reserved', status: 403 });
  const samples = [{ name: 'temperature', value: 1 }, { name: '1', value: 1 }];
  assert.deepEqual(await near.samples(samples), await byHttp.samples(samples));
  await near.publish('lab/end', 1, { end: true });
  await assert.rejects(near.publish('lab/end', 2), { code: 'topic_ended', status: 409 });
});

const STATE = `
[[topic]]
match = "places/**"
kind = "state"
durability = "disk"

[[topic]]
match = "tickers/**"
kind = "state"
`;

provesWithConfig('an echo is behind its event, through kills, cuts and moves', STATE, async (server, atEnd) => {
  const random = randomOf(SEED);
  const wire = await startWire(server, atEnd);
  const transport = moving([sse, webSocket({ WebSocket }), longPoll()], { leftAloneMs: 100, muteMs: 2_000 });
  const client = clientOf(wire, atEnd, { transport });
  const subscription = client.subscribe('lab/**', { after: 'earliest' });
  const { data } = hear(subscription);
  const state = client.state('places/oslo');
  let isDone = false;
  const publishing = (async () => {
    for (const n of range(1, 30)) {
      const { cursor } = await client.publish(`lab/${n % 3}`, n, { echo });
      assert.deepEqual(data, range(1, n), `the echo of ${n}, ${cursor}`);
      if (n % 4 !== 0) continue;
      await client.publish('places/oslo', n, { key: 'a', echo });
      assert.equal(state.get('a'), n);
    }
  })().finally(() => { isDone = true; });
  await breaking(() => isDone, { server, wire, transport, random });
  await publishing;
});

provesWithConfig('an echo of a value that another one has replaced', STATE, async (server, atEnd) => {
  const client = clientOf(server, atEnd, {});
  const slow = client.subscribe('tickers/x', { maxRate: 0.5 });
  const { data } = hear(slow);
  await slow.ready();
  const echoed = [];
  await Promise.all(range(1, 5).map((n) => client.publish('tickers/x', n, { key: 'a', echo }).then(() => echoed.push(n))));
  assert.deepEqual(echoed, range(1, 5));
  assert.equal(data.at(-1), 5);
  assert.ok(data.length < 5, `${data} of 1 to 5`);
});

provesWithConfigOf('an echo over renewals of the token, over each transport', issuing, async (server, atEnd, { token }) => {
  await Promise.all([sse, webSocket({ WebSocket }), longPoll()].map(async (transport) => {
    let asked = 0;
    const client = clientOf(server, atEnd, { transport, token: () => token((asked += 1) < 3 ? '2s' : '1h') });
    const topic = `lab/${transport.name}`;
    const subscription = client.subscribe(topic);
    const { data } = hear(subscription);
    await subscription.ready();
    for (let n = 1; asked < 3; n += 1) {
      await client.publish(topic, n, { echo });
      assert.deepEqual(data, range(1, n), topic);
      await setTimeout(50);
    }
    await client.publish(topic, 'newest', { echo });
    assert.equal(data.at(-1), 'newest');
  }));
});
