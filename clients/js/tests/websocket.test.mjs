// The WebSocket as a transport, over sockets that are played: what nobody takes, and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, moving, webSocket } from '../dist/index.js';
import { WAITING_MAX } from '../dist/parts/subscription.js';
import { event, FakeTransport, ready, settle, value, VirtualClock } from './fakes.mjs';

/** A client over sockets that are played, and what it asks by HTTP. */
function begin(answer = () => new Response(), { transport = (socket) => socket, ...options } = {}) {
  const clock = new VirtualClock();
  const sockets = [];
  const requests = [];
  class FakeSocket {
    isClosed = false;
    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      sockets.push(this);
    }
    send() {}
    close() {
      if (this.isClosed) return;
      this.isClosed = true;
      queueMicrotask(() => this.onclose({ code: 1000, reason: '' }));
    }
    give(...items) {
      for (const item of items) this.onmessage({ data: JSON.stringify(item) });
    }
    /** The handshake does not come to a good end. */
    refuse() {
      this.onerror({ type: 'error' });
      this.onclose({ code: 1006, reason: '' });
    }
  }
  const fetch = async (url, request) => {
    requests.push({ ...request, url: new URL(url) });
    const played = await answer(requests.length, request);
    if (played instanceof Error) throw played;
    return played;
  };
  const socket = webSocket({ WebSocket: FakeSocket });
  const client = new Client('http://bell/', { clock, fetch, transport: transport(socket), random: () => 1, ...options });
  return { clock, client, sockets, requests };
}

const after = (socket) => socket.url.searchParams.get('after');
const refusal = (status, code, headers = {}) => new Response(JSON.stringify({ status, code }), {
  status, headers: { 'content-type': 'application/problem+json', ...headers },
});

/** Takes so many of an iteration, at least one. */
async function take(iterator, count) {
  const taken = [];
  while (taken.length < count) taken.push((await iterator.next()).value.data);
  return taken;
}

test('websocket: what nobody takes is bounded, and comes again once there is room', async () => {
  const { client, sockets } = begin();
  const subscription = client.subscribe('a', { after: 'earliest' });
  const iterator = subscription[Symbol.asyncIterator]();
  await settle();
  const taken = [];
  const COUNT = 10 * WAITING_MAX;
  // Each socket brings all that there is behind its cursor, as fast as it can.
  for (let at = 0; taken.length < COUNT; at += 1) {
    const socket = sockets[at];
    const from = after(socket) === 'earliest' ? 0 : Number(after(socket).slice(3));
    let n = from;
    while (n < COUNT && !socket.isClosed) socket.give(event((n += 1)));
    if (!socket.isClosed) {
      taken.push(...await take(iterator, COUNT - taken.length));
      break;
    }
    assert.ok(n - taken.length <= 2 * WAITING_MAX, 'so many wait');
    socket.give(event(n + 1));
    await settle();
    assert.equal(sockets.length, at + 1, 'nothing is opened before there is room');
    while (sockets.length === at + 1) {
      taken.push(...await take(iterator, 1));
      await settle();
    }
  }
  assert.deepEqual(taken, Array.from({ length: COUNT }, (_, index) => index + 1));
  assert.ok(sockets.length > 5);
  client.close();
});

test('websocket: large events are not waited for so many', async () => {
  const { client, sockets } = begin();
  client.subscribe('a', { after: 'earliest' });
  await settle();
  const large = 'x'.repeat(1024 * 1024);
  for (let count = 1; !sockets[0].isClosed; count += 1) {
    assert.ok(count <= 40, `${count} MiB`);
    sockets[0].give(event(count, { data: large }));
  }
  client.close();
});

test('websocket: values that would come anew each time are not what it is closed for', async () => {
  const { client, sockets } = begin();
  const iterator = client.subscribe('a')[Symbol.asyncIterator]();
  await settle();
  const [socket] = sockets;
  for (let count = 0; count < 3 * WAITING_MAX; count += 1) socket.give(value(`${count}`, count));
  assert.equal(socket.isClosed, false);
  socket.give(ready(0));
  // Of those that follow not everything has to come.
  for (let count = 0; !socket.isClosed; count += 1) {
    assert.ok(count <= WAITING_MAX, `${count}`);
    socket.give(value('0', count));
  }
  await take(iterator, 3.75 * WAITING_MAX);
  await settle();
  assert.equal(sockets.length, 2);
  client.close();
});

test('websocket: behind a handshake that is refused HTTP says why', async () => {
  let given = 0;
  const { client, sockets, requests } = begin(() => refusal(401, 'credential_invalid'), { token: () => `t${(given += 1)}` });
  const subscription = client.subscribe('a');
  await settle();
  sockets[0].refuse();
  await settle();
  assert.deepEqual(requests.map(({ method }) => method), ['HEAD', 'GET']);
  assert.deepEqual(requests.map(({ headers }) => headers.authorization), ['Bearer t1', 'Bearer t1']);
  assert.deepEqual(sockets.map(({ protocols }) => protocols[1]), ['bellwire.bearer.t1', 'bellwire.bearer.t2']);
  sockets[1].refuse();
  await settle();
  assert.deepEqual([subscription.status, subscription.error.code], ['closed', 'credential_invalid']);
});

test('websocket: it waits as long as HTTP says, and where that says nothing it is lost', async () => {
  const answers = [refusal(503, 'draining', { 'retry-after': '7' }), refusal(503, 'draining', { 'retry-after': '7' }), new Response(), new TypeError('fetch failed')];
  const { clock, client, sockets } = begin((count) => answers[count - 1], { token: 't' });
  const faults = [];
  client.subscribe('a').addEventListener('status', ({ detail: { error, retryInMs } }) => { if (error) faults.push([error.code, retryInMs]); });
  for (const count of [1, 2, 3]) {
    await settle();
    assert.equal(sockets.length, count);
    sockets.at(-1).refuse();
    await settle();
    await clock.advance(7_000);
  }
  assert.deepEqual(faults, [['draining', 7_000], ['connection_lost', 2_000], ['connection_failed', 4_000]]);
  client.close();
});

test('websocket: one that something between forbids is still left for the next', async () => {
  const sse = new FakeTransport('sse');
  const { client, sockets } = begin(undefined, { token: 't', transport: (socket) => moving([socket, sse]) });
  const moves = [];
  client.subscribe('a').addEventListener('move', ({ detail: { reason } }) => moves.push(reason));
  await settle();
  sockets[0].refuse();
  await settle();
  assert.deepEqual([moves, sse.opened.length], [['failed'], 1]);
  client.close();
});
