// All transports against the real binary: moves and cuts, and proxies that hold something back.

import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { eventually, proves, provesWithConfig, provesWithConfigOf, provesWithFlags, provesWithKeys, range } from '../../../tests/clients/bellwire.mjs';
import { Client, longPoll, moving, sse, webSocket } from '../dist/index.js';
import { issuing } from './issuer.mjs';
import { randomOf, SEED, startWire } from './wire.mjs';

console.error(`BELLWIRE_TEST_SEED=${SEED}`);

const all = () => [sse, webSocket({ WebSocket }), longPoll()];
const NAMES = ['sse', 'websocket', 'poll'];

function clientOf(server, atEnd, options) {
  const client = new Client(server.url, { random: () => 0.02, ...options });
  atEnd(() => client.close());
  return client;
}

/** What is given of a subscription, and its moves. */
function hear(subscription) {
  const heard = { data: [], moves: [], errors: [] };
  subscription.addEventListener('event', ({ detail }) => heard.data.push(detail.data));
  subscription.addEventListener('move', ({ detail: { from, to, reason } }) => heard.moves.push(`${from}>${to} ${reason}`));
  subscription.addEventListener('status', ({ detail }) => { if (detail.error) heard.errors.push(detail.error.code); });
  return heard;
}

const STATE = `
[[topic]]
match = "places/**"
kind = "state"
`;

provesWithConfig('through forced moves and cuts events come once and in order, and state is current', STATE, async (server, atEnd) => {
  const random = randomOf(SEED);
  const wire = await startWire(server, atEnd);
  const transport = moving(all(), { leftAloneMs: 200, muteMs: 600 });
  const far = clientOf(wire, atEnd, { transport });
  const near = clientOf(server, atEnd, {});
  const subscription = far.subscribe('lab/**', { after: 'earliest' });
  const { data, moves } = hear(subscription);
  const state = far.state('places/oslo');
  await Promise.all([subscription.ready(), state.ready()]);
  const isAsked = (name) => moves.some((move) => move.includes(`>${name} asked`));
  const breaking = (async () => {
    // One may come back to a better transport before it is asked to: until each was asked for.
    while (moves.length < 30 || (moves.length < 500 && !NAMES.every(isAsked))) {
      await setTimeout(random() * 40);
      if (random() < 0.15) wire.cut();
      else transport.move(NAMES[Math.floor(random() * NAMES.length)]);
    }
  })();
  let count = 0;
  let isDone = false;
  void breaking.then(() => { isDone = true; });
  const values = new Map();
  while (!isDone) {
    count += 1;
    await near.publish(`lab/${count % 3}`, count);
    const key = `${count % 7}`;
    if (random() < 0.3 && values.delete(key)) await near.delete('places/oslo', key);
    else await near.publish('places/oslo', count, { key }).then(() => values.set(key, count));
  }
  await eventually('the last event', () => data.length >= count);
  assert.deepEqual(data, range(1, count));
  await eventually('the last values', () => JSON.stringify([...state].sort()) === JSON.stringify([...values].sort()));
  assert.ok(NAMES.every(isAsked), `${moves}`);
});

const holdsBack = {
  sse: (head) => head.includes('accept: text/event-stream'),
  'sse and websocket': (head) => head.includes('accept: text/event-stream') || head.includes('upgrade: websocket'),
};

for (const [what, to] of [['sse', 'websocket'], ['sse and websocket', 'poll']]) {
  proves(`behind something that holds ${what} back it comes over ${to}, and moves back when that ends`, async (server, atEnd) => {
    const wire = await startWire(server, atEnd);
    wire.isHeldBack = holdsBack[what];
    const client = clientOf(wire, atEnd, { transport: moving(all(), { leftAloneMs: 300, muteMs: 600 }) });
    const subscription = client.subscribe('lab/a');
    const { data, moves, errors } = hear(subscription);
    await subscription.ready();
    assert.equal(moves.at(-1), `${to === 'poll' ? 'websocket' : 'sse'}>${to} mute`);
    await client.publish('lab/a', 1);
    await eventually('the event', () => data.length === 1);
    wire.isHeldBack = () => false;
    await eventually('the move back', () => moves.at(-1).endsWith('>sse better'));
    await client.publish('lab/a', 2);
    await eventually('the next event', () => data.length === 2);
    assert.deepEqual([data, errors], [[1, 2], []]);
  });
}

