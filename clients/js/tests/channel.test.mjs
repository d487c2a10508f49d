// What is sent over a WebSocket, over sockets that are played, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, moving, UnsentError, webSocket } from '../dist/index.js';
import { COMMAND_LENGTH_MAX } from '../dist/parts/channel.js';
import { TRY_MS } from '../dist/parts/outbox.js';
import { FakeTransport, ready, settle, VirtualClock } from './fakes.mjs';
import { randomOf, SEED } from './wire.mjs';

console.error(`BELLWIRE_TEST_SEED=${SEED}`);

const answer = (status, body = {}) => new Response(JSON.stringify(body), {
  status, headers: { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' },
});
const outcome = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));

/** A client on a socket that is live, and what it sends over that and by HTTP. */
async function begin({ post = () => answer(201, { cursor: 'e1-9' }), beside = null, ...options } = {}) {
  const clock = new VirtualClock();
  const sockets = [];
  const requests = [];
  class FakeSocket {
    sent = [];
    isClosed = false;
    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      sockets.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    give(...items) {
      for (const item of items) this.onmessage({ data: JSON.stringify(item) });
    }
    close() {
      this.isClosed = true;
    }
    cut() {
      this.onclose({ code: 1006, reason: '' });
    }
  }
  const fetch = async (url, request) => {
    requests.push({ ...request, url: new URL(url), headers: new Headers(request.headers) });
    const played = await post(requests.length, request);
    if (played instanceof Error) throw played;
    return played;
  };
  const socket = webSocket({ WebSocket: FakeSocket });
  const transport = beside ? moving([beside, socket]) : socket;
  const client = new Client('http://bell/', { fetch, clock, random: () => 1, transport, ...options });
  const subscription = client.subscribe('a');
  await settle();
  if (!beside) sockets[0].give(ready(0, 0));
  return { clock, sockets, requests, client, subscription, transport };
}

test('channel: what is published goes over the socket, one at a time, with all that is said of it', async () => {
  const { sockets: [socket], requests, client } = await begin();
  const first = client.publish('chat/é', { text: 'hé' }, { key: 'ключ', type: 'note', ttl: '30s', idempotencyKey: 'one' });
  const second = client.publish('a', new Uint8Array([0, 1, 255]), { contentType: 'image/x', ifVersion: 's9-1' });
  const third = client.publish('a', undefined, { end: true });
  await settle();
  assert.deepEqual(socket.sent, [{
    request: 'publish', id: 1, topic: 'chat/é', key: 'ключ', type: 'note', ttl: '30s', idempotency_key: 'one', data: { text: 'hé' },
  }]);
  socket.give({ reply: 1, cursor: 'e1-1' });
  assert.deepEqual(await first, { cursor: 'e1-1' });
  await settle();
  const { idempotency_key, ...binary } = socket.sent[1];
  assert.match(idempotency_key, /^\d+(-\d+){3}$/);
  assert.deepEqual(binary, {
    request: 'publish', id: 2, topic: 'a', if_version: 's9-1', encoding: 'base64', content_type: 'image/x', data: 'AAH/',
  });
  socket.give({ reply: 2, version: 's9-2' });
  assert.deepEqual(await second, { version: 's9-2' });
  await settle();
  assert.deepEqual([socket.sent[2].end, 'data' in socket.sent[2]], [true, false]);
  socket.give({ reply: 3, end: 'e1-2' });
  await third;
  const samples = client.samples([{ name: 'a', value: 1 }]);
  const deleted = client.delete('a', 'k', { ifVersion: 's9-2' });
  await settle();
  assert.deepEqual(socket.sent[3], { request: 'samples', id: 4, samples: [{ name: 'a', value: 1 }] });
  socket.give({ reply: 4, accepted: 1 });
  assert.deepEqual(await samples, { accepted: 1 });
  await settle();
  assert.deepEqual(socket.sent[4], { request: 'delete', id: 5, topic: 'a', key: 'k', if_version: 's9-2' });
  socket.give({ reply: 5, version: 's9-3' });
  await deleted;
  assert.equal(requests.length, 0);
});

