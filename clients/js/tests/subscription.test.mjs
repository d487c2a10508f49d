// Subscriptions and states over a transport that is played.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Backoff } from '../dist/parts/backoff.js';
import { ConnectionError, ProblemError } from '../dist/parts/errors.js';
import { QueryState, TopicState } from '../dist/parts/state.js';
import { KEEP_MS, Subscription, WAITING_BYTES_MAX, WAITING_MAX } from '../dist/parts/subscription.js';
import { Token } from '../dist/parts/token.js';
import { event, FakeTransport, gap, ready, settle, value, VirtualClock } from './fakes.mjs';

async function begin({ controls = false, signal, store, after = null } = {}) {
  const clock = new VirtualClock();
  const transport = new FakeTransport();
  const setting = { asking: {}, clock, transport, token: new Token(), backoff: () => new Backoff(() => 1), renew() {} };
  const followed = { url: new URL('http://bell/v1/events?topic=a'), after, topics: null };
  let closings = 0;
  const subscription = new Subscription(setting, followed, { controls, signal, store, onClose: () => { closings += 1; } });
  await settle();
  return { clock, transport, subscription, closings: () => closings };
}

/** Takes so many from an iterator. */
async function take(iterator, count) {
  const taken = [];
  while (taken.length < count) taken.push((await iterator.next()).value);
  return taken;
}

const lost = () => new ConnectionError('connection_lost', 'cut');

test('subscription: an iteration gives each event once, also what came before it began', async () => {
  const { transport, subscription, closings } = await begin();
  transport.newest.give(ready(0), event(1), gap(1, 2), event(3));
  const seen = [];
  for await (const { data } of subscription) {
    seen.push(data);
    if (data === 3) transport.newest.give(event(4));
    if (data === 4) break;
  }
  assert.deepEqual(seen, [1, 3, 4]);
  assert.equal(subscription.status, 'closed', 'who leaves closes it');
  assert.ok(transport.newest.isClosed);
  assert.equal(closings(), 1);
});

test('subscription: with controls a gap is given in its place', async () => {
  const { transport, subscription } = await begin({ controls: true });
  transport.newest.give(event(1), gap(1, 2), event(3), ready(3));
  const items = await take(subscription[Symbol.asyncIterator](), 4);
  assert.deepEqual(items.map((item) => item.control ?? item.data), [1, 'gap', 3, 'ready']);
});

test('subscription: the cursor is that of what was handed out, control events included', async () => {
  const { transport, subscription } = await begin();
  const iterator = subscription[Symbol.asyncIterator]();
  transport.newest.give(event(1), event(2), { control: 'heartbeat', cursor: 'e1-9' }, event(12));
  assert.equal(subscription.cursor, null);
  await take(iterator, 1);
  assert.equal(subscription.cursor, 'e1-1');
  await take(iterator, 2);
  assert.equal(subscription.cursor, 'e1-12');
  const waits = iterator.next();
  transport.newest.give({ control: 'heartbeat', cursor: 'e1-20' });
  assert.equal(subscription.cursor, 'e1-20');
  subscription.close();
  assert.equal((await waits).done, true);
});

test('subscription: those who ask ahead are served in their order', async () => {
  const { transport, subscription } = await begin();
  const iterator = subscription[Symbol.asyncIterator]();
  const asked = [iterator.next(), iterator.next(), iterator.next()];
  transport.newest.give(event(1), event(2));
  subscription.close();
  assert.deepEqual((await Promise.all(asked)).map(({ value }) => value?.data), [1, 2, undefined]);
  assert.throws(() => subscription[Symbol.asyncIterator](), TypeError);
});

test('subscription: what waits is bounded, and read on once it is taken', async () => {
  const { transport, subscription } = await begin();
  const { sink } = transport.newest;
  for (let n = 0; n < WAITING_MAX; n += 1) {
    assert.equal(sink.room(), null, `${n}`);
    transport.newest.give(event(n));
  }
  let hasRoom = false;
  void sink.room().then(() => { hasRoom = true; });
  const iterator = subscription[Symbol.asyncIterator]();
  await take(iterator, WAITING_MAX / 2 - 1);
  await settle();
  assert.ok(!hasRoom);
  await take(iterator, 1);
  await settle();
  assert.ok(hasRoom);
});