for (const transport of all().slice(1)) {
  proves(`${transport.name}: a kill, a gap, an end`, async (server, atEnd) => {
    const client = clientOf(server, atEnd, { transport });
    const subscription = client.subscribe('lab/a', { after: 'e1-1' });
    const { data } = hear(subscription);
    const gaps = [];
    subscription.addEventListener('gap', ({ detail }) => gaps.push(detail.reason));
    await client.publish('lab/a', 1);
    await subscription.ready();
    await server.end('SIGKILL');
    await server.start();
    await client.publish('lab/a', 2, { end: true });
    await eventually('the end', () => subscription.status === 'closed');
    assert.deepEqual([data, gaps, subscription.error], [[1, 2], ['epoch'], null]);
  });
}

provesWithKeys('a WebSocket and polls show a token', {
  roles: '[[access.role]]\nname = "team"\nsubscribe = ["teams/{sub}/**"]\npublish = ["teams/{sub}/**"]\n', subjects: { red: ['team'] },
}, async (server, atEnd, { red }) => {
  for (const transport of all()) {
    const client = clientOf(server, atEnd, { token: red, transport });
    const subscription = client.subscribe('teams/red/a');
    const { data } = hear(subscription);
    await subscription.ready();
    await client.publish('teams/red/a', transport.name);
    await eventually(transport.name, () => data.includes(transport.name));
    client.close();
  }
});

provesWithConfigOf('what is refused is known over each transport: an old token is replaced, a wrong cursor is an end', issuing, async (server, atEnd, { token }) => {
  const [old, good] = [token('1s'), token('1h')];
  await setTimeout(2_000);
  for (const transport of all()) {
    let asked = 0;
    const client = clientOf(server, atEnd, { transport, token: () => ((asked += 1) === 1 ? old : good) });
    await client.subscribe('lab/a').ready();
    assert.equal(asked, 2, transport.name);
    await assert.rejects(client.subscribe('lab/a', { after: 'yesterday' }).ready(), { code: 'cursor_invalid', status: 400 }, transport.name);
  }
});

proves('who is slow over a WebSocket has all that comes, in order, and little of it waits', async (server, atEnd) => {
  const count = 6_000;
  const publisher = clientOf(server, atEnd);
  for (const from of [0, 1_000, 2_000, 3_000, 4_000, 5_000]) {
    await Promise.all(range(from + 1, from + 1_000).map((n) => publisher.publish('lab/a', n)));
  }
  const opened = [];
  class Counted extends WebSocket {
    constructor(...given) {
      super(...given);
      opened.push(this);
    }
  }
  const client = clientOf(server, atEnd, { transport: webSocket({ WebSocket: Counted }) });
  const subscription = client.subscribe('lab/a', { after: 'earliest' });
  const { errors } = hear(subscription);
  const data = [];
  for await (const event of subscription) {
    data.push(event.data);
    if (event.data % 200 === 0) await setTimeout(20);
    if (data.length === count) break;
  }
  assert.deepEqual(data, range(1, count));
  assert.deepEqual(errors, []);
  assert.ok(opened.length > 1 && opened.length <= count / 256, `${opened.length} sockets`);
});

provesWithFlags('a WebSocket on which nothing happens is known to live', ['--heartbeat-interval', '200ms'], async (server, atEnd) => {
  const subscription = clientOf(server, atEnd, { transport: webSocket({ WebSocket }) }).subscribe('lab/a');
  const { errors } = hear(subscription);
  await subscription.ready();
  await setTimeout(1_500);
  assert.deepEqual(errors, [], 'beyond two and a half heartbeats');
  server.signal('SIGSTOP');
  await eventually('silence', () => errors.includes('connection_silent'));
  server.signal('SIGCONT');
  await subscription.ready();
});