test('channel: what has no command, or is too long for one, goes by HTTP, in its order', async () => {
  const { sockets: [socket], requests, client } = await begin();
  const sent = [client.acknowledge('0123', { by: 'ada' }), client.publish('a', 'x'.repeat(COMMAND_LENGTH_MAX)), client.publish('a', 3)];
  await Promise.all(sent.slice(0, 2));
  await settle();
  assert.deepEqual(requests.map(({ url }) => url.pathname), ['/v1/alerts/0123/ack', '/v1/topics/a']);
  assert.equal(socket.sent.length, 1);
  socket.give({ reply: socket.sent[0].id, cursor: 'e1-3' });
  await sent[2];
});

test('channel: before it is live, and once it is lost, there is no channel', async () => {
  const { sockets, requests, clock, client } = await begin();
  sockets[0].cut();
  await client.publish('a', 1);
  await clock.advance(1_000);
  await client.publish('a', 2);
  assert.deepEqual([requests.length, sockets.length], [2, 2]);
  sockets[1].give(ready(0, 0));
  const third = client.publish('a', 3);
  await settle();
  sockets[1].give({ reply: 1, cursor: 'e1-3' });
  await third;
  assert.equal(requests.length, 2);
});

test('channel: a refusal is asked for by HTTP, where it says more', async () => {
  const problem = { code: 'condition_failed', detail: 'no', status: 412, version: 's9-81' };
  const { sockets: [socket], requests, client } = await begin({ post: () => answer(412, problem) });
  const sent = outcome(client.publish('a', 1, { key: 'k', ifVersion: 's9-77' }));
  await settle();
  socket.give({ reply: 1, error: { code: 'condition_failed', detail: 'no', version: 's9-81' } });
  const { error } = await sent;
  assert.deepEqual([error.status, error.code, error.version, requests.length], [412, 'condition_failed', 's9-81', 1]);
});

test('channel: a refusal that may have been taken is none to ask again by HTTP at once', async () => {
  for (const error of [{ code: 'desk_away', may_be_taken: true }, { code: 'journal_full', status: 507, may_be_taken: true }, { code: 'journal_unavailable' }]) {
    const { clock, sockets: [socket], requests, client } = await begin({ post: () => answer(412, { code: 'condition_failed', status: 412 }) });
    const once = outcome(client.publish('a', 1, { key: 'k', ifAbsent: true }));
    await settle();
    socket.give({ reply: 1, error });
    const { error: unsent } = await once;
    assert.ok(unsent instanceof UnsentError, `${error.code}: its own write is reported as ${unsent?.code}`);
    assert.deepEqual([unsent.code, unsent.mayBeTaken, unsent.cause.code, requests.length], ['unanswered', true, error.code, 0]);
    client.close();
    await clock.advance(1_000);
  }
});

test('channel: what was refused and not taken is asked by HTTP, and what may be taken later, under its key', async () => {
  const { clock, sockets: [socket], requests, client } = await begin({ post: () => answer(201, { cursor: 'e1-4' }) });
  const untaken = client.publish('a', 1, { key: 'k', ifAbsent: true });
  await settle();
  socket.give({ reply: 1, error: { code: 'journal_unavailable', may_be_taken: false } });
  await untaken;
  assert.equal(requests.length, 1);
  const deleted = client.delete('a', 'k');
  await settle();
  socket.give({ reply: 2, error: { code: 'journal_unavailable', may_be_taken: true } });
  await settle();
  assert.equal(requests.length, 1, 'not before a wait');
  await clock.advance(1_000);
  await deleted;
  assert.equal(requests.length, 2);
});

test('channel: what may have been taken is tried again no sooner than the server asks for', async () => {
  const { clock, sockets: [socket], requests, client } = await begin();
  const sent = client.publish('a', 1);
  await settle();
  socket.give({ reply: 1, error: { code: 'desk_away', may_be_taken: true, retry_ms: 7_000 } });
  await clock.advance(6_999);
  assert.equal(requests.length, 0);
  await clock.advance(1);
  assert.deepEqual([await sent, requests.length], [{ cursor: 'e1-9' }, 1]);
});

