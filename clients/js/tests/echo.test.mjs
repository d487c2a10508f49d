// What is published comes back, over a transport and a `fetch` that are played, in virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, echo, UnsentError } from '../dist/index.js';
import { event, FakeTransport, gap, ready, settle, VirtualClock } from './fakes.mjs';

const outcome = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));

/** A client that follows `filter` live, and whose requests are answered with `published`. */
async function begin(filter, published, options) {
  const clock = new VirtualClock();
  const transport = new FakeTransport();
  let requests = 0;
  const fetch = async (_, { signal }) => {
    requests += 1;
    if (published instanceof Promise) await Promise.race([published, new Promise((_, reject) => signal.addEventListener('abort', reject))]);
    return new Response(JSON.stringify(await published), { status: 201, headers: { 'content-type': 'application/json' } });
  };
  const client = new Client('http://bell/', { fetch, clock, transport, random: () => 1 });
  const subscription = client.subscribe(filter, options);
  await settle();
  transport.newest.give(ready(0, 0));
  return { clock, transport, client, subscription, requests: () => requests };
}

/** What has happened of each, in its order. */
function order(subscription, client, ...published) {
  const happened = [];
  subscription.addEventListener('event', ({ detail: { data } }) => happened.push(data));
  for (const [topic, data, options] of published) {
    void client.publish(topic, data, { echo, ...options }).then(
      ({ cursor, version }) => happened.push(`echo ${cursor ?? version}`), ({ code }) => happened.push(code),
    );
  }
  return happened;
}

test('echo: it resolves once the event is handed out, behind those before it', async () => {
  const { client, subscription, transport } = await begin('a', { cursor: 'e1-3' });
  const happened = order(subscription, client, ['a', 3]);
  await settle();
  transport.newest.give(event(1), event(2));
  await settle();
  assert.deepEqual(happened, [1, 2]);
  transport.newest.give(event(3));
  await settle();
  transport.newest.give(event(4));
  assert.deepEqual(happened, [1, 2, 3, 'echo e1-3', 4]);
  assert.equal(subscription.watchers.size, 0);
});

test('echo: an iteration has the event first', async () => {
  const { client, subscription, transport } = await begin('a', { cursor: 'e1-2' });
  const happened = [];
  void (async () => {
    for await (const { data } of subscription) happened.push(data);
  })();
  void client.publish('a', 2, { echo }).then(() => happened.push('echo'));
  await settle();
  transport.newest.give(event(1), event(2), event(3));
  await settle();
  assert.ok(happened.indexOf('echo') > happened.indexOf(2), `${happened}`);
});

test('echo: what nobody takes yet has not come back', async () => {
  const { client, subscription, transport } = await begin('a', { cursor: 'e1-1' });
  let isBack = false;
  void client.publish('a', 1, { echo }).then(() => { isBack = true; });
  transport.newest.give(event(1));
  await settle();
  assert.equal(isBack, false);
  await subscription[Symbol.asyncIterator]().next();
  await settle();
  assert.equal(isBack, true);
});

test('echo: an event that comes before the answer has come back with it', async () => {
  let answer;
  const { client, subscription, transport } = await begin('**', new Promise((resolve) => { answer = resolve; }));
  const happened = order(subscription, client, ['a', 1]);
  await settle();
  transport.newest.give(event(1), event(2));
  await settle();
  assert.deepEqual(happened, [1, 2]);
  answer({ cursor: 'e1-1' });
  await settle();
  assert.deepEqual(happened, [1, 2, 'echo e1-1']);
});

test('echo: over a cut, and where a gap or a position has passed it', async () => {
  const { clock, client, subscription, transport } = await begin('a', { cursor: 'e1-5' });
  const happened = order(subscription, client, ['a', 5]);
  await settle();
  transport.newest.end(new Error('cut'));
  await clock.advance(1_000);
  transport.newest.give(gap(0, 4), event(5), ready(5, 0));
  await settle();
  assert.deepEqual(happened, [5, 'echo e1-5']);
  for (const [items, what] of [
    [[gap(5, 9)], 'a gap covers it'],
    [[{ ...gap(5, 9), to: 'e2-0', reason: 'epoch' }], 'its epoch is over'],
    [[{ control: 'heartbeat', cursor: 'e1-9' }], 'a heartbeat is behind it'],
    [[{ control: 'heartbeat', cursor: 'e1-9.s9-77' }], 'whatever else it says'],
  ]) {
    const other = await begin('a', { cursor: 'e1-7' });
    const happened = order(other.subscription, other.client, ['a', 7]);
    other.transport.newest.give({ control: 'heartbeat', cursor: 'e1-6' }, { control: 'heartbeat', cursor: 'e2-7' });
    await settle();
    assert.deepEqual(happened, [], what);
    other.transport.newest.give(...items);
    await settle();
    assert.deepEqual(happened, ['echo e1-7'], what);
  }
});