test('subscription: what was taken is let go of, also where something always waits', async () => {
  setFlagsFromString('--expose_gc');
  const { transport, subscription } = await begin();
  const { sink } = transport.newest;
  const iterator = subscription[Symbol.asyncIterator]();
  const give = (n) => {
    const data = { n };
    transport.newest.give({ ...event(n), data });
    return new WeakRef(data);
  };
  const given = [];
  for (let n = 0; n < 3 * WAITING_MAX; n += 1) {
    given.push(give(n));
    // As of a transport that says nothing of lengths.
    sink.room();
    if (n > 0) await take(iterator, 1);
  }
  await settle();
  runInNewContext('gc')();
  const kept = given.filter((one) => one.deref()).length;
  assert.ok(kept < WAITING_MAX, `${kept} are kept`);
});

test('subscription: a listener is given what waits, and nothing is kept for an iteration that nobody does', async () => {
  const { transport, subscription } = await begin();
  transport.newest.give(event(1), event(2));
  const heard = [];
  subscription.addEventListener('event', ({ detail }) => heard.push(detail.data));
  transport.newest.give(event(3));
  assert.deepEqual(heard, [1, 2, 3]);
  assert.equal(subscription.cursor, 'e1-3');
  for (let n = 0; n <= WAITING_MAX; n += 1) transport.newest.give(event(n));
  assert.equal(transport.newest.sink.room(), null);
});

test('subscription: listeners hear each control event and each status', async () => {
  const { clock, transport, subscription } = await begin();
  const heard = [];
  for (const type of ['ready', 'gap', 'bye']) subscription.addEventListener(type, ({ detail }) => heard.push(detail.control));
  subscription.addEventListener('status', ({ detail }) => heard.push(detail.status));
  transport.newest.give(gap(1, 2), ready(2), { control: 'bye', reason: 'drain', retry_ms: 10 });
  await clock.advance(1_000);
  assert.deepEqual(heard, ['gap', 'ready', 'live', 'bye', 'waiting', 'connecting']);
});

test('subscription: of what nobody listens to no event is made', async (t) => {
  const made = [];
  const { CustomEvent } = globalThis;
  globalThis.CustomEvent = class extends CustomEvent {
    constructor(type, init) {
      super(type, init);
      made.push(type);
    }
  };
  t.after(() => { globalThis.CustomEvent = CustomEvent; });
  const { transport, subscription } = await begin();
  const iterator = subscription[Symbol.asyncIterator]();
  transport.newest.give(ready(0), event(1), event(2));
  await take(iterator, 2);
  assert.deepEqual(made, []);
  subscription.addEventListener('event', () => {});
  subscription.addEventListener('status', () => {});
  transport.newest.give(event(3), gap(3, 4));
  await take(iterator, 1);
  subscription.close();
  assert.deepEqual(made, ['event', 'status']);
});

test('subscription: a refusal is thrown behind the last event', async () => {
  const { transport, subscription } = await begin();
  transport.newest.give(event(1));
  transport.newest.end(new ProblemError(400, { code: 'cursor_invalid', detail: 'x' }, null));
  const seen = [];
  await assert.rejects(async () => {
    for await (const { data } of subscription) seen.push(data);
  }, { name: 'ProblemError', code: 'cursor_invalid', status: 400 });
  assert.deepEqual(seen, [1]);
  await assert.rejects(subscription.ready(), { code: 'cursor_invalid' });
});

test('subscription: a signal closes it, also one that was given before', async () => {
  const control = new AbortController();
  const { transport, subscription } = await begin({ signal: control.signal });
  const rest = subscription[Symbol.asyncIterator]().next();
  const waits = subscription.ready();
  control.abort();
  assert.equal((await rest).done, true);
  await assert.rejects(waits, { name: 'AbortError' });
  assert.ok(transport.newest.isClosed);

  const late = await begin({ signal: control.signal });
  assert.equal(late.subscription.status, 'closed');
  assert.equal(late.transport.opened.length, 0);
});

test('subscription: ready waits over cuts', async () => {
  const { clock, transport, subscription } = await begin();
  let isReady = false;
  const waits = subscription.ready().then(() => { isReady = true; });
  transport.newest.end(lost());
  await clock.advance(1_000);
  assert.ok(!isReady);
  transport.newest.give(ready(1));
  await waits;
  await subscription.ready();
});

