// A real Bellwire behind faults: what a client is given, compared with what was published.

import assert from 'node:assert/strict';
import { page } from '../suite/items.mjs';
import { randomOf } from '../suite/random.mjs';

const ALL = ['sse', 'websocket', 'poll'];
/** How many subscriptions go through faults, and how many of them each. More make the waits long. */
const FOLLOWS = 3;
const FAULTS = 4;
const EVENTS = 240;

/** What goes wrong with one connection. */
function fault(random) {
  const cutAfter = Math.floor(random() * 12_000);
  const faults = [
    { upstream: { cut_after_bytes: cutAfter, cut: 'reset' } },
    { upstream: { cut_after_bytes: cutAfter, cut: 'break' } },
    { upstream: { cut_after_bytes: cutAfter, cut: 'break' } },
    page(502),
    { refuse: 'reset' },
  ];
  return faults[Math.floor(random() * faults.length)];
}

/** Short and long, with characters of several bytes. */
const payloadOf = (n) => ({ n, text: 'ä😀'.repeat(n % 7 === 0 ? 300 : 3) });

async function publish(t, topic, n, headers = {}) {
  const answer = await fetch(new URL(`v1/topics/${topic}`, t.upstream), {
    method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(payloadOf(n)),
  });
  assert.equal(answer.status, 201, `publishing: ${await answer.clone().text()}`);
  return answer.json();
}

async function hasAll(t, follows) {
  await t.until('all events', () => follows.every(({ events, closed }) => events.length >= EVENTS || closed));
  for (const { data, controls } of follows) {
    assert.deepEqual(data.map(({ n }) => n), Array.from({ length: EVENTS }, (_, n) => n));
    assert.ok(data.every(({ n, text }) => text === payloadOf(n).text), 'what came is not what was published');
    assert.ok(!controls.includes('gap'), 'a gap is told, and there was none');
  }
}

export const scenarios = [
  {
    name: 'has-the-truth',
    requirement: 'Through cuts at any byte, resets, refusals and what a proxy says in between, each event that was published comes once and in order.',
    over: ALL,
    isReal: true,
    async run(t) {
      const name = `truth-${t.transport}`;
      const random = randomOf(name);
      const topic = `${t.realm}/${name}`;
      for (let n = 0; n < EVENTS / 2; n += 1) await publish(t, `${topic}/${n % 3}`, n);
      const follows = [];
      for (let i = 0; i < FOLLOWS; i += 1) {
        const plays = Array.from({ length: FAULTS }, () => fault(random));
        const place = await t.place(plays, { upstream: t.upstream });
        follows.push(t.follow(place, { filters: [`${topic}/**`], after: 'earliest' }));
      }
      for (let n = EVENTS / 2; n < EVENTS; n += 1) {
        await publish(t, `${topic}/${n % 3}`, n);
        await t.sleep(random() * 30);
      }
      await hasAll(t, follows);
    },
  },
  {
    name: 'has-the-state',
    requirement: 'Of a state topic that is followed with `state=changes`, what came comes to the values that there are, through cuts, deletions included.',
    needs: ['state'],
    over: ALL,
    isReal: true,
    async run(t) {
      const random = randomOf(`state-${t.transport}`);
      const topic = `state/${t.realm}-${t.transport}`;
      const first = await publish(t, topic, 0, { 'Bellwire-Key': 'k0' });
      if (!first.version) return t.skip('the server has no state topics `state/**` (`[[topic]]`, `kind = "state"`)');
      const place = await t.place(Array.from({ length: FAULTS }, () => fault(random)), { upstream: t.upstream });
      const follow = t.follow(place, { filters: [topic], state: 'changes' });
      const truth = new Map([['k0', 0]]);
      for (let n = 1; n < EVENTS / 2; n += 1) {
        const key = `k${Math.floor(random() * 12)}`;
        if (random() < 0.3 && truth.delete(key)) {
          await fetch(new URL(`v1/topics/${topic}?key=${key}`, t.upstream), { method: 'DELETE' });
        } else {
          await publish(t, topic, n, { 'Bellwire-Key': key });
          truth.set(key, n);
        }
        await t.sleep(random() * 20);
      }
      const sorted = (map) => JSON.stringify([...map].sort());
      await t.until('the values that there are', () => sorted(stateOf(follow)) === sorted(truth));
    },
  },
  ...[
    ['sse', 'the stream of Server-Sent Events'], ['sse websocket', 'that and WebSockets'],
  ].map(([kinds, what]) => ({
    name: `moves-where-${kinds.replace(' ', '-and-')}-${kinds.includes(' ') ? 'are' : 'is'}-held-back`,
    requirement: `Where something in between holds ${what} back, it comes over the next transport, and the move is told; nothing is lost or told twice.`,
    needs: ['moving', 'sse', ...(kinds.includes(' ') ? ['poll'] : ['websocket'])],
    isReal: true,
    async run(t) {
      const place = await t.place(
        kinds.split(' ').map((kind) => ({ for: kind, times: 'always', ...(kind === 'sse' ? { stream: [] } : page(400)) })),
        { upstream: t.upstream },
      );
      const topic = `${t.realm}/moves-${kinds.replace(' ', '-')}`;
      const follow = t.follow(place, { filters: [`${topic}/**`], after: 'earliest', transport: 'moving' });
      for (let n = 0; n < EVENTS; n += 1) await publish(t, `${topic}/${n % 3}`, n);
      await hasAll(t, [follow]);
      assert.ok(follow.of('move').length > 0, 'no move was told');
    },
  })),
  {
    name: 'is-taken-once',
    requirement: 'What is published through cuts is there once and in order, and the answer has its cursor.',
    needs: ['publish'],
    isReal: true,
    async run(t) {
      const random = randomOf('taken');
      const plays = Array.from({ length: FAULTS }, () => ({ ...fault(random), for: 'send' }));
      const place = await t.place(plays, { upstream: t.upstream });
      const topic = `${t.realm}/taken`;
      const told = Array.from({ length: 20 }, (_, n) => t.publish(place, { topic, data: n, client: 'taken' }));
      await t.until('all are answered', () => told.every((one) => one.of('answer').length + one.of('error').length > 0));
      const url = new URL(`v1/events?topic=${topic}&after=earliest`, t.upstream);
      const { events } = await (await fetch(url, { headers: { Accept: 'application/json' } })).json();
      assert.deepEqual(events.map(({ data }) => data), Array.from({ length: 20 }, (_, n) => n));
      assert.deepEqual(told.map((one) => one.of('answer')[0]?.answer.cursor), events.map(({ cursor }) => cursor));
    },
  },
];

/** The values by key that a client has which does as it was told. */
function stateOf({ tells }) {
  const values = new Map();
  let hasCursor = false;
  for (const { event, control, status } of tells) {
    hasCursor ||= Boolean((event ?? control)?.cursor);
    // Who comes back without a cursor begins anew.
    if (control?.control === 'reset' || (status === 'connecting' && !hasCursor)) values.clear();
    else if (event?.deleted) values.delete(event.key);
    else if (event) values.set(event.key, event.data.n);
  }
  return values;
}