test('channel: a socket that is lost before the reply: the same is sent again under its key', async () => {
  const { clock, sockets: [socket], requests, client } = await begin({ post: () => answer(201, { cursor: 'e1-1', duplicate: true }) });
  const sent = client.publish('a', 1);
  const conditional = outcome(client.publish('a', 2, { key: 'k', ifAbsent: true }));
  await settle();
  socket.cut();
  await clock.advance(1_000);
  assert.deepEqual(await sent, { cursor: 'e1-1', duplicate: true });
  assert.equal(requests[0].headers.get('idempotency-key'), socket.sent[0].idempotency_key);
  assert.ok((await conditional).value, 'it was not sent before');
});

test('channel: what does not do the same twice is not sent again', async () => {
  const { clock, sockets: [socket], requests, client } = await begin();
  const sent = outcome(client.publish('a', 1, { key: 'k', ifAbsent: true }));
  await settle();
  socket.cut();
  await clock.advance(60_000);
  const { error } = await sent;
  assert.ok(error instanceof UnsentError);
  assert.deepEqual([error.code, error.mayBeTaken, requests.length], ['unanswered', true, 0]);
});

test('channel: one that does not answer is not asked again', async () => {
  const { clock, sockets: [socket], requests, client } = await begin();
  const sent = client.publish('a', 1);
  await clock.advance(TRY_MS + 1_000);
  assert.deepEqual(await sent, { cursor: 'e1-9' });
  await client.publish('a', 2);
  assert.deepEqual([requests.length, socket.sent.length], [2, 1]);
  socket.give({ reply: 1, cursor: 'e1-1' }, { reply: null, error: { code: 'request_invalid', detail: '' } });
});

test('channel: one is not given up because HTTP does not answer', async () => {
  const { clock, sockets: [socket], requests, client } = await begin({
    post: (n, { signal }) => (n > 1 ? answer(200, { fingerprint: '0123' }) : new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
    })),
  });
  const acknowledged = client.acknowledge('0123', { by: 'ada' });
  await clock.advance(TRY_MS + 1_000);
  await acknowledged;
  const sent = client.publish('a', 2);
  await settle();
  assert.deepEqual([requests.length, socket.sent.length], [2, 1]);
  socket.give({ reply: socket.sent[0].id, cursor: 'e1-1' });
  await sent;
});

test('channel: what is handed back waits for no reply', async () => {
  const control = new AbortController();
  const { clock, sockets: [socket], client } = await begin();
  const aborted = outcome(client.publish('a', 1, { signal: control.signal }));
  await settle();
  control.abort();
  assert.deepEqual([(await aborted).error.code, (await aborted).error.mayBeTaken], ['aborted', true]);
  const timed = outcome(client.publish('a', 2, { timeoutMs: 1_000 }));
  await clock.advance(1_000);
  assert.equal((await timed).error.code, 'unanswered');
  const closed = outcome(client.publish('a', 3));
  await settle();
  client.close();
  assert.equal((await closed).error.code, 'closed');
  assert.ok(socket.isClosed);
  assert.equal(clock.waiting, 0);
});

test('channel: a move away waits for the reply of what is under way', async () => {
  const sse = new FakeTransport('sse');
  const { clock, sockets, requests, client, transport } = await begin({ beside: sse });
  sse.newest.give(ready(0, 0));
  transport.move('websocket');
  sockets[0].give(ready(0, 0));
  assert.ok(sockets[0].isClosed, 'it was tried out');
  sockets[1].give(ready(0, 0));
  const sent = client.publish('a', 1, { key: 'k', ifAbsent: true });
  await clock.advance(0);
  transport.move('sse');
  sse.newest.sign();
  sse.newest.give(ready(0, 0));
  assert.ok(!sockets[1].isClosed);
  sockets[1].give({ reply: 1, version: 's9-1' });
  assert.deepEqual(await sent, { version: 's9-1' });
  assert.ok(sockets[1].isClosed);
  await client.publish('a', 2);
  assert.deepEqual([sockets[1].sent.length, requests.length], [1, 1]);
});