test('subscription: its cursor is kept, and the next one begins behind it', async () => {
  const kept = [];
  const store = { get: async () => kept.at(-1), set: (cursor) => kept.push(cursor) };
  const first = await begin({ store, after: 'earliest' });
  assert.equal(first.transport.newest.after, 'earliest', 'nothing is kept yet');
  const iterator = first.subscription[Symbol.asyncIterator]();
  first.transport.newest.give(event(1), event(2), event(3));
  await take(iterator, 2);
  assert.deepEqual(kept, []);
  await first.clock.advance(KEEP_MS);
  assert.deepEqual(kept, ['e1-2'], 'what is not handed out yet does not count');
  await first.clock.advance(10 * KEEP_MS);
  assert.deepEqual(kept, ['e1-2'], 'nor is it kept twice');
  await take(iterator, 1);
  first.subscription.close();
  await settle();
  assert.deepEqual(kept, ['e1-2', 'e1-3'], 'at the end at once');
  assert.equal(first.clock.waiting, 0);
  const next = await begin({ store, after: 'earliest' });
  assert.equal(next.transport.newest.after, 'e1-3');
});

test('subscription: a store that fails is passed over', async () => {
  const fails = () => { throw new Error('storage is disabled'); };
  for (const store of [{ get: fails, set: fails }, { get: async () => fails(), set: async () => fails() }]) {
    const { clock, transport, subscription } = await begin({ store, after: 'earliest' });
    assert.equal(transport.newest.after, 'earliest');
    transport.newest.give(event(1));
    await take(subscription[Symbol.asyncIterator](), 1);
    await clock.advance(KEEP_MS);
    assert.equal(subscription.status, 'connecting');
  }
});

test('subscription: while its store is asked a network that is back opens nothing', async () => {
  let answer;
  const store = { get: () => new Promise((resolve) => { answer = resolve; }), set() {} };
  const { transport, subscription } = await begin({ store, after: 'earliest' });
  subscription.wake('online');
  await settle();
  assert.equal(transport.opened.length, 0);
  answer('e1-5');
  await settle();
  assert.deepEqual(transport.opened.map(({ after }) => after), ['e1-5']);
});

test('subscription: what waits is bounded in bytes, too', async () => {
  const { transport, subscription } = await begin();
  const { sink } = transport.newest;
  const iterator = subscription[Symbol.asyncIterator]();
  for (const n of [1, 2, 3]) {
    transport.newest.give(event(n));
    if (n < 3) assert.equal(sink.room(WAITING_BYTES_MAX / 4), null, `${n}`);
  }
  let isRead = false;
  void sink.room(WAITING_BYTES_MAX / 2).then(() => { isRead = true; });
  await take(iterator, 2);
  await settle();
  assert.equal(isRead, false);
  await take(iterator, 1);
  await settle();
  assert.equal(isRead, true);
  assert.equal(sink.room(WAITING_BYTES_MAX), null, 'what is taken at once is read on');
});

/** A state, and its changes. */
async function beginState(State = TopicState) {
  const parts = await begin();
  const state = new State(parts.subscription);
  const changes = [];
  state.addEventListener('change', ({ detail: { key, value } }) => changes.push([key, value]));
  return { ...parts, state, changes };
}

test('state: values, changes and deletions', async () => {
  const { transport, state, changes } = await beginState();
  transport.newest.give(value('a', 1), value('b', 2), ready(1), value('a', 3, 'e1-1.s1-1'));
  transport.newest.give({ topic: 'a', key: 'b', time: 0, deleted: true });
  transport.newest.give({ topic: 'a', key: 'never', time: 0, deleted: true });
  assert.deepEqual([...state], [['a', 3]]);
  assert.deepEqual(changes, [['a', 1], ['b', 2], ['a', 3], ['b', undefined]]);
  assert.deepEqual([state.get('a'), state.has('b'), state.size], [3, false, 1]);
});

test('state: it is the same snapshot until something changes', async () => {
  const { transport, state } = await beginState();
  transport.newest.give(value('a', 1), ready(1));
  const before = state.snapshot();
  assert.equal(state.snapshot(), before);
  transport.newest.give(value('a', 2));
  assert.deepEqual([before.get('a'), state.snapshot().get('a')], [1, 2]);
});