test('echo: on a state topic it is the version, or a newer one of the key', async () => {
  const value = (n, more = {}) => ({ topic: 'a', key: 'k', time: 0, version: `s9-${n}`, data: n, ...more });
  for (const [items, what] of [
    [[value(7)], 'the own value'],
    [[value(9)], 'a newer one'],
    [[value(9, { deleted: true, data: undefined })], 'its end'],
    [[{ control: 'heartbeat', cursor: 'e1-0.s9-7-900.d5' }], 'a position among the changes'],
    [[{ control: 'reset', cursor: 'e1-0', filters: ['a'] }, ready(0, 0)], 'all values that there are'],
  ]) {
    const { client, subscription, transport, clock } = await begin('a', { version: 's9-7' });
    const happened = order(subscription, client, ['a', 7, { key: 'k' }]);
    await settle();
    transport.newest.give(value(6), value(9, { key: 'other' }), value(9, { topic: 'b' }), value(99, { version: 's8-99' }), { control: 'heartbeat', cursor: 'e1-9.s9-6' });
    await settle();
    assert.equal(happened.includes('echo s9-7'), false, what);
    transport.newest.give(...items);
    await settle();
    assert.ok(happened.includes('echo s9-7'), what);
    client.close();
    assert.equal(clock.waiting, 0);
  }
  // A process that is new has no values in memory.
  const { clock, client, subscription, transport } = await begin('a', { version: 's9-7' });
  const happened = order(subscription, client, ['a', 7, { key: 'k' }]);
  await settle();
  transport.newest.end(new Error('cut'));
  await clock.advance(1_000);
  transport.newest.give(ready(0, 0));
  await settle();
  assert.deepEqual(happened, ['echo s9-7']);
});

test('echo: without a subscription that follows the topic nothing is sent', async () => {
  const { client, requests, subscription } = await begin(['a/*', 'b/**', 'c'], { cursor: 'e1-1' });
  for (const topic of ['a', 'a/b/c', 'c/d', 'd']) {
    const { error } = await outcome(client.publish(topic, 1, { echo, idempotencyKey: 'one' }));
    assert.ok(error instanceof UnsentError, topic);
    assert.deepEqual([error.code, error.mayBeTaken, error.idempotencyKey, requests()], ['not_followed', false, 'one', 0], topic);
  }
  const sent = ['a/b', 'b', 'b/c/d', 'c'].map((topic) => outcome(client.publish(topic, 1, { echo })));
  await settle();
  assert.equal(requests(), 4, 'their own topics are followed');
  subscription.close();
  assert.deepEqual(await Promise.all(sent.map(async (one) => [(await one).error.code, (await one).error.mayBeTaken])), Array(4).fill(['closed', true]));
  assert.equal((await outcome(client.publish('c', 1, { echo }))).error.code, 'not_followed');
});

test('echo: what it may not read is not followed, until it may', async () => {
  const { clock, client, transport, requests, subscription } = await begin(['a', 'b'], { cursor: 'e1-0' });
  subscription.addEventListener('event', () => {});
  transport.newest.give({ control: 'narrowed', topics: ['a'] });
  assert.equal((await outcome(client.publish('b', 1, { echo }))).error.code, 'not_followed');
  await client.publish('a', 1, { echo });
  transport.newest.end(new Error('cut'));
  await clock.advance(1_000);
  transport.newest.give(ready(0, 0));
  await client.publish('b', 1, { echo });
  assert.equal(requests(), 2);
});

test('echo: what is aborted, late or closed is handed back', async () => {
  const { clock, client, subscription, transport } = await begin('a', { cursor: 'e1-1' });
  const control = new AbortController();
  const sent = [{ signal: control.signal }, { timeoutMs: 2_000 }, {}].map((options) => outcome(client.publish('a', 1, { echo, ...options })));
  await settle();
  control.abort();
  assert.equal((await sent[0]).error.code, 'aborted');
  await clock.advance(1_999);
  assert.equal(subscription.watchers.size, 2);
  await clock.advance(1);
  assert.deepEqual([(await sent[1]).error.code, (await sent[1]).error.mayBeTaken], ['unanswered', true]);
  client.close();
  assert.equal((await sent[2]).error.code, 'closed');
  assert.deepEqual([subscription.watchers.size, clock.waiting], [0, 0]);
  assert.ok(transport.newest.isClosed);
});

test('echo: a clock that is set makes no wait shorter or longer', async () => {
  for (const jump of [3_600_000, -3_600_000]) {
    let publish;
    const { clock, client, subscription, transport } = await begin('a', new Promise((resolve) => { publish = resolve; }));
    subscription.addEventListener('event', () => {});
    const [comes, never] = [{}, { timeoutMs: 2_000 }].map((options) => outcome(client.publish('a', 1, { echo, ...options })));
    await clock.advance(1_000);
    clock.jump(jump);
    publish({ cursor: 'e1-1' });
    await clock.advance(1_000);
    assert.equal((await never).error.code, 'unanswered');
    transport.newest.give(event(1));
    assert.deepEqual(await comes, { value: { cursor: 'e1-1' } });
    client.close();
  }
});

test('echo: what is refused is refused', async () => {
  const refused = new Client('http://bell/', {
    transport: new FakeTransport(), clock: new VirtualClock(),
    fetch: async () => new Response('{"code":"forbidden","status":403}', { status: 403, headers: { 'content-type': 'application/problem+json' } }),
  });
  const subscription = refused.subscribe('a');
  await assert.rejects(refused.publish('a', 1, { echo }), { code: 'forbidden' });
  assert.equal(subscription.watchers.size, 0);
  refused.close();
});
