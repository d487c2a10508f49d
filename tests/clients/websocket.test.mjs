// The WebSockets of Node's world: the npm package `ws`, and that of undici, which is Node's own.

import assert from 'node:assert/strict';
import { decode, encode } from '@msgpack/msgpack';
import { WebSocket as Undici } from 'undici';
import { WebSocket as Ws } from 'ws';
import { eventually, proves, publish, range } from './bellwire.mjs';

const CLIENTS = [
  ['ws', Ws],
  ['undici', Undici],
];

/** Each subprotocol with its way to write and read; `data` is what a browser calls so. */
const SPOKEN = {
  'bellwire.v1.json': { write: JSON.stringify, read: JSON.parse },
  'bellwire.v1.msgpack': { write: encode, read: decode },
};

/** How long a client waits before it comes back: it is no matter of patience, but of manners. */
const RETRY_MS = 50;

for (const [name, WebSocket] of CLIENTS) {
  for (const protocol of Object.keys(SPOKEN)) {
    proves(`${name} talks and is answered: ${protocol}`, async (server, atEnd) => {
      const talk = await open(atEnd, server, WebSocket, { protocol });
      assert.equal(talk.socket.protocol, protocol);
      assert.match(talk.socket.extensions, /^permessage-deflate/);

      const large = 'the same again '.repeat(20_000);
      for (const data of ['short', large, { æ: [1, -2.5, null, true] }]) {
        const reply = await talk.ask({ request: 'publish', topic: 'lab/notes', data });
        const event = await talk.next('an event', (item) => item.topic);
        assert.deepEqual(event.data, data);
        assert.equal(event.cursor, reply.cursor);
      }
      const refused = await talk.ask({ request: 'publish', topic: 'alerts/active', data: 1 });
      assert.equal(refused.error.code, 'topic_reserved');

      await talk.ask({ request: 'unsubscribe', topics: ['lab/**'] });
      const id = talk.send({ request: 'subscribe', topics: ['lab/**'], after: 'earliest' });
      await talk.next('its ready', (item) => item.control === 'ready' && item.id === id);
      talk.socket.close(4321, 'enough');
      const { code, wasClean } = await talk.closed;
      assert.deepEqual({ code, wasClean }, { code: 4321, wasClean: true });
    });
  }

  proves(`${name} misses and repeats nothing across SIGKILL`, async (server, atEnd) => {
    const seen = follow(atEnd, server, WebSocket);
    const hasSeen = (count) =>
      eventually(`event ${count}`, () => seen.events.at(-1)?.data.count >= count);
    await eventually('the first ready', () => seen.readies === 1);

    await publish(server, 'lab/counter', range(1, 20));
    await hasSeen(20);
    // Acknowledged, but perhaps not yet delivered, when the server goes down.
    await publish(server, 'lab/counter', range(21, 40));
    await server.end('SIGKILL');
    await server.start();
    await publish(server, 'lab/counter', range(41, 60));
    await hasSeen(60);
    // A graceful end says good-bye, and why.
    const closed = seen.talk.closed;
    await server.end('SIGTERM');
    const { code, reason, wasClean } = await closed;
    assert.deepEqual({ code, reason, wasClean }, { code: 1001, reason: 'drain', wasClean: true });
    await server.start();
    await publish(server, 'lab/counter', range(61, 70));
    await hasSeen(70);

    assert.deepEqual(seen.events.map((event) => event.data.count), range(1, 70));
    assert.equal(new Set(seen.events.map((event) => event.cursor)).size, 70, 'all are new');
    assert.deepEqual(seen.gaps, []);
  });
}

/** A conversation; `next` gives items that fit, and drops those before them. */
class Talk {
  #spoken;
  #items = [];
  #ids = 0;

  constructor(server, WebSocket, { protocol, after }) {
    this.#spoken = SPOKEN[protocol];
    const url = new URL('/v1/events?topic=lab/**', server.url.replace('http', 'ws'));
    if (after) url.searchParams.set('after', after);
    this.socket = new WebSocket(url, protocol);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onmessage = ({ data }) => this.onItem(this.#spoken.read(data));
    this.opened = new Promise((resolve) => (this.socket.onopen = resolve));
    this.closed = new Promise((resolve) => {
      this.socket.onclose = resolve;
      // Of a port on which nobody listens undici says nothing more.
      this.socket.onerror = () => setTimeout(resolve, RETRY_MS, { code: 1006, wasClean: false });
    });
  }

  onItem(item) {
    this.#items.push(item);
  }

  send(request) {
    const id = ++this.#ids;
    this.socket.send(this.#spoken.write({ ...request, id }));
    return id;
  }

  ask(request) {
    const id = this.send(request);
    return eventually(`the reply to ${request.request}`, () => {
      const index = this.#items.findIndex((item) => item.reply === id);
      return index >= 0 && this.#items.splice(index, 1)[0];
    });
  }

  async next(what, fits) {
    return eventually(what, () => {
      while (this.#items.length > 0) {
        const item = this.#items.shift();
        if (fits(item)) return item;
      }
    });
  }
}

async function open(atEnd, server, WebSocket, options) {
  const talk = new Talk(server, WebSocket, options);
  atEnd(() => talk.socket.close());
  await talk.opened;
  return talk;
}

/** Comes back with the newest cursor whenever it is cut off. */
function follow(atEnd, server, WebSocket) {
  const seen = { events: [], readies: 0, gaps: [], talk: null };
  let cursor;
  let isOver = false;
  const connect = () => {
    if (isOver) return;
    seen.talk = new Talk(server, WebSocket, { protocol: 'bellwire.v1.json', after: cursor });
    seen.talk.onItem = (item) => {
      if (item.control === 'gap') seen.gaps.push(item);
      if (item.control === 'ready') seen.readies += 1;
      if (item.topic) seen.events.push(item);
      if (item.control !== 'gap') cursor = item.cursor ?? cursor;
    };
    seen.talk.closed.then(() => setTimeout(connect, RETRY_MS));
  };
  connect();
  atEnd(() => {
    isOver = true;
    seen.talk.socket.close();
  });
  return seen;
}