test('state: over a cut it keeps what it has, and goes on from there', async () => {
  const { clock, transport, state, changes } = await beginState();
  transport.newest.give(value('a', 1, 'e1-1.s1-1'), value('b', 2, 'e1-1.s1-2'), ready(1));
  transport.newest.end(lost());
  await clock.advance(1_000);
  assert.equal(transport.newest.after, 'e1-1');
  assert.equal(state.size, 2);
  transport.newest.give({ topic: 'a', key: 'a', time: 0, cursor: 'e1-1.s1-3', deleted: true }, ready(1));
  assert.deepEqual([...state], [['b', 2]]);
  assert.equal(changes.length, 3);
});

test('state: after a reset, what does not come again is gone, and nothing flickers', async () => {
  const { clock, transport, state, changes } = await beginState();
  transport.newest.give(value('a', 1), value('b', 2), ready(1));
  transport.newest.end(lost());
  await clock.advance(1_000);
  transport.newest.give({ control: 'reset', cursor: 'e1-1', filters: ['a'] }, value('b', 2), value('c', 3));
  assert.deepEqual([...state.snapshot().keys()], ['a', 'b', 'c'], 'not all have come yet');
  transport.newest.give(ready(1));
  assert.deepEqual([...state], [['b', 2], ['c', 3]]);
  assert.deepEqual(changes.at(-1), ['a', undefined]);
});

test('state: where it begins anew for want of a cursor, what went meanwhile goes', async () => {
  const { clock, transport, state } = await beginState();
  transport.newest.give(value('a', 1), value('b', 2));
  transport.newest.end(lost());
  await clock.advance(1_000);
  assert.equal(transport.newest.after, null);
  transport.newest.give(value('b', 2), ready(1));
  assert.deepEqual([...state], [['b', 2]]);
});

test('state: nothing flickers where a move brings all anew', async () => {
  const { transport, state, changes } = await beginState();
  transport.newest.give(value('a', 1), value('b', 2), ready(1));
  transport.newest.sink.moved({ from: 'a', to: 'b', reason: 'asked' });
  transport.newest.give({ control: 'reset', cursor: 'e1-1', filters: ['a'] }, value('b', 2));
  assert.deepEqual([...state.snapshot().keys()], ['a', 'b']);
  transport.newest.give(ready(1));
  assert.deepEqual([[...state], changes.at(-1)], [[['b', 2]], ['a', undefined]]);
});

test('state: behind a reset in the midst of it, as of a poll, what has not come by the next heartbeat is gone', async () => {
  const { transport, state, changes } = await beginState();
  transport.newest.give(value('a', 1), value('b', 2), ready(1), { control: 'reset', cursor: 'e1-1', filters: ['a'] });
  transport.newest.give(value('b', 2), value('c', 1));
  assert.equal(state.size, 3);
  transport.newest.give({ control: 'heartbeat', cursor: 'e1-2' });
  assert.deepEqual([[...state.snapshot().keys()], changes.filter(([, data]) => data === undefined)], [['b', 'c'], [['a', undefined]]]);
});

test('state: a heartbeat on the way to what there is takes nothing away', async () => {
  const { clock, transport, state } = await beginState();
  const [beat, reset] = [{ control: 'heartbeat', cursor: 'e1-1' }, { control: 'reset', cursor: 'e1-1', filters: ['a'] }];
  transport.newest.give(value('a', 1), ready(1));
  transport.newest.end(lost());
  await clock.advance(1_000);
  transport.newest.give(reset, beat);
  assert.equal(state.size, 1);
  transport.newest.give(value('a', 1), ready(1));
  transport.newest.sink.moved({ from: 'a', to: 'b', reason: 'asked' });
  transport.newest.give(reset, beat);
  assert.equal(state.size, 1);
});

test('state of a query: its description is no element', async () => {
  const { transport, state } = await beginState(QueryState);
  assert.equal(state.info, null);
  const info = { query: 'up', mode: 'stream' };
  const infos = [];
  state.addEventListener('info', ({ detail }) => infos.push(detail));
  transport.newest.give(value('query', info), value('{a="1"}', { value: 1 }), ready(1));
  assert.deepEqual([state.info, infos], [info, [info]]);
  assert.deepEqual([...state], [['{a="1"}', { value: 1 }]]);
});