/** A server that takes events, over sockets and by HTTP, over a network that is cut at any moment. */
class World {
  log = [];
  #cursors = new Map();
  sockets = new Set();
  overSockets = 0;

  constructor(clock, random) {
    Object.assign(this, { clock, random });
  }

  take(data, key) {
    const known = this.#cursors.get(key);
    if (known) return { cursor: known, duplicate: true };
    this.log.push(data);
    this.#cursors.set(key, `e1-${this.log.length}`);
    return { cursor: `e1-${this.log.length}` };
  }

  /** How far a request or an answer comes: after a while, or not at all. */
  comes(then, isLost = () => false) {
    this.clock.after(this.random() * 20, () => { if (!isLost()) then(); });
  }

  get Socket() {
    const world = this;
    return class {
      isOver = false;
      constructor() {
        world.sockets.add(this);
        world.comes(() => this.#give(ready(0, 0)), () => this.isOver);
      }
      send(text) {
        const { id, data, idempotency_key: key } = JSON.parse(text);
        const isLost = () => this.isOver;
        world.comes(() => {
          const taken = world.take(data, key);
          world.overSockets += 1;
          world.comes(() => this.#give({ reply: id, ...taken }), isLost);
        }, isLost);
      }
      #give(item) {
        this.onmessage({ data: JSON.stringify(item) });
      }
      close() {
        this.isOver = true;
        world.sockets.delete(this);
      }
      cut() {
        this.close();
        this.onclose({ code: 1006, reason: '' });
      }
    };
  }

  /** Half of what is lost is lost on its way back. */
  fetch = (url, { body, headers }) => new Promise((resolve, reject) => {
    const [isLost, isAnswerLost] = [this.random() < 0.05, this.random() < 0.05];
    this.comes(() => {
      if (isLost) return reject(new TypeError('fetch failed'));
      const taken = this.take(JSON.parse(body), headers['idempotency-key']);
      this.comes(() => (isAnswerLost ? reject(new TypeError('fetch failed')) : resolve(answer(201, taken))));
    });
  });
}

test('channel: through cuts at any moment and moves each event is there once, in the order of the calls', async () => {
  const random = randomOf(SEED);
  const counts = { cuts: 0, moves: 0, sent: 0, overSockets: 0 };
  for (let round = 0; round < 30; round += 1) {
    const clock = new VirtualClock();
    const world = new World(clock, random);
    // Streams that come through at once: here it is what is sent that matters.
    const sse = { name: 'sse', open(opening, sink) {
      const cancel = clock.after(random() * 20, () => { sink.sign(); sink.item(ready(0, 0)); });
      return { close: cancel };
    } };
    const both = [sse, webSocket({ WebSocket: world.Socket })];
    const transport = moving(round % 2 === 0 ? both : both.reverse(), { leftAloneMs: 100 });
    const client = new Client('http://bell/', { fetch: world.fetch, clock, random: () => 0.01, transport });
    const subscription = client.subscribe('a');
    subscription.addEventListener('move', () => { counts.moves += 1; });
    const sent = [];
    for (let count = 0; count < 150; count += 1) {
      sent.push(client.publish('a', count));
      if (random() < 0.3) transport.move(random() < 0.7 ? 'websocket' : 'sse');
      if (random() < 0.1) for (const socket of [...world.sockets]) { socket.cut(); counts.cuts += 1; }
      await clock.advance(random() * 60);
    }
    await clock.advance(30_000);
    const answers = await Promise.all(sent);
    const all = Array.from(sent, (_, index) => index);
    assert.deepEqual(world.log, all, `round ${round}`);
    assert.deepEqual(answers.map(({ cursor }) => cursor), all.map((index) => `e1-${index + 1}`));
    counts.sent += sent.length;
    counts.overSockets += world.overSockets;
    client.close();
  }
  console.error(`   channel: ${JSON.stringify(counts)}`);
  assert.ok(counts.cuts > 100 && counts.moves > 200 && counts.overSockets > 300 && counts.overSockets < counts.sent, JSON.stringify(counts));
});
